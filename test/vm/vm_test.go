// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm

package vm_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeovn/sriov-network-operator/test/vm"
	"github.com/kubeovn/sriov-network-operator/test/vm/machine"
)

func TestAGuestHasWhatTheOperatorDrives(t *testing.T) {
	guest := vm.Start(t)
	ctx := t.Context()

	t.Run("four PFs with seven VFs each", func(t *testing.T) {
		got := guest.Shell(ctx, "cd /sys/bus/pci/devices; grep . */sriov_totalvfs")
		want := `0000:01:00.0/sriov_totalvfs:7
0000:01:00.1/sriov_totalvfs:7
0000:02:00.0/sriov_totalvfs:7
0000:02:00.1/sriov_totalvfs:7
`
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("PFs (-want +got):\n%s", diff)
		}
	})
	t.Run("an IOMMU group of its own for each PF", func(t *testing.T) {
		groups := strings.Fields(guest.Shell(ctx, `for a in 1 2; do for f in 0 1; do basename $(readlink /sys/bus/pci/devices/0000:0$a:00.$f/iommu_group); done; done | sort -u`))
		if len(groups) != 4 {
			t.Errorf("the PFs have the IOMMU groups %v, want four", groups)
		}
	})
	t.Run("no VF driver before there are VFs", func(t *testing.T) {
		if got := guest.Shell(ctx, "lsmod | grep igbvf || true"); got != "" {
			t.Errorf("igbvf is loaded: %s", got)
		}
	})
	t.Run("the host's clock", func(t *testing.T) {
		var seconds int64
		if _, err := fmt.Sscan(guest.Shell(ctx, "date +%s"), &seconds); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(time.Unix(seconds, 0)); d.Abs() > 5*time.Second {
			t.Errorf("the guest's clock is off by %v", d)
		}
	})
	t.Run("VFs that bind to vfio-pci", func(t *testing.T) {
		guest.Shell(ctx, `
			echo 0 >/sys/bus/pci/devices/0000:01:00.0/sriov_drivers_autoprobe
			echo 2 >/sys/bus/pci/devices/0000:01:00.0/sriov_numvfs
			modprobe vfio-pci
			vf=$(basename $(readlink /sys/bus/pci/devices/0000:01:00.0/virtfn1))
			echo vfio-pci >/sys/bus/pci/devices/$vf/driver_override
			echo $vf >/sys/bus/pci/drivers_probe
			test -c /dev/vfio/$(basename $(readlink /sys/bus/pci/devices/$vf/iommu_group))`)
	})
	t.Run("netdevsim with a switchdev mode", func(t *testing.T) {
		got := guest.Shell(ctx, `
			modprobe netdevsim
			echo "1 2" >/sys/bus/netdevsim/new_device
			echo 3 >/sys/bus/netdevsim/devices/netdevsim1/sriov_numvfs
			devlink dev eswitch set netdevsim/netdevsim1 mode switchdev
			devlink -j port show | jq -r '.port[] | select(.flavour == "pcivf") | .vfnum'`)
		if diff := cmp.Diff("0\n1\n2\n", got); diff != "" {
			t.Errorf("VF ports (-want +got):\n%s", diff)
		}
	})
	t.Run("vDPA and RDMA simulators", func(t *testing.T) {
		got := guest.Shell(ctx, `
			modprobe -a vdpa_sim_net siw
			vdpa mgmtdev show | grep -o ^vdpasim_net
			rdma link add siw0 type siw netdev $(ls /sys/bus/pci/devices/0000:02:00.0/net)
			ls /sys/class/infiniband`)
		if diff := cmp.Diff("vdpasim_net\nsiw0\n", got); diff != "" {
			t.Errorf("simulators (-want +got):\n%s", diff)
		}
	})
}

func TestSriovEswGivesAnIgbPFRepresentors(t *testing.T) {
	guest := vm.Start(t)
	got := guest.Shell(t.Context(), `
		modprobe sriov_esw pf=0000:01:00.0
		echo 3 >/sys/bus/pci/devices/0000:01:00.0/sriov_numvfs
		devlink dev eswitch set pci/0000:01:00.0 mode switchdev
		devlink -j dev eswitch show pci/0000:01:00.0 | jq -r '.dev[].mode'
		udevadm settle
		cd /sys/bus/pci/devices/0000:01:00.0/net
		for d in *; do echo $(cat $d/phys_port_name) $(cat $d/phys_switch_id); done | sort
		devlink dev eswitch set pci/0000:01:00.0 mode legacy
		ls -d * | wc -l
		rmmod sriov_esw
		dmesg --level=emerg,alert,crit,err | grep -c sriov_esw || true`)
	const id = "e500000000000100"
	want := fmt.Sprintf("switchdev\np0 %[1]s\npf0vf0 %[1]s\npf0vf1 %[1]s\npf0vf2 %[1]s\n1\n0\n", id)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mode, ports and switch ids (-want +got):\n%s", diff)
	}
}

func TestWhatOneCloneDoesNoOtherSees(t *testing.T) {
	ctx := t.Context()
	a, b := vm.Start(t, vm.Hostname("a")), vm.Start(t, vm.Hostname("b"))
	a.Shell(ctx, "echo mine >/root/mark; sync; echo 1 >/sys/bus/pci/devices/0000:01:00.0/sriov_numvfs")
	got := b.Shell(ctx, "ls /root; cat /sys/bus/pci/devices/0000:01:00.0/sriov_numvfs; hostname")
	if diff := cmp.Diff("0\nb\n", got); diff != "" {
		t.Errorf("what the other clone sees (-want +got):\n%s", diff)
	}
}

func TestAGuestThatBootsAgainKeepsItsDisk(t *testing.T) {
	guest := vm.Start(t)
	ctx := t.Context()
	boots := []struct {
		name  string
		again func(context.Context) (vm.Guest, error)
	}{
		{"reboot", guest.Reboot},
		{"hard reset", guest.HardReset},
	}
	for _, boot := range boots {
		before, err := guest.Guest(ctx)
		if err != nil {
			t.Fatal(err)
		}
		guest.Shell(ctx, "echo "+boot.name+" >/root/mark; echo gone >/run/mark; sync")
		started := time.Now()
		after, err := boot.again(ctx)
		if err != nil {
			t.Fatalf("%s: %v\n%s", boot.name, err, guest.Console())
		}
		t.Logf("%s took %.1f s", boot.name, time.Since(started).Seconds())
		guest.Shell(ctx, "ip link show enp2s0f1")
		if after.BootID == before.BootID {
			t.Errorf("%s: the boot id is still %s", boot.name, before.BootID)
		}
		if diff := cmp.Diff(boot.name+"\n", guest.Shell(ctx, "cat /root/mark /run/mark 2>/dev/null || true")); diff != "" {
			t.Errorf("%s: files (-want +got):\n%s", boot.name, diff)
		}
	}
}

func TestCommandsTellHowTheyEnded(t *testing.T) {
	guest := vm.Start(t)
	ctx := t.Context()
	cases := map[string]struct {
		command vm.Command
		want    vm.Result
	}{
		"output and exit code are kept apart": {
			vm.Command{Argv: []string{"sh", "-c", "echo out; echo err >&2; exit 3"}},
			vm.Result{Stdout: "out\n", Stderr: "err\n", ExitCode: 3},
		},
		"input, environment and folder arrive": {
			vm.Command{Argv: []string{"sh", "-c", "cat; echo $WORD; pwd"}, Stdin: strings.NewReader("in\n"), Env: []string{"WORD=word"}, Dir: "/etc"},
			vm.Result{Stdout: "in\nword\n/etc\n"},
		},
		"a signal is told": {
			vm.Command{Argv: []string{"sh", "-c", "kill -TERM $$"}},
			vm.Result{ExitCode: 143, Signal: syscall.SIGTERM},
		},
		"a child that holds the output does not keep a command from ending": {
			vm.Command{Argv: []string{"sh", "-c", "sleep 300 & echo done"}},
			vm.Result{Stdout: "done\n"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := guest.RunCommand(ctx, c.command)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("a program that does not exist is an error", func(t *testing.T) {
		if _, err := guest.Run(ctx, "no-such-program"); err == nil || !strings.Contains(err.Error(), "no-such-program") {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("a killed process says so, and others go on", func(t *testing.T) {
		p, err := guest.Start(ctx, vm.Command{Argv: []string{"sleep", "300"}})
		if err != nil {
			t.Fatal(err)
		}
		guest.Shell(ctx, "pidof sleep")
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		got, err := p.Wait(ctx)
		if err != nil || got.Signal != syscall.SIGKILL {
			t.Errorf("result is %+v, %v", got, err)
		}
	})
	t.Run("a context that ends kills the process and what it started", func(t *testing.T) {
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err := guest.Run(short, "sh", "-c", "sleep 777; true"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v", err)
		}
		if got := guest.Shell(ctx, "pgrep -f '^sleep 777' || echo none"); got != "none\n" {
			t.Errorf("still there: %s", got)
		}
	})
}

func TestFilesArriveWhole(t *testing.T) {
	guest := vm.Start(t)
	ctx := t.Context()
	for _, size := range []int{0, 1, 4096, 50<<20 + 5} {
		want := make([]byte, size)
		if _, err := rand.Read(want); err != nil {
			t.Fatal(err)
		}
		local := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(local, want, 0o755); err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		if err := guest.Push(ctx, local, "/root/file"); err != nil {
			t.Fatal(err)
		}
		pushed := time.Since(started)
		got, err := guest.ReadFile(ctx, "/root/file")
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d bytes: push %.2f s, pull %.2f s", size, pushed.Seconds(), (time.Since(started) - pushed).Seconds())
		if !bytes.Equal(want, got) {
			t.Errorf("a file of %d bytes came back different, with %d bytes", size, len(got))
		}
		if mode := guest.Shell(ctx, "stat -c %a /root/file"); mode != "755\n" {
			t.Errorf("mode is %s", mode)
		}
	}
}

func TestABinaryOfThisModuleRunsInTheGuest(t *testing.T) {
	guest := vm.Start(t)
	ctx := t.Context()
	tests := vm.BuildTest(t, "github.com/kubeovn/sriov-network-operator/test/vm/protocol")
	if again := vm.BuildTest(t, "github.com/kubeovn/sriov-network-operator/test/vm/protocol"); again != tests {
		t.Errorf("the second build is %s, the first %s", again, tests)
	}
	if err := guest.Push(ctx, tests, "/root/protocol.test"); err != nil {
		t.Fatal(err)
	}
	if got := guest.Shell(ctx, "/root/protocol.test -test.v"); !strings.HasSuffix(got, "PASS\n") {
		t.Errorf("the tests said:\n%s", got)
	}
}

func TestTheEndOfTheMachineIsToldAtOnce(t *testing.T) {
	ends := map[string]struct {
		end  func(*testing.T, *vm.VM)
		want string
	}{
		"QEMU is killed": {
			func(t *testing.T, v *vm.VM) {
				t.Helper()
				if err := syscall.Kill(v.PID(), syscall.SIGKILL); err != nil {
					t.Error(err)
				}
			}, "QEMU ended: signal: killed"},
		"the kernel panics": {
			func(t *testing.T, v *vm.VM) {
				t.Helper()
				// No result comes of this command.
				_, _ = v.Start(t.Context(), vm.Command{Argv: []string{"sh", "-c", "echo c >/proc/sysrq-trigger"}})
			}, "the guest's kernel panicked"},
	}
	for name, c := range ends {
		t.Run(name, func(t *testing.T) {
			guest := vm.Start(t)
			p, err := guest.Start(t.Context(), vm.Command{Argv: []string{"sleep", "300"}})
			if err != nil {
				t.Fatal(err)
			}
			c.end(t, guest)
			started := time.Now()
			_, err = p.Wait(t.Context())
			var dead *machine.DeadError
			if !errors.As(err, &dead) || !strings.Contains(dead.Reason, c.want) {
				t.Errorf("error is %v, want one with %q", err, c.want)
			}
			if d := time.Since(started); d > 5*time.Second {
				t.Errorf("the error came after %v", d)
			}
			if _, err := guest.Run(t.Context(), "true"); !errors.As(err, &dead) {
				t.Errorf("the next call's error is %v", err)
			}
		})
	}
}

func TestAGuestReachesTheForwardedAddressAndNoOther(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			// What does not arrive, the guest misses.
			_, _ = fmt.Fprintln(conn, "hello from the host")
			_ = conn.Close()
		}
	}()
	guest := vm.Start(t, vm.Forward(listener.Addr().String()))
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	got := guest.Shell(t.Context(), `
		for i in 1 2; do bash -c 'exec 3<>/dev/tcp/host.vm/6443; cat <&3'; done
		timeout 5 bash -c 'exec 3<>/dev/tcp/10.0.2.2/`+port+`' 2>/dev/null || echo refused`)
	if diff := cmp.Diff("hello from the host\nhello from the host\nrefused\n", got); diff != "" {
		t.Errorf("connections (-want +got):\n%s", diff)
	}
}

func TestWordsOnTheKernelsCommandLineTakeEffect(t *testing.T) {
	guest := vm.Start(t, vm.Cmdline("intel_iommu=off"))
	if got := guest.Shell(t.Context(), "grep -o intel_iommu=off /proc/cmdline; ls /sys/kernel/iommu_groups | wc -l"); got != "intel_iommu=off\n0\n" {
		t.Errorf("the guest with intel_iommu=off says:\n%s", got)
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm

package vm_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeovn/sriov-network-operator/test/vm"
)

// tool is where the command is in the guest.
const tool = "/usr/local/bin/kubectl-sriov"

// applier is a guest that has the command.
type applier struct{ *vm.VM }

func newApplier(t *testing.T, options ...vm.Option) applier {
	t.Helper()
	guest := vm.Start(t, options...)
	if err := guest.Push(t.Context(), vm.Build(t, "github.com/kubeovn/sriov-network-operator/cmd/kubectl-sriov"), tool); err != nil {
		t.Fatal(err)
	}
	return applier{guest}
}

// try applies policies and returns how that ended.
func (a applier) try(ctx context.Context, policies string) (vm.Result, error) {
	return a.RunCommand(ctx, vm.Command{
		Argv: []string{tool, "apply", "-f", "-", "--yes"}, Stdin: strings.NewReader(policies),
	})
}

// apply applies policies, and fails the test if that fails.
func (a applier) apply(t *testing.T, policies ...string) string {
	t.Helper()
	r, err := a.try(t.Context(), strings.Join(policies, ""))
	if err != nil {
		t.Fatal(err)
	}
	if r.ExitCode != 0 {
		t.Fatalf("apply ended with code %d\n%s\n%s", r.ExitCode, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// settled applies the same once more and fails the test if anything is done.
func (a applier) settled(t *testing.T, policies ...string) {
	t.Helper()
	if again := a.apply(t, policies...); !strings.Contains(again, "nothing to do") {
		t.Errorf("the second apply is not empty:\n%s", again)
	}
}

// policy is a policy for PFs by name.
func policy(name string, numVfs int, pfs string, more ...string) string {
	return fmt.Sprintf(`---
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodePolicy
metadata: {name: %s, namespace: kube-system}
spec:
  nodeSelector: {}
  resourceName: r_%s
  numVfs: %d
  nicSelector: {pfNames: [%s]}
  %s
`, name, strings.ReplaceAll(name, "-", "_"), numVfs, pfs, strings.Join(more, "\n  "))
}

// nobody asks for none of the guest's PFs.
func nobody() string { return policy("nobody", 1, "enp99s0") }

// state is what the kernel says of a PF and its VFs, read by other means than the
// product's.
func (a applier) state(t *testing.T, pf string) string {
	t.Helper()
	return a.Shell(t.Context(), fmt.Sprintf(`
		cd /sys/class/net/%s/device
		echo "numvfs $(cat sriov_numvfs) autoprobe $(cat sriov_drivers_autoprobe) mtu $(cat net/%s/mtu)"
		for i in 0 1 2 3 4 5 6; do
			[ -e virtfn$i ] || continue
			driver=none
			[ -e virtfn$i/driver ] && driver=$(basename $(readlink virtfn$i/driver))
			echo "vf $i $driver"
		done`, pf, pf))
}

// vfs is the state of a PF with VFs of these drivers.
func vfs(mtu int, drivers ...string) string {
	out := fmt.Sprintf("numvfs %d autoprobe 1 mtu %d\n", len(drivers), mtu)
	for i, d := range drivers {
		out += fmt.Sprintf("vf %d %s\n", i, d)
	}
	return out
}

func repeat(driver string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = driver
	}
	return out
}

func (a applier) want(t *testing.T, pf, want string) {
	t.Helper()
	if diff := cmp.Diff(want, a.state(t, pf)); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", pf, diff)
	}
}

func TestAPolicyBecomesVirtualFunctions(t *testing.T) {
	a := newApplier(t)
	p := policy("net", 4, "enp1s0f0, enp2s0f0")
	a.apply(t, p)
	for _, pf := range []string{"enp1s0f0", "enp2s0f0"} {
		a.want(t, pf, vfs(1500, repeat("igbvf", 4)...))
	}
	a.settled(t, p)

	t.Run("grow", func(t *testing.T) {
		a.apply(t, policy("net", 7, "enp1s0f0"), policy("other", 4, "enp2s0f0"))
		a.want(t, "enp1s0f0", vfs(1500, repeat("igbvf", 7)...))
		a.want(t, "enp2s0f0", vfs(1500, repeat("igbvf", 4)...))
	})
	t.Run("shrink", func(t *testing.T) {
		a.apply(t, policy("net", 2, "enp1s0f0"), policy("other", 4, "enp2s0f0"))
		a.want(t, "enp1s0f0", vfs(1500, repeat("igbvf", 2)...))
		a.settled(t, policy("net", 2, "enp1s0f0"), policy("other", 4, "enp2s0f0"))
	})
	t.Run("udev keeps NetworkManager away from the VFs and from nothing else", func(t *testing.T) {
		got := a.Shell(t.Context(), `udevadm settle
			for n in $(ls /sys/class/net); do udevadm info -q property /sys/class/net/$n | grep -q NM_UNMANAGED=1 && echo $n; done | sort; true`)
		want := "enp1s0f0v0\nenp1s0f0v1\nenp2s0f0v0\nenp2s0f0v1\nenp2s0f0v2\nenp2s0f0v3\n"
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("unmanaged (-want +got):\n%s", diff)
		}
	})
	t.Run("the PF goes back when no policy asks for it", func(t *testing.T) {
		a.apply(t, nobody())
		a.want(t, "enp1s0f0", vfs(1500))
		a.want(t, "enp2s0f0", vfs(1500))
		if left := a.Shell(t.Context(), "ls -A /etc/sriov-operator/pci /etc/udev/rules.d"); strings.Contains(left, "0000:") {
			t.Errorf("left behind:\n%s", left)
		}
		a.settled(t, nobody())
	})
}

func TestAForeignPFIsLeftAlone(t *testing.T) {
	a := newApplier(t)
	a.Shell(t.Context(), "echo 3 >/sys/class/net/enp1s0f1/device/sriov_numvfs; modprobe igbvf; udevadm settle; ip link set enp1s0f1 mtu 4000")
	foreign := a.state(t, "enp1s0f1")
	a.apply(t, policy("net", 2, "enp1s0f0", "mtu: 9000"))
	a.apply(t, nobody())
	a.want(t, "enp1s0f1", foreign)
}

func TestVFsGoToUserspaceAndBack(t *testing.T) {
	a := newApplier(t)
	kernel := policy("net", 4, "enp1s0f0#0-3")
	mixed := policy("net", 4, "enp1s0f0#0-1") + policy("dpdk", 4, "enp1s0f0#2-3", "deviceType: vfio-pci")
	a.apply(t, kernel)
	before := a.Shell(t.Context(), "udevadm settle; ip -o link show enp1s0f0v0; ip -o link show enp1s0f0v1")
	macs := a.adminMACs(t)

	out := a.apply(t, mixed)
	a.want(t, "enp1s0f0", vfs(1500, "igbvf", "igbvf", "vfio-pci", "vfio-pci"))
	if !strings.Contains(out, "pods (VFs 2-3)") {
		t.Errorf("the plan does not say that it takes VFs 2-3 and no other:\n%s", out)
	}
	a.Shell(t.Context(), `cd /sys/class/net/enp1s0f0/device
		for i in 2 3; do test -c /dev/vfio/$(basename $(readlink virtfn$i/iommu_group)) || exit 1; done`)
	if after := a.Shell(t.Context(), "ip -o link show enp1s0f0v0; ip -o link show enp1s0f0v1"); after != before {
		t.Errorf("VFs 0 and 1 changed:\n%s%s", before, after)
	}
	a.settled(t, mixed)
	worlds := map[string]string{mixed: a.world(t)}

	a.apply(t, kernel)
	a.want(t, "enp1s0f0", vfs(1500, repeat("igbvf", 4)...))
	if diff := cmp.Diff(macs, a.adminMACs(t)); diff != "" {
		t.Errorf("admin MACs (-before +after):\n%s", diff)
	}
	a.netdevsHaveAdminMACs(t)
	worlds[kernel] = a.world(t)

	t.Run("a plan as a script leaves the machine as apply does", func(t *testing.T) {
		a.script(t, nobody())
		a.want(t, "enp1s0f0", vfs(1500))
		for _, wish := range []string{mixed, kernel} {
			a.script(t, wish)
			if diff := cmp.Diff(worlds[wish], a.world(t)); diff != "" {
				t.Errorf("(-apply +script):\n%s", diff)
			}
		}
		a.settled(t, kernel)
	})
}

// script carries out what "plan -o script" prints.
func (a applier) script(t *testing.T, policies string) {
	t.Helper()
	r, err := a.RunCommand(t.Context(), vm.Command{
		Argv: []string{"sh", "-ec", tool + " plan -f - -o script >/root/plan.sh 2>/dev/null; sh /root/plan.sh"}, Stdin: strings.NewReader(policies),
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.ExitCode != 0 || r.Stdout+r.Stderr != "" {
		t.Fatalf("the script ended with code %d\n%s%s", r.ExitCode, r.Stdout, r.Stderr)
	}
}

// world is what apply may change of the machine.
func (a applier) world(t *testing.T) string {
	t.Helper()
	return a.state(t, "enp1s0f0") + a.adminMACs(t) + a.Shell(t.Context(), `
		echo; udevadm settle
		cat /sys/class/net/enp1s0f0/flags
		grep -s . /sys/class/net/enp1s0f0v*/address /sys/class/net/enp1s0f0v*/mtu || true
		find /etc/sriov-operator /etc/udev/rules.d /etc/modules-load.d -type f | sort | while read -r file; do
			stat -c '%n %a' "$file"
			cat "$file"
		done`)
}

// adminMACs are the MACs that enp1s0f0 assigned, by line.
func (a applier) adminMACs(t *testing.T) string {
	t.Helper()
	lines := regexp.MustCompile(`vf \d+ +link/ether \S+`).FindAllString(a.Shell(t.Context(), "ip link show enp1s0f0"), -1)
	return strings.Join(lines, "\n")
}

func (a applier) netdevsHaveAdminMACs(t *testing.T) {
	t.Helper()
	got := a.Shell(t.Context(), `udevadm settle
		cd /sys/class/net/enp1s0f0/device
		for i in 0 1 2 3; do echo "vf $i     link/ether $(cat virtfn$i/net/*/address)"; done`)
	if diff := cmp.Diff(a.adminMACs(t), strings.TrimSpace(got)); diff != "" {
		t.Errorf("the VFs' own MACs (-admin +own):\n%s", diff)
	}
}

func TestAnAdminMACSurvivesARebind(t *testing.T) {
	a := newApplier(t)
	a.apply(t, policy("net", 4, "enp1s0f0"))
	a.netdevsHaveAdminMACs(t)
	a.Shell(t.Context(), `cd /sys/class/net/enp1s0f0/device
		for i in 0 1 2 3; do vf=$(basename $(readlink virtfn$i)); echo $vf >/sys/bus/pci/drivers/igbvf/unbind; echo $vf >/sys/bus/pci/drivers_probe; done`)
	a.netdevsHaveAdminMACs(t)
	if a.adminMACs(t) == "" || strings.Contains(a.adminMACs(t), "00:00:00:00:00:00") {
		t.Errorf("admin MACs: %s", a.adminMACs(t))
	}
}

func TestAnMTUChangesInPlace(t *testing.T) {
	a := newApplier(t)
	a.apply(t, policy("net", 2, "enp1s0f0"))
	a.Shell(t.Context(), "udevadm settle")
	index := "cat /sys/class/net/enp1s0f0v0/ifindex /sys/class/net/enp1s0f0v1/ifindex"
	before := a.Shell(t.Context(), index)
	large := policy("net", 2, "enp1s0f0", "mtu: 9000")
	a.apply(t, large)
	a.want(t, "enp1s0f0", vfs(9000, repeat("igbvf", 2)...))
	if got := a.Shell(t.Context(), "cat /sys/class/net/enp1s0f0v[01]/mtu"); got != "9000\n9000\n" {
		t.Errorf("the VFs have the MTUs %q", got)
	}
	if after := a.Shell(t.Context(), index); after != before {
		t.Errorf("the VFs were remade: indices %q, then %q", before, after)
	}
	a.settled(t, large)
	a.apply(t, nobody())
	a.want(t, "enp1s0f0", vfs(1500))
}

// A VF in a pod goes on while its neighbours change their driver.
func TestTrafficOnAVFThatIsNotTakenLosesNothing(t *testing.T) {
	a := newApplier(t)
	a.apply(t, policy("net", 7, "enp1s0f0"))
	a.Shell(t.Context(), `udevadm settle
		for i in 0 1; do
			ip netns add pod$i
			ip link set enp1s0f0v$i netns pod$i
			ip -n pod$i link set enp1s0f0v$i up
			ip -n pod$i addr add 192.0.2.1$i/24 dev enp1s0f0v$i
		done
		ip netns exec pod0 ping -q -c 3 -i 0.2 192.0.2.11`)
	var said bytes.Buffer
	ping, err := a.Start(t.Context(), vm.Command{
		Argv: []string{"ip", "netns", "exec", "pod0", "ping", "-q", "-i", "0.1", "192.0.2.11"}, Stdout: &said,
	})
	if err != nil {
		t.Fatal(err)
	}
	a.apply(t, policy("net", 7, "enp1s0f0#0-1"), policy("dpdk", 7, "enp1s0f0#2-6", "deviceType: vfio-pci"))
	a.want(t, "enp1s0f0", vfs(1500, append(repeat("igbvf", 2), repeat("vfio-pci", 5)...)...))
	a.Shell(t.Context(), "pkill -INT ping")
	if _, err := ping.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), " 0% packet loss") {
		t.Errorf("traffic was lost:\n%s", said.String())
	}
}

// Killed after any of its steps, the next apply ends where an undisturbed one does.
func TestKilledAfterAnyStepTheNextApplyConverges(t *testing.T) {
	a := newApplier(t)
	first := policy("net", 2, "enp1s0f0")
	second := policy("net", 3, "enp1s0f0#0-1", "mtu: 4000") + policy("dpdk", 3, "enp1s0f0#2-2", "deviceType: vfio-pci")
	want := vfs(4000, "igbvf", "igbvf", "vfio-pci")

	a.apply(t, first)
	a.apply(t, second)
	a.want(t, "enp1s0f0", want)
	macs := a.adminMACs(t)
	for n := 1; ; n++ {
		a.apply(t, first)
		if killed := a.killAfter(t, second, n); !killed {
			if n < 8 {
				t.Fatalf("apply had only %d steps to be killed after", n-1)
			}
			return
		}
		a.apply(t, second)
		a.want(t, "enp1s0f0", want)
		if diff := cmp.Diff(macs, a.adminMACs(t)); diff != "" {
			t.Errorf("killed after step %d, the MACs differ (-want +got):\n%s", n, diff)
		}
	}
}

// killAfter kills an apply with SIGKILL as soon as it has said that n steps are
// done, in the middle of the next one; false when it ended before.
func (a applier) killAfter(t *testing.T, policies string, n int) bool {
	t.Helper()
	out, in := io.Pipe()
	p, err := a.Start(t.Context(), vm.Command{
		Argv: []string{tool, "apply", "-f", "-", "--yes"}, Stdin: strings.NewReader(policies), Stderr: in,
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := p.Wait(context.WithoutCancel(t.Context()))
		_ = in.Close()
		ended <- err
	}()
	done := regexp.MustCompile(`  \d+/\d+  `)
	killed := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if done.MatchString(lines.Text()) {
			if n--; n == 0 {
				killed = p.Kill() == nil
			}
		}
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	return killed
}

// sriov_esw gives the igb PF a devlink eSwitch: the control flow is the kernel's,
// the switching is not there.
func TestTheEswitchModeChangesThroughDevlink(t *testing.T) {
	a := newApplier(t)
	ctx := t.Context()
	a.Shell(ctx, "modprobe sriov_esw pf=0000:01:00.0")
	mode := func() string {
		return strings.TrimSpace(a.Shell(ctx, "devlink -j dev eswitch show pci/0000:01:00.0 | jq -r '.dev[].mode'"))
	}
	p := policy("offload", 3, "enp1s0f0", "eSwitchMode: switchdev")
	a.apply(t, p)
	if got := mode(); got != "switchdev" {
		t.Errorf("the mode is %s", got)
	}
	a.want(t, "enp1s0f0", vfs(1500, repeat("igbvf", 3)...))
	a.settled(t, p)
	t.Run("representors are named after the PF", func(t *testing.T) {
		got := a.Shell(ctx, `udevadm settle; ls /sys/class/net/enp1s0f0/device/net | sort`)
		if diff := cmp.Diff("enp1s0f0\nenp1s0f0_0\nenp1s0f0_1\nenp1s0f0_2\n", got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("more VFs go through legacy", func(t *testing.T) {
		more := policy("offload", 4, "enp1s0f0", "eSwitchMode: switchdev")
		a.apply(t, more)
		a.want(t, "enp1s0f0", vfs(1500, repeat("igbvf", 4)...))
		if got := mode(); got != "switchdev" {
			t.Errorf("the mode is %s", got)
		}
	})
	t.Run("legacy again, with the same VFs", func(t *testing.T) {
		a.apply(t, policy("offload", 4, "enp1s0f0"))
		if got := mode(); got != "legacy" {
			t.Errorf("the mode is %s", got)
		}
		a.want(t, "enp1s0f0", vfs(1500, repeat("igbvf", 4)...))
	})
	t.Run("and back to nothing", func(t *testing.T) {
		a.apply(t, nobody())
		a.want(t, "enp1s0f0", vfs(1500))
	})
}

func TestAPFThatCarriesTheHostsTrafficIsRefused(t *testing.T) {
	a := newApplier(t)
	a.Shell(t.Context(), `ip link add br0 type bridge; ip link set enp1s0f0 master br0 up; ip link set br0 up
		ip addr add 198.51.100.1/24 dev br0; ip route add default via 198.51.100.2`)
	before := a.state(t, "enp1s0f0")
	r, err := a.try(t.Context(), policy("net", 2, "enp1s0f0")+policy("other", 2, "enp1s0f1"))
	if err != nil {
		t.Fatal(err)
	}
	if said := r.Stdout + r.Stderr; r.ExitCode == 0 || !strings.Contains(said, "bridge br0") || !strings.Contains(said, "allowInUse") {
		t.Errorf("apply ended with code %d and says:\n%s", r.ExitCode, said)
	}
	a.want(t, "enp1s0f0", before)
	a.want(t, "enp1s0f1", vfs(1500, repeat("igbvf", 2)...))

	consent := policy("net", 2, "enp1s0f0", "allowInUse: true")
	a.apply(t, consent)
	a.want(t, "enp1s0f0", vfs(1500, repeat("igbvf", 2)...))
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm

package vm_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/ledger"
	"github.com/kubeovn/sriov-network-operator/test/vm"
)

// Where the programs are in the guest, and the files that they read and write.
const (
	tool      = "/usr/local/bin/kubectl-sriov"
	floor     = "/usr/local/bin/floor"
	stopwatch = "/usr/local/bin/stopwatch"
	policies  = "/root/policies.yaml"
	output    = "/run/output"
	baseline  = "/run/modules"
)

const module = "github.com/kubeovn/sriov-network-operator/"

// port is a PF of the rig.
type port struct {
	addr, netdev string
	mac          hw.MAC
}

// vfMAC is the address that the command gives to a VF, so that the floor gives it
// the same.
func (p port) vfMAC(b *testing.B, index int) hw.MAC {
	b.Helper()
	addr, err := hw.ParsePCIAddr(p.addr)
	if err != nil {
		b.Fatal(err)
	}
	return hw.DeriveMAC(p.mac, hw.VFRef{PF: addr, Index: index})
}

// state is what some PFs have; the zero state is that of a machine that was never
// configured.
type state struct {
	ports []port
	vfs   int
	vfio  bool
}

// guest is a machine with the programs.
type guest struct {
	*vm.VM
	b *testing.B
}

func start(b *testing.B, options ...vm.Option) guest {
	b.Helper()
	g := guest{VM: vm.Start(b, options...), b: b}
	for path, pkg := range map[string]string{tool: "cmd/kubectl-sriov", floor: "bench/vm/floor", stopwatch: "bench/vm/stopwatch"} {
		if err := g.Push(b.Context(), vm.Build(b, module+pkg), path); err != nil {
			b.Fatal(err)
		}
	}
	g.sh("cut -d' ' -f1 /proc/modules | sort >" + baseline + "; udevadm settle; sync")
	return g
}

func (g guest) sh(script string) string {
	g.b.Helper()
	return g.Shell(g.b.Context(), script)
}

// time runs a program, which must succeed, and takes its time in the guest.
func (g guest) time(in string, argv ...string) lap {
	g.b.Helper()
	words := []string{stopwatch, "-out", output}
	if in != "" {
		words = append(words, "-in", in)
	}
	load := readLoad(g.b, g)
	r, err := g.Run(g.b.Context(), append(words, argv...)...)
	if err != nil {
		g.b.Fatal(err)
	}
	l := lap{others: load.othersSince(g.b, g)}
	if r.ExitCode != 0 || json.Unmarshal([]byte(r.Stdout), &l) != nil {
		g.b.Fatalf("the stopwatch ended with code %d: %s%s", r.ExitCode, r.Stdout, r.Stderr)
	}
	if l.Exit != 0 {
		g.b.Fatalf("%s ended with code %d:\n%s", strings.Join(argv, " "), l.Exit, g.sh("cat "+output))
	}
	return l
}

// apply measures the command and looks whether it did all.
func (g guest) apply(goal state) lap {
	g.b.Helper()
	g.write(goal)
	l := g.time("", tool, "apply", "-f", policies, "--yes")
	g.check(goal)
	return l
}

// again measures an apply that must find nothing to do.
func (g guest) again(goal state) lap {
	g.b.Helper()
	l := g.apply(goal)
	if said := g.sh("cat " + output); !strings.Contains(said, "nothing to do") {
		g.b.Fatalf("there was something to do:\n%s", said)
	}
	return l
}

// floor measures the floor and looks whether it did all.
func (g guest) floor(goal state) lap {
	g.b.Helper()
	argv := []string{floor, "-module", "igbvf"}
	if goal.vfio {
		argv = []string{floor, "-module", "vfio-pci", "-override", "vfio-pci"}
	}
	for _, p := range goal.ports {
		var macs []string
		for i := range goal.vfs {
			macs = append(macs, string(p.vfMAC(g.b, i)))
		}
		argv = append(argv, p.addr+"="+strings.Join(macs, ","))
	}
	l := g.time("", argv...)
	g.check(goal)
	return l
}

// write puts the policy for a state into the guest.
func (g guest) write(goal state) {
	g.b.Helper()
	var names []string
	for _, p := range goal.ports {
		names = append(names, p.netdev)
	}
	kind := "netdevice"
	if goal.vfio {
		kind = "vfio-pci"
	}
	text := fmt.Sprintf(`apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodePolicy
metadata: {name: bench, namespace: kube-system}
spec:
  nodeSelector: {}
  resourceName: bench
  numVfs: %d
  deviceType: %s
  nicSelector: {pfNames: [%s]}
`, goal.vfs, kind, strings.Join(names, ", "))
	if err := g.WriteFile(g.b.Context(), policies, 0o644, []byte(text)); err != nil {
		g.b.Fatal(err)
	}
}

// prepare brings the machine into a state from whatever it is in. First it becomes
// as if nothing had ever been configured: no VFs, links down, no module, rule or
// record that was not there at the beginning.
func (g guest) prepare(want state) {
	g.b.Helper()
	var pfs strings.Builder
	for _, p := range ports {
		fmt.Fprintf(&pfs, "echo 0 >/sys/bus/pci/devices/%s/sriov_numvfs; ip link set %s down\n", p.addr, p.netdev)
	}
	g.sh(fmt.Sprintf(`%s
udevadm settle
for try in 1 2 3 4 5 6; do
	for module in $(cut -d' ' -f1 /proc/modules | sort | comm -13 %s -); do rmmod $module 2>/dev/null || true; done
done
left=$(cut -d' ' -f1 /proc/modules | sort | comm -13 %s -)
[ -z "$left" ] || { echo still loaded: $left >&2; exit 1; }
rm -rf /%s/%s* /%s
udevadm control --reload
sync`, pfs.String(), baseline, baseline, hw.UdevRules, hw.RuleUnmanaged, ledger.Dir))
	if want.vfs > 0 {
		g.apply(want)
	}
	g.sh("udevadm settle; sync")
}

// check compares the machine with a state, after udev has finished.
func (g guest) check(want state) {
	g.b.Helper()
	driver, override := "igbvf", "(null)"
	if want.vfio {
		driver, override = "vfio-pci", "vfio-pci"
	}
	var lines, addrs []string
	for _, p := range want.ports {
		addrs = append(addrs, p.addr)
		lines = append(lines, fmt.Sprintf("%s numvfs %d autoprobe 1 up 1", p.addr, want.vfs))
		for i := range want.vfs {
			line := fmt.Sprintf("%s VF %d admin MAC %s driver %s override %s", p.addr, i, p.vfMAC(g.b, i), driver, override)
			if !want.vfio {
				line += fmt.Sprintf(" MAC %s", p.vfMAC(g.b, i))
			}
			lines = append(lines, line)
		}
	}
	got := g.sh("pfs='" + strings.Join(addrs, " ") + "'" + look)
	if diff := cmp.Diff(strings.Join(lines, "\n")+"\n", got); diff != "" {
		g.b.Fatalf("the machine is not as it should be (-want +got):\n%s", diff)
	}
}

// look prints what check compares.
const look = `
udevadm settle
for pf in $pfs; do
	dir=/sys/bus/pci/devices/$pf
	netdev=$(ls $dir/net)
	echo "$pf numvfs $(cat $dir/sriov_numvfs) autoprobe $(cat $dir/sriov_drivers_autoprobe) up $(($(cat $dir/net/$netdev/flags) & 1))"
	ip -j link show dev $netdev | jq -r '.[0].vfinfo_list // [] | .[] | "\(.vf) \(.address)"' | while read -r index mac; do
		vf=$dir/virtfn$index
		line="$pf VF $index admin MAC $mac driver $(basename "$(readlink $vf/driver)") override $(cat $vf/driver_override)"
		[ ! -d $vf/net ] || line="$line MAC $(cat $vf/net/*/address)"
		echo "$line"
	done
done
`

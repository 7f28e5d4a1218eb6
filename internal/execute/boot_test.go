// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package execute_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/execute"
	"github.com/kubeovn/sriov-network-operator/internal/host/sim"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// sleepyText is machineText with an IOMMU that the kernel does not use, and with
// namespaces that keep the RDMA mode from changing.
const sleepyText = "iommu: false\nboot: {iommu: intel, args: quiet}\nnamespaces: true\n" + machineText

// settle is what a daemon does, until nothing is left that it may do: it carries
// plans out, and reboots the machine once a plan is prepared for that and has no
// step left. Killed, it begins anew.
func settle(t tester, m *sim.Machine, want desired.Node) plan.Plan {
	t.Helper()
	const rounds = 12
	for range rounds {
		if m.Killed() {
			m.Revive()
		}
		p, l, err := see(m, want)
		if errors.Is(err, sim.ErrCrashed) {
			continue
		}
		if err != nil {
			t.Fatalf("look: %v", err)
		}
		steps := 0
		for range p.Steps() {
			steps++
		}
		switch {
		case steps > 0:
			if err := run(m, p, l); err != nil && !errors.Is(err, sim.ErrCrashed) {
				t.Fatalf("%v\n%s", err, m.Snapshot())
			}
		case p.Prepared():
			if err := m.Host().Power.Reboot(context.Background(), p.Reboot.Why[0].String()); err != nil && !errors.Is(err, sim.ErrCrashed) {
				t.Fatalf("%v", err)
			}
		default:
			return p
		}
	}
	t.Fatalf("after %d rounds there is still something to do\n%s", rounds, m.Snapshot())
	return plan.Plan{}
}

// vfioNode asks for VFs in userspace on one PF, for others on another, and for an
// RDMA mode.
func vfioNode(t tester, mode hw.RDMAMode) desired.Node {
	t.Helper()
	pf := func(addr string, d desired.Driver) desired.PF {
		at, err := hw.ParsePCIAddr(addr)
		if err != nil {
			t.Fatalf("%v", err)
		}
		return desired.PF{Addr: at, NumVFs: 2, Groups: []desired.Group{{Policy: "p", Resource: "r", Range: hw.VFRange{Last: 1}, Driver: d}}}
	}
	node, rejected := desired.New([]desired.PF{pf("0000:5f:00.0", desired.VFIO), pf("0000:01:00.0", desired.Kernel)}, mode)
	if len(rejected) > 0 {
		t.Fatalf("%v", rejected[0].Err)
	}
	return node
}

func TestAMachineIsRebootedOnceAndThenIsAsDesired(t *testing.T) {
	m := newMachine(t, sleepyText)
	end := settle(t, m, vfioNode(t, hw.RDMAExclusive))
	if len(end.Blocked) > 0 || len(m.Reboots()) != 1 {
		t.Fatalf("rebooted for %q; %s", m.Reboots(), text(end))
	}
	snapshot := m.Snapshot()
	for _, want := range []string{"driver=vfio-pci", "rdma exclusive"} {
		if !strings.Contains(snapshot, want) {
			t.Errorf("there is no %q in\n%s", want, snapshot)
		}
	}
	boot, err := m.Host().Boot.Running(t.Context())
	if err != nil || !cmp.Equal(boot.Args, []string{"ib_core.netns_mode=0", "intel_iommu=on", "iommu=pt"}) {
		t.Errorf("booted with %v, %v", boot.Args, err)
	}
	settle(t, m, desired.Node{})
	next, err := m.Host().Boot.Next(t.Context())
	if err != nil || len(next.Args) > 0 || len(m.Reboots()) != 1 {
		t.Errorf("given back, the next boot has %v, %v; rebooted for %q", next.Args, err, m.Reboots())
	}
	if left := m.Snapshot(); strings.Contains(left, "file ") {
		t.Errorf("given back, files are left:\n%s", left)
	}
}

// Law: killed after any number of changes on the way through a reboot, also by a
// reboot that nobody asked for, the machine ends as if undisturbed, and nobody
// asks for more than one reboot.
func TestACrashAtEveryWriteOfAWayThroughAReboot(t *testing.T) {
	want := vfioNode(t, hw.RDMAExclusive)
	calm := newMachine(t, sleepyText)
	settle(t, calm, want)
	for n := range calm.Writes() {
		for name, kill := range map[string]func(*sim.Machine){
			"the process is killed": func(*sim.Machine) {},
			"the machine is reset":  func(m *sim.Machine) { m.Reboot() },
		} {
			m := newMachine(t, sleepyText)
			m.CrashAfter(n)
			_, _ = step(m, want)
			if !m.Killed() {
				settleUntilKilled(t, m, want)
			}
			kill(m)
			end := settle(t, m, want)
			if len(end.Blocked) > 0 || len(m.Reboots()) > 1 {
				t.Fatalf("%s after %d changes: rebooted for %q; %s", name, n, m.Reboots(), text(end))
			}
			if diff := cmp.Diff(state(calm), state(m)); diff != "" {
				t.Fatalf("%s after %d changes (-undisturbed +killed):\n%s", name, n, diff)
			}
		}
	}
}

// step looks, plans and carries out once.
func step(m *sim.Machine, want desired.Node) (plan.Plan, error) {
	p, l, err := see(m, want)
	if err != nil {
		return p, err
	}
	return p, run(m, p, l)
}

// settleUntilKilled goes on with a machine that is to crash.
func settleUntilKilled(t tester, m *sim.Machine, want desired.Node) {
	t.Helper()
	for range 6 {
		p, err := step(m, want)
		if m.Killed() {
			return
		}
		if err != nil {
			t.Fatalf("%v", err)
		}
		if p.Prepared() {
			if err := m.Host().Power.Reboot(context.Background(), "x"); err != nil && !errors.Is(err, sim.ErrCrashed) {
				t.Fatalf("%v", err)
			}
			return
		}
	}
}

func TestAMachineThatComesBackWithoutItsArgumentIsNotRebootedAgain(t *testing.T) {
	m := newMachine(t, sleepyText)
	m.BootWithout("intel_iommu=on")
	want := vfioNode(t, "")
	end := settle(t, m, want)
	if len(m.Reboots()) != 1 || len(end.Blocked) != 1 || end.Blocked[0].Why.Reason != reason.RebootInVain {
		t.Fatalf("rebooted for %q; %s", m.Reboots(), text(end))
	}
	// Neither time, nor a boot by somebody else, nor the wish going and coming.
	m.Reboot()
	settle(t, m, want)
	settle(t, m, desired.Node{})
	settle(t, m, want)
	if len(m.Reboots()) != 1 {
		t.Fatalf("rebooted for %q", m.Reboots())
	}
	m.BootWithout()
	m.Reboot()
	end = settle(t, m, want)
	// It went when the wish did, and so has to come again.
	if len(end.Blocked) != 1 || end.Blocked[0].Why.Reason != reason.RebootInVain {
		t.Errorf("%s", text(end))
	}
	if err := m.Host().BootCtl.SetArgs(t.Context(), []string{"intel_iommu=on", "iommu=pt"}, nil); err != nil {
		t.Fatal(err)
	}
	m.Reboot()
	if end = settle(t, m, want); len(end.Blocked) > 0 || len(m.Reboots()) != 1 {
		t.Errorf("with the argument there is still: %s; rebooted for %q", text(end), m.Reboots())
	}
}

func TestNoRebootIsAskedForBeforeTheBootLoaderHoldsTheArgument(t *testing.T) {
	for name, trouble := range map[string]func(*sim.Machine){
		"it refuses":                     func(m *sim.Machine) { m.Fail("boot:args", unix.EIO) },
		"it says yes and takes nothing":  func(m *sim.Machine) { m.Ignore("boot:args") },
		"its configuration is read-only": func(m *sim.Machine) { m.Fail("boot:args", unix.EROFS) },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, sleepyText)
			trouble(m)
			want := vfioNode(t, "")
			for range 3 {
				p, err := step(m, want)
				var failure *execute.StepError
				if !errors.As(err, &failure) || p.Prepared() {
					t.Fatalf("the run says %v; prepared: %t", err, p.Prepared())
				}
			}
			p, _, err := see(m, want)
			if err != nil || p.Prepared() {
				t.Errorf("prepared: %t, %v", p.Prepared(), err)
			}
			if text := m.Snapshot(); strings.Contains(text, "awaited") {
				t.Errorf("a boot is awaited that nobody prepared:\n%s", text)
			}
			m.Heal()
			if end := settle(t, m, want); len(end.Blocked) > 0 || len(m.Reboots()) != 1 {
				t.Errorf("healed: %s; rebooted for %q", text(end), m.Reboots())
			}
		})
	}
}

// Law: whatever is asked for one after another, a machine never reboots more often
// than there are things that need a boot, and ends as a machine does on which the
// last was asked for at once, once that has booted.
func TestLawRebootsAreFew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t, sleepyText)
		modes := rapid.SliceOfN(rapid.SampledFrom([]hw.RDMAMode{"", hw.RDMAShared, hw.RDMAExclusive}), 1, 4).Draw(t, "modes")
		for i, mode := range modes {
			if rapid.Bool().Draw(t, "a pod") {
				m.Namespace()
			}
			want, _ := desired.New(wishes(t, "W").PFs(), mode)
			before := len(m.Reboots())
			end := settle(t, m, want)
			if len(end.Blocked) > 0 {
				t.Fatalf("wish %d: %s", i, text(end))
			}
			if asked := len(m.Reboots()) - before; asked > 1 {
				t.Fatalf("wish %d: rebooted %d times for %q", i, asked, m.Reboots())
			}
		}
	})
}

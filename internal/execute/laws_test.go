// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package execute_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/discover"
	"github.com/kubeovn/sriov-network-operator/internal/disruption"
	"github.com/kubeovn/sriov-network-operator/internal/execute"
	"github.com/kubeovn/sriov-network-operator/internal/host/sim"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/ledger"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
)

// tester is what a test and a property test have in common.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

// machineText is a machine on which most of what can differ does: two ports of
// one mlx5 card, an ice port, two igb ports, one of them with foreign VFs.
const machineText = `
pfs:
- {pci: "0000:5f:00.0", model: ConnectX-5, name: ens1f0, mac: "08:c0:eb:f4:85:ab", totalvfs: 8}
- {pci: "0000:5f:00.1", model: ConnectX-5, name: ens1f1, mac: "08:c0:eb:f4:85:bb", totalvfs: 8}
- {pci: "0000:86:00.0", model: E810, name: ens2, mac: "b4:96:91:00:00:01", totalvfs: 8}
- {pci: "0000:01:00.0", model: "82576", name: eth1, mac: "02:00:00:00:10:00"}
- {pci: "0000:02:00.0", model: "82576", name: eth2, mac: "02:00:00:00:11:00", numvfs: 3}
`

// foreign is the PF that no test asks for.
const foreign = "0000:02:00.0"

func newMachine(t tester, text string) *sim.Machine {
	t.Helper()
	m, err := sim.Parse([]byte(text))
	if err != nil {
		t.Fatalf("parse the machine: %v", err)
	}
	return m
}

func look(t tester, m *sim.Machine, want desired.Node) (plan.Plan, *ledger.Ledger) {
	t.Helper()
	p, l, err := see(m, want)
	if err != nil {
		t.Fatalf("look: %v", err)
	}
	return p, l
}

func see(m *sim.Machine, want desired.Node) (plan.Plan, *ledger.Ledger, error) {
	h := m.Host()
	nics := catalog.Default()
	inv, err := discover.Machine(context.Background(), h.Reader, nics)
	if err != nil {
		return plan.Plan{}, nil, err
	}
	if len(inv.Problems) > 0 {
		return plan.Plan{}, nil, fmt.Errorf("discovery has problems: %v", inv.Problems)
	}
	l, err := ledger.Open(h.Files, h.Conf)
	if err != nil {
		return plan.Plan{}, nil, err
	}
	return plan.Compute(want, inv, l.Memory(), nics), l, nil
}

func run(m *sim.Machine, p plan.Plan, l execute.Ledger) error {
	return execute.Run(context.Background(), m.Host(), l, p, execute.Options{Now: time.Now, StepTimeout: time.Minute})
}

// converge looks, plans and executes once.
func converge(t tester, m *sim.Machine, want desired.Node) error {
	t.Helper()
	p, l := look(t, m, want)
	return run(m, p, l)
}

func mustConverge(t tester, m *sim.Machine, want desired.Node) {
	t.Helper()
	if err := converge(t, m, want); err != nil {
		t.Fatalf("converge: %v\n%s", err, m.Snapshot())
	}
}

// leftovers are settings that switchdev needs, that harm nobody, and that stay
// when it goes: the steering mode, the offload feature, the port being up. The
// ledger remembers the way, not the end.
var leftovers = regexp.MustCompile(`(?m) (tc|steering|up)=\S+|^file etc/sriov-operator/.*\n(  \| .*\n)*`)

func state(m *sim.Machine) string { return leftovers.ReplaceAllString(m.Snapshot(), "") }

// section is what the snapshot says of one PF.
func section(m *sim.Machine, addr string) string {
	var out []string
	in := false
	for line := range strings.Lines(state(m)) {
		if !strings.HasPrefix(line, " ") {
			in = strings.HasPrefix(line, addr)
		}
		if in {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// wishes draws a desired node for the machine above.
func wishes(t *rapid.T, label string) desired.Node { return draw(t, label, sparse) }

// detail is how much a drawn node says.
type detail bool

const (
	// sparse leaves VFs in no group and MTUs unset now and then: what nobody
	// asks for is left as it is.
	sparse detail = false
	// complete says what every VF shall be.
	complete detail = true
)

func draw(t *rapid.T, label string, d detail) desired.Node {
	kinds := []kind{
		{"0000:5f:00.0", 8, true, true}, {"0000:5f:00.1", 8, true, true}, {"0000:86:00.0", 8, true, false}, {"0000:01:00.0", 7, false, false},
	}
	var pfs []desired.PF
	for _, k := range kinds {
		if !rapid.Bool().Draw(t, label+" wants "+k.addr) {
			continue
		}
		pfs = append(pfs, wish(t, label+" "+k.addr, k, d))
	}
	node, rejected := desired.New(pfs, "")
	if len(rejected) > 0 {
		t.Fatalf("drew a node that cannot be: %v", rejected[0].Err)
	}
	return node
}

// kind is what can be asked of a PF of the machine above.
type kind struct {
	addr            string
	most            int
	switchdev, vdpa bool
}

func wish(t *rapid.T, label string, k kind, d detail) desired.PF {
	at, err := hw.ParsePCIAddr(k.addr)
	if err != nil {
		t.Fatalf("%v", err)
	}
	pf := desired.PF{
		Addr: at, NumVFs: rapid.IntRange(0, k.most).Draw(t, label+" numVfs"),
		MTU: rapid.SampledFrom([]int{0, 0, 1500, 4000, 9000}).Draw(t, label+" mtu"),
	}
	if k.switchdev && rapid.Bool().Draw(t, label+" switchdev") {
		pf.Eswitch = hw.EswitchSwitchdev
	}
	for first := 0; first < pf.NumVFs; {
		last := rapid.IntRange(first, pf.NumVFs-1).Draw(t, label+" last")
		if d == complete || rapid.Bool().Draw(t, label+" grouped") {
			g := desired.Group{Policy: fmt.Sprintf("p%d", first), Resource: "r", Range: hw.VFRange{First: first, Last: last}}
			if rapid.Bool().Draw(t, label+" vfio") {
				g.Driver = desired.VFIO
			} else if pf.MTU >= 4000 {
				g.MTU = rapid.SampledFrom([]int{0, 1500, 4000}).Draw(t, label+" vf mtu")
			}
			if d == complete && g.Driver != desired.VFIO && g.MTU == 0 {
				g.MTU = 1500
			}
			if k.vdpa && pf.Eswitch == hw.EswitchSwitchdev && g.Driver != desired.VFIO {
				g.VDPA = rapid.SampledFrom([]hw.VDPAType{hw.VDPANone, hw.VDPAVhost, hw.VDPAVirtio}).Draw(t, label+" vdpa")
			}
			pf.Groups = append(pf.Groups, g)
		}
		first = last + 1
	}
	return pf
}

// Law: after executing a plan, planning again gives the empty plan, and executing
// that writes nothing.
func TestLawFixpoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t, machineText)
		for i := range 3 {
			want := wishes(t, fmt.Sprint("W", i))
			mustConverge(t, m, want)
			writes := m.Writes()
			again, l := look(t, m, want)
			if !again.Empty() || len(again.Blocked) > 0 {
				t.Fatalf("after executing, there is more to do: %s", text(again))
			}
			if err := run(m, again, l); err != nil || m.Writes() != writes {
				t.Fatalf("the empty plan writes: %v", err)
			}
		}
	})
}

// Law: from any reachable state, going to W ends where going straight to W ends,
// in everything that W speaks of.
func TestLawPathIndependence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wandered, straight := newMachine(t, machineText), newMachine(t, machineText)
		for i := range rapid.IntRange(1, 4).Draw(t, "detours") {
			mustConverge(t, wandered, wishes(t, fmt.Sprint("D", i)))
		}
		want := draw(t, "W", complete)
		mustConverge(t, wandered, want)
		mustConverge(t, straight, want)
		if diff := cmp.Diff(state(straight), state(wandered)); diff != "" {
			t.Fatalf("the way matters (-straight +wandered):\n%s", diff)
		}
	})
}

// Law: killed after any number of writes, the next run ends where an undisturbed
// one does.
func TestLawCrashAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCrash(t, wishes(t, "first"), wishes(t, "second"))
		if c.writes > 0 {
			c.after(t, rapid.IntRange(0, c.writes-1).Draw(t, "killed after"))
		}
	})
}

// The same at every single write of a change that does nearly everything: VFs are
// remade in switchdev mode, others move to userspace, a PF is given back.
func TestACrashAtEveryWriteOfALargeChange(t *testing.T) {
	addr := func(s string) hw.PCIAddr {
		a, err := hw.ParsePCIAddr(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	node := func(pfs ...desired.PF) desired.Node {
		n, rejected := desired.New(pfs, "")
		if len(rejected) > 0 {
			t.Fatal(rejected[0].Err)
		}
		return n
	}
	group := func(first, last int, d desired.Driver, mtu int) desired.Group {
		return desired.Group{Policy: "p", Resource: "r", Range: hw.VFRange{First: first, Last: last}, Driver: d, MTU: mtu}
	}
	c := newCrash(t,
		node(
			desired.PF{Addr: addr("0000:5f:00.0"), NumVFs: 2, Eswitch: hw.EswitchSwitchdev, Groups: []desired.Group{group(0, 1, desired.Kernel, 0)}},
			desired.PF{Addr: addr("0000:86:00.0"), NumVFs: 4, MTU: 9000, Groups: []desired.Group{group(0, 3, desired.Kernel, 4000)}},
			desired.PF{Addr: addr("0000:01:00.0"), NumVFs: 4, Groups: []desired.Group{group(0, 3, desired.Kernel, 0)}},
		),
		node(
			desired.PF{Addr: addr("0000:5f:00.0"), NumVFs: 3, Eswitch: hw.EswitchSwitchdev, Groups: []desired.Group{group(0, 2, desired.Kernel, 0)}},
			desired.PF{Addr: addr("0000:5f:00.1"), NumVFs: 2, Eswitch: hw.EswitchSwitchdev, Groups: []desired.Group{group(0, 1, desired.Kernel, 0)}},
			desired.PF{Addr: addr("0000:86:00.0"), NumVFs: 4, MTU: 4000, Groups: []desired.Group{group(0, 1, desired.VFIO, 0), group(2, 3, desired.Kernel, 1500)}},
		),
	)
	if c.writes < 30 {
		t.Fatalf("the change has only %d writes", c.writes)
	}
	for n := range c.writes {
		c.after(t, n)
	}
}

// crash is a change from one desired node to another that can be killed.
type crash struct {
	first, second desired.Node
	// writes is how many it makes when nothing disturbs it, calm how it then ends.
	writes int
	calm   string
}

func newCrash(t tester, first, second desired.Node) crash {
	t.Helper()
	m := newMachine(t, machineText)
	mustConverge(t, m, first)
	before := m.Writes()
	mustConverge(t, m, second)
	return crash{first: first, second: second, writes: m.Writes() - before, calm: state(m)}
}

// after kills the change after n writes and lets the next run finish.
func (c crash) after(t tester, n int) {
	t.Helper()
	m := newMachine(t, machineText)
	mustConverge(t, m, c.first)
	p, l := look(t, m, c.second)
	m.CrashAfter(n)
	if err := run(m, p, l); !errors.Is(err, sim.ErrCrashed) {
		t.Fatalf("killed after %d of %d writes, the run says: %v", n, c.writes, err)
	}
	m.Revive()
	mustConverge(t, m, c.second)
	if diff := cmp.Diff(c.calm, state(m)); diff != "" {
		t.Fatalf("killed after %d of %d writes (-undisturbed +killed):\n%s", n, c.writes, diff)
	}
}

// Law: the plan's class is the maximum of its steps'; a step that takes VFs away
// is of class pods, and one of class none takes nothing and cuts nothing.
func TestLawDisruptionAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t, machineText)
		mustConverge(t, m, wishes(t, "first"))
		p, _ := look(t, m, wishes(t, "second"))
		most := disruption.None
		for s := range p.Steps() {
			most = max(most, s.Class)
			if (len(s.Takes) > 0) != (s.Class == disruption.Pods) {
				t.Fatalf("%s is of class %s and takes %v", s.Do.Does(), s.Class, s.Takes)
			}
			if s.CutsLink && s.Class < disruption.Link {
				t.Fatalf("%s cuts the link and is of class %s", s.Do.Does(), s.Class)
			}
			if s.Why.Reason == "" || s.Why.String() == "" {
				t.Fatalf("%s has no reason", s.Do.Does())
			}
		}
		if p.Class() != most {
			t.Fatalf("the plan is of class %s, its steps of %s", p.Class(), most)
		}
	})
}

// Law: a VF that no step takes keeps everything that it has.
func TestLawAVFThatIsNotTakenIsNotTouched(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t, machineText)
		mustConverge(t, m, wishes(t, "first"))
		p, l := look(t, m, wishes(t, "second"))
		before := vfLines(m)
		if err := run(m, p, l); err != nil {
			t.Fatalf("%v", err)
		}
		after := vfLines(m)
		for vf, line := range before {
			if slices.Contains(p.Takes(), vf) {
				continue
			}
			if !keeps(line, after[vf]) {
				t.Fatalf("VF %s is not taken and changed:\n%s%s\n%s", vf, line, after[vf], text(p))
			}
		}
	})
}

// A vDPA device comes beside what its VF has: whoever holds the VF keeps it, so
// making one takes nothing. One that is made anew goes first, and that does.
func TestAVDPADeviceComesWithoutTakingTheVF(t *testing.T) {
	wants := func(vdpa hw.VDPAType) desired.Node {
		addr, err := hw.ParsePCIAddr("0000:5f:00.0")
		if err != nil {
			t.Fatal(err)
		}
		node, rejected := desired.New([]desired.PF{{
			Addr: addr, NumVFs: 2, Eswitch: hw.EswitchSwitchdev,
			Groups: []desired.Group{{Policy: "p", Resource: "r", Range: hw.VFRange{First: 0, Last: 1}, VDPA: vdpa}},
		}}, "")
		if len(rejected) > 0 {
			t.Fatal(rejected[0].Err)
		}
		return node
	}
	m := newMachine(t, machineText)
	mustConverge(t, m, wants(hw.VDPANone))
	p, l := look(t, m, wants(hw.VDPAVhost))
	if takes := p.Takes(); len(takes) > 0 {
		t.Errorf("a device that is made takes %v:\n%s", takes, text(p))
	}
	before := vfLines(m)
	if err := run(m, p, l); err != nil {
		t.Fatal(err)
	}
	for vf, line := range vfLines(m) {
		if vf.PF.String() == "0000:5f:00.0" && (!strings.Contains(line, " vdpa=vhost") || !keeps(before[vf], line)) {
			t.Errorf("VF %s became\n%swas\n%s", vf, line, before[vf])
		}
	}
	if p, _ := look(t, m, wants(hw.VDPAVirtio)); len(p.Takes()) != 2 {
		t.Errorf("another type takes %v, want both VFs", p.Takes())
	}
}

// keeps reports whether a VF still has all that it had, but for what may change
// under its holder's feet: the MTU and the MAC for the next bind.
func keeps(before, after string) bool {
	if !strings.Contains(before, " vdpa=") {
		after = regexp.MustCompile(` vdpa=\S+`).ReplaceAllString(after, "")
	}
	bound := func(line string) string {
		return regexp.MustCompile(` (mtu|admin|mac)=\S+`).ReplaceAllString(line, "")
	}
	return bound(before) == bound(after)
}

func vfLines(m *sim.Machine) map[hw.VFRef]string {
	out := map[hw.VFRef]string{}
	var pf hw.PCIAddr
	for line := range strings.Lines(state(m)) {
		if addr, err := hw.ParsePCIAddr(strings.Fields(line)[0]); err == nil {
			pf = addr
		}
		var index int
		if _, err := fmt.Sscanf(line, "  vf %d", &index); err == nil {
			out[hw.VFRef{PF: pf, Index: index}] = line
		}
	}
	return out
}

// Law: no step touches a PF that is neither desired nor in the ledger.
func TestLawHandsOff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t, machineText)
		before := section(m, foreign)
		for i := range 3 {
			want := wishes(t, fmt.Sprint("W", i))
			p, l := look(t, m, want)
			for _, lane := range p.Lanes {
				_, asked := want.PF(lane.PF)
				_, ours := l.Memory()[lane.PF]
				if !asked && !ours {
					t.Fatalf("the plan touches %s, which is foreign", lane.PF)
				}
			}
			if err := run(m, p, l); err != nil {
				t.Fatalf("%v", err)
			}
		}
		if diff := cmp.Diff(before, section(m, foreign)); diff != "" {
			t.Fatalf("the foreign PF changed (-before +after):\n%s", diff)
		}
	})
}

// Law: an errno that is injected at any step is in the error at the top, and no
// other lane's end changes.
func TestLawTheCauseSurvives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first, second := wishes(t, "first"), wishes(t, "second")
		calm := newMachine(t, machineText)
		mustConverge(t, calm, first)
		p, l := look(t, calm, second)
		faults := faultsOf(p)
		if len(faults) == 0 {
			return
		}
		if err := run(calm, p, l); err != nil {
			t.Fatalf("%v", err)
		}
		fault := rapid.SampledFrom(faults).Draw(t, "fault")
		cause := rapid.SampledFrom([]error{unix.ENOMEM, unix.EBUSY, unix.EIO, unix.ENOSPC}).Draw(t, "errno")

		m := newMachine(t, machineText)
		mustConverge(t, m, first)
		m.Fail(fault.addr, cause)
		err := converge(t, m, second)
		var step *execute.StepError
		if !errors.Is(err, cause) || !errors.As(err, &step) || step.PF != fault.pf {
			t.Fatalf("%s fails with %v and the run says: %v", fault.addr, cause, err)
		}
		for _, lane := range p.Lanes {
			if lane.PF == fault.pf {
				continue
			}
			if diff := cmp.Diff(section(calm, lane.PF.String()), section(m, lane.PF.String())); diff != "" {
				t.Fatalf("%s failed and %s ends elsewhere (-calm +got):\n%s", fault.addr, lane.PF, diff)
			}
		}
		m.Heal()
		mustConverge(t, m, second)
		if diff := cmp.Diff(state(calm), state(m)); diff != "" {
			t.Fatalf("after the fault is gone (-calm +healed):\n%s", diff)
		}
	})
}

type fault struct {
	pf   hw.PCIAddr
	addr string
}

// faultsOf are places where each lane of the plan can fail.
func faultsOf(p plan.Plan) []fault {
	var out []fault
	for _, lane := range p.Lanes {
		for _, s := range lane.Steps {
			if addr := faultOf(lane.PF, s.Do); addr != "" {
				out = append(out, fault{lane.PF, addr})
			}
		}
	}
	return out
}

func faultOf(pf hw.PCIAddr, a plan.Action) string {
	switch a := a.(type) {
	case plan.SetNumVFs:
		return fmt.Sprintf("sys/bus/pci/devices/%s/sriov_numvfs", pf)
	case plan.SetAutoprobe:
		return fmt.Sprintf("sys/bus/pci/devices/%s/sriov_drivers_autoprobe", pf)
	case plan.SetMTU:
		return fmt.Sprintf("link:%s/mtu", pf)
	case plan.SetEswitchMode:
		return fmt.Sprintf("devlink:%s/eswitch", pf)
	case plan.SetAdminMACs:
		return fmt.Sprintf("vf:%s#%d/mac", pf, a.MACs[0].VF)
	case plan.Claim:
		return fmt.Sprintf("etc/sriov-operator/pci/%s", pf)
	default:
		return ""
	}
}

func text(p plan.Plan) string {
	var out []string
	for s := range p.Steps() {
		out = append(out, fmt.Sprintf("%s %+v: %s", s.Do.Does(), s.Do, s.Why))
	}
	for _, b := range p.Blocked {
		out = append(out, fmt.Sprintf("blocked %s: %s", b.PF, b.Why))
	}
	return strings.Join(out, "\n")
}

// The described machines are all fit to be looked at and left alone.
func TestNothingIsAskedOfAnyMachineAndNothingIsDone(t *testing.T) {
	entries, err := os.ReadDir("../../test/machines")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".yaml") {
			continue
		}
		seen++
		data, err := os.ReadFile("../../test/machines/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		m := newMachine(t, string(data))
		if p, _ := look(t, m, desired.Node{}); !p.Empty() || m.Writes() != 0 {
			t.Errorf("%s: %s", e.Name(), text(p))
		}
	}
	if seen == 0 {
		t.Fatal("no machine is described")
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/disruption"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

var (
	port0 = hw.PCIAddr{Bus: 0x5f}
	port1 = hw.PCIAddr{Bus: 0x5f, Function: 1}
)

// machine is an inventory with everything registered that a plan may need.
func machine(pfs ...hw.PF) hw.Inventory {
	return hw.Inventory{
		PFs: pfs, RDMA: hw.Read(hw.RDMAShared), IOMMUGroups: 40,
		PCIDrivers:  []string{"iavf", "ice", "igb", "igbvf", "mlx5_core", "vfio-pci"},
		VDPADrivers: []string{"vhost_vdpa", "virtio_vdpa"},
	}
}

// pf is an idle port of a driver with n VFs on their kernel driver, configured
// before as far as addresses go.
func pf(addr hw.PCIAddr, driver string, n int) hw.PF {
	out := hw.PF{
		Addr: addr, VendorID: "15b3", DeviceID: "1017", Driver: driver,
		Netdev: fmt.Sprintf("ens%d", addr.Function), MAC: "08:c0:eb:f4:85:ab", PermMAC: "08:c0:eb:f4:85:ab",
		MTU: hw.Read(1500), MaxMTU: 9978, LinkType: hw.LinkEthernet, AdminUp: true,
		TotalVFs: 16, NumVFs: n, Autoprobe: true,
		Eswitch: hw.Read(hw.EswitchLegacy), EswitchAbsent: driver == "igb", TCOffload: hw.FeatureOff,
	}
	if driver == "mlx5_core" {
		out.SteeringMode = "dmfs"
	}
	traits := catalog.Default().Driver(driver)
	for i := range n {
		mac := hw.DeriveMAC(out.Seed(), hw.VFRef{PF: addr, Index: i})
		out.VFs = append(out.VFs, hw.VF{
			Index: i, Addr: addr.Routed(2 + i), Driver: traits.VFDriver, Netdev: fmt.Sprintf("%sv%d", out.Netdev, i),
			MAC: mac, AdminMAC: hw.Read(mac), MTU: 1500, NodeGUID: hw.Unreadable[hw.GUID]("no RDMA device"),
		})
	}
	return out
}

func group(first, last int, driver desired.Driver) desired.Group {
	return desired.Group{Policy: "p", Resource: "r", Range: hw.VFRange{First: first, Last: last}, Driver: driver}
}

func want(t *testing.T, pfs ...desired.PF) desired.Node {
	t.Helper()
	node, rejected := desired.New(pfs, "")
	for _, r := range rejected {
		t.Fatal(r.Err)
	}
	return node
}

// owned is a memory in which the PFs of the inventory were configured as desired.
func owned(node desired.Node, inv hw.Inventory) Memory {
	m := Memory{}
	for _, w := range node.PFs() {
		if saw, ok := inv.PF(w.Addr); ok {
			rec := nextRecord(w, saw, Record{}, false)
			rec.Initial, rec.MadeVFs = &Initial{MTU: 1500, Eswitch: hw.EswitchLegacy}, true
			m[w.Addr] = rec
		}
	}
	return m
}

// settled adds the udev rules that the node's PFs have once they are configured.
func settled(node desired.Node, inv hw.Inventory, last Memory) hw.Inventory {
	inv.OwnedFiles = map[string]string{}
	for s := range Compute(node, inv, last, catalog.Default()).Steps() {
		if w, ok := s.Do.(WriteFile); ok {
			inv.OwnedFiles[w.Path] = w.Content
		}
	}
	return inv
}

// lines says a plan in one line per step: what it does and what it takes.
func lines(p Plan) []string {
	var out []string
	for s := range p.Steps() {
		with, err := json.Marshal(s.Do)
		if err != nil {
			panic(err)
		}
		line := s.Do.Does() + " " + string(with) + " " + s.Class.String()
		if len(s.Takes) > 0 {
			line += " takes " + hw.FormatIndices(s.Takes)
		}
		out = append(out, line)
	}
	return out
}

// verbs are the actions of one PF's lane, without the bookkeeping.
func verbs(p Plan) []string {
	var out []string
	for _, l := range p.Lanes {
		for _, s := range l.Steps {
			switch do := s.Do.(type) {
			case Claim, SetAutoprobe:
			case SetNumVFs:
				out = append(out, fmt.Sprintf("numvfs %d to %d", do.From, do.To))
			case SetEswitchMode:
				out = append(out, "eswitch "+string(do.To))
			case BindVFs:
				out = append(out, strings.TrimSpace("bind "+hw.FormatIndices(do.VFs)+" "+do.Driver))
			default:
				out = append(out, s.Do.Does())
			}
		}
	}
	return out
}

func TestWhenAPFIsSetUp(t *testing.T) {
	for name, c := range map[string]struct {
		driver string
		want   []string
	}{
		"before its VFs are made, by default":                       {"mlx5_core", []string{"SetLinkUp", "numvfs 0 to 4", "SetAdminMACs", "bind 0-3"}},
		"after, when its driver would open the netdev twice":        {"igb", []string{"numvfs 0 to 4", "SetLinkUp", "SetAdminMACs", "bind 0-3"}},
		"before, when its driver makes no VFs of a PF that is down": {"bnxt_en", []string{"SetLinkUp", "numvfs 0 to 4", "SetAdminMACs", "bind 0-3"}},
		"before, when its driver is not known":                      {"unheardof", []string{"SetLinkUp", "numvfs 0 to 4", "SetAdminMACs", "bind 0-3"}},
	} {
		t.Run(name, func(t *testing.T) {
			down := pf(port0, c.driver, 0)
			down.AdminUp = false
			node := want(t, desired.PF{Addr: port0, Name: "ens0", NumVFs: 4, Groups: []desired.Group{group(0, 3, desired.Kernel)}})
			got := verbs(Compute(node, machine(down), Memory{}, catalog.Default()))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewVFsProbeNothingBeforeTheyMay(t *testing.T) {
	node := want(t, desired.PF{Addr: port0, Name: "ens0", NumVFs: 8, Groups: []desired.Group{group(0, 3, desired.Kernel), group(4, 7, desired.VFIO)}})
	var got []string
	for s := range Compute(node, machine(pf(port0, "igb", 0)), Memory{}, catalog.Default()).Steps() {
		switch do := s.Do.(type) {
		case SetAutoprobe:
			got = append(got, fmt.Sprintf("autoprobe %v", do.On))
		case SetNumVFs, SetAdminMACs:
			got = append(got, s.Do.Does())
		case BindVFs:
			got = append(got, strings.TrimSpace("bind "+hw.FormatIndices(do.VFs)+" "+do.Driver))
		default: // what makes no VF and binds none
		}
	}
	if diff := cmp.Diff([]string{"autoprobe false", "SetNumVFs", "SetAdminMACs", "bind 4-7 vfio-pci", "autoprobe true", "bind 0-3"}, got); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

func TestWhatAChangeTakes(t *testing.T) {
	legacy := func(n int, groups ...desired.Group) desired.PF {
		return desired.PF{Addr: port0, Name: "ens0", NumVFs: n, Groups: groups}
	}
	withMTU := func(mtu int, pf desired.PF) desired.PF {
		pf.MTU = mtu
		return pf
	}
	switchdev := func(pf desired.PF) desired.PF {
		pf.Eswitch = hw.EswitchSwitchdev
		return pf
	}
	in := func(mode hw.EswitchMode, pf hw.PF) hw.PF {
		pf.Eswitch = hw.Read(mode)
		pf.TCOffload = hw.FeatureOn
		pf.SteeringMode = ""
		return pf
	}
	for name, c := range map[string]struct {
		saw   hw.PF
		want  desired.PF
		verbs []string
		takes string
		class disruption.Class
	}{
		"nothing to do is an empty plan": {
			saw: pf(port0, "mlx5_core", 4), want: legacy(4, group(0, 3, desired.Kernel)),
		},
		"the first VFs disturb nobody on a NIC whose port stays up": {
			saw: pf(port0, "mlx5_core", 0), want: legacy(4, group(0, 3, desired.Kernel)),
			verbs: []string{"numvfs 0 to 4", "SetAdminMACs", "bind 0-3"},
		},
		"the first VFs pause the port of a NIC that is reset by it": {
			saw: pf(port0, "igb", 0), want: legacy(4, group(0, 3, desired.Kernel)),
			verbs: []string{"numvfs 0 to 4", "SetAdminMACs", "bind 0-3"}, class: disruption.Link,
		},
		"growing 4 to 8 VFs is 4, 0, 8 and takes the four": {
			saw: pf(port0, "mlx5_core", 4), want: legacy(8, group(0, 7, desired.Kernel)),
			verbs: []string{"numvfs 4 to 0", "numvfs 0 to 8", "SetAdminMACs", "bind 0-7"},
			takes: "0-3", class: disruption.Pods,
		},
		"shrinking to none is one write": {
			saw: pf(port0, "mlx5_core", 4), want: legacy(0),
			verbs: []string{"numvfs 4 to 0"}, takes: "0-3", class: disruption.Pods,
		},
		"another driver for the group 2-5 touches no other VF": {
			saw: pf(port0, "mlx5_core", 8), want: legacy(8, group(0, 1, desired.Kernel), group(2, 5, desired.VFIO)),
			verbs: []string{"bind 2-5 vfio-pci"}, takes: "2-5", class: disruption.Pods,
		},
		"a larger MTU is no reset": {
			saw: pf(port0, "mlx5_core", 4), want: withMTU(9000, legacy(4, group(0, 3, desired.Kernel))),
			verbs: []string{"SetMTU"}, class: disruption.Link,
		},
		"a VF's MTU changes in place": {
			saw: pf(port0, "mlx5_core", 2), want: legacy(2, func() desired.Group {
				g := group(0, 1, desired.Kernel)
				g.MTU = 1400
				return g
			}()),
			verbs: []string{"SetVFMTU"},
		},
		"new VFs of mlx5 come in legacy mode and are bound in switchdev mode": {
			saw: pf(port0, "mlx5_core", 0), want: switchdev(legacy(3, group(0, 2, desired.Kernel))),
			verbs: []string{"EnableTCOffload", "numvfs 0 to 3", "SetSteering", "eswitch switchdev", "SetAdminMACs", "bind 0-2"},
			class: disruption.Link,
		},
		"mlx5 keeps its VFs when only the mode changes": {
			saw: pf(port0, "mlx5_core", 3), want: switchdev(legacy(3, group(0, 2, desired.Kernel))),
			verbs: []string{"EnableTCOffload", "UnbindVFs", "SetSteering", "eswitch switchdev", "bind 0-2"},
			takes: "0-2", class: disruption.Pods,
		},
		"mlx5 in switchdev mode remakes its VFs in legacy mode": {
			saw: in(hw.EswitchSwitchdev, pf(port0, "mlx5_core", 3)), want: switchdev(legacy(4, group(0, 3, desired.Kernel))),
			verbs: []string{"numvfs 3 to 0", "eswitch legacy", "numvfs 0 to 4", "eswitch switchdev", "SetAdminMACs", "bind 0-3"},
			takes: "0-2", class: disruption.Pods,
		},
		"ice changes its mode without VFs": {
			saw: pf(port0, "ice", 3), want: switchdev(legacy(3, group(0, 2, desired.Kernel))),
			verbs: []string{"EnableTCOffload", "numvfs 3 to 0", "eswitch switchdev", "numvfs 0 to 3", "SetAdminMACs", "bind 0-2"},
			takes: "0-2", class: disruption.Pods,
		},
		"VFs in no group get the kernel's driver": {
			saw: pf(port0, "mlx5_core", 0), want: legacy(4, group(2, 3, desired.VFIO)),
			verbs: []string{"numvfs 0 to 4", "SetAdminMACs", "bind 2-3 vfio-pci", "bind 0-1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			node := want(t, c.want)
			inv := machine(c.saw)
			last := owned(node, inv)
			inv = settled(node, inv, last)
			p := Compute(node, inv, last, catalog.Default())
			if len(p.Blocked) > 0 {
				t.Fatalf("blocked: %+v", p.Blocked)
			}
			if diff := cmp.Diff(c.verbs, verbs(p)); diff != "" {
				t.Errorf("steps (-want +got):\n%s\n%s", diff, strings.Join(lines(p), "\n"))
			}
			taken := map[int]bool{}
			for _, vf := range p.Takes() {
				taken[vf.Index] = true
			}
			var indices []int
			for i := range taken {
				indices = append(indices, i)
			}
			if got := hw.FormatIndices(indices); got != c.takes {
				t.Errorf("takes VFs %q, want %q", got, c.takes)
			}
			if p.Class() != c.class {
				t.Errorf("disturbs %s, want %s", p.Class(), c.class)
			}
		})
	}
}

func TestWhatCannotBeDoneIsBlockedAndTouchesNothing(t *testing.T) {
	ok := desired.PF{Addr: port0, Name: "ens0", NumVFs: 4, Groups: []desired.Group{group(0, 3, desired.Kernel)}}
	change := func(f func(*desired.PF)) desired.PF {
		pf := ok
		f(&pf)
		return pf
	}
	saw := func(f func(*hw.PF)) hw.PF {
		pf := pf(port0, "mlx5_core", 0)
		f(&pf)
		return pf
	}
	for name, c := range map[string]struct {
		saw   hw.PF
		want  desired.PF
		why   reason.Reason
		steps bool // something else is still done
	}{
		"more VFs than the hardware offers": {
			saw: saw(func(p *hw.PF) { p.TotalVFs = 3 }), want: ok, why: reason.TotalVFsExceeded,
		},
		"switchdev on a driver without an eSwitch": {
			saw: saw(func(p *hw.PF) { p.EswitchAbsent = true }), why: reason.EswitchUnsupported,
			want: change(func(p *desired.PF) { p.Eswitch = hw.EswitchSwitchdev }),
		},
		"an eSwitch mode that cannot be read": {
			saw: saw(func(p *hw.PF) { p.Eswitch = hw.Unreadable[hw.EswitchMode]("EIO") }), want: ok, why: reason.EswitchUnreadable,
		},
		"a port of another link type": {
			saw:  saw(func(p *hw.PF) { p.LinkType = hw.LinkInfiniBand }),
			want: change(func(p *desired.PF) { p.LinkType = hw.LinkEthernet }), why: reason.LinkTypeDiffers,
		},
		"an MTU that the driver does not take, while the VFs are made": {
			saw:  saw(func(p *hw.PF) { p.MaxMTU = 4000 }),
			want: change(func(p *desired.PF) { p.MTU = 9000 }), why: reason.MTUTooLarge, steps: true,
		},
		"a port that carries the default route, when its mode would change": {
			saw:  saw(func(p *hw.PF) { p.InUseBy = []string{"default route via ens0"} }),
			want: change(func(p *desired.PF) { p.Eswitch = hw.EswitchSwitchdev }), why: reason.HostTraffic,
		},
		"an externally managed port with too few VFs": {
			saw: pf(port0, "mlx5_core", 2), want: change(func(p *desired.PF) { p.ExternallyManaged = true }), why: reason.ExternalCountTooLow,
		},
		"an externally managed port in another mode": {
			saw: pf(port0, "mlx5_core", 4), why: reason.ExternalModeDiffers,
			want: change(func(p *desired.PF) { p.ExternallyManaged, p.Eswitch = true, hw.EswitchSwitchdev }),
		},
		"an externally managed port with a smaller MTU": {
			saw: pf(port0, "mlx5_core", 4), why: reason.ExternalMTUTooLow,
			want: change(func(p *desired.PF) { p.ExternallyManaged, p.MTU = true, 9000 }),
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := Compute(want(t, c.want), machine(c.saw), nil, catalog.Default())
			if !slices.ContainsFunc(p.Blocked, func(b Blocker) bool { return b.Why.Reason == c.why }) {
				t.Fatalf("blocked %+v, want %s", p.Blocked, c.why)
			}
			if c.why.Fix() == "" {
				t.Errorf("%s has no fix", c.why)
			}
			if p.Empty() == c.steps {
				t.Errorf("steps: %v", lines(p))
			}
		})
	}
}

func TestHostTrafficOnlyBlocksWhatWouldCutItOff(t *testing.T) {
	saw := pf(port0, "mlx5_core", 0)
	saw.InUseBy = []string{"bond bond0"}
	w := desired.PF{Addr: port0, Name: "ens0", NumVFs: 4, Groups: []desired.Group{group(0, 3, desired.Kernel)}}
	if p := Compute(want(t, w), machine(saw), nil, catalog.Default()); len(p.Blocked) > 0 || p.Empty() {
		t.Errorf("VFs that disturb nobody are not made: %+v", p.Blocked)
	}
	w.MTU = 9000
	if p := Compute(want(t, w), machine(saw), nil, catalog.Default()); len(p.Blocked) != 1 || !p.Empty() {
		t.Errorf("a change that cuts the bond off is planned: %v", lines(p))
	}
	w.AllowInUse = true
	if p := Compute(want(t, w), machine(saw), nil, catalog.Default()); len(p.Blocked) > 0 || p.Empty() {
		t.Errorf("consent is not heard: %+v", p.Blocked)
	}
}

// Consent is what the policy says now. Of a PF that nobody asks for any more, it is
// what the last policy said.
func TestConsentToHostTrafficEndsWithThePolicyThatGaveIt(t *testing.T) {
	saw := pf(port0, "igb", 4)
	saw.InUseBy = []string{"bond bond0"}
	before := desired.PF{Addr: port0, Name: "ens0", NumVFs: 4, AllowInUse: true, Groups: []desired.Group{group(0, 3, desired.Kernel)}}
	node := want(t, before)
	last := owned(node, machine(saw))
	inv := settled(node, machine(saw), last)

	after := before
	after.AllowInUse, after.NumVFs = false, 5
	p := Compute(want(t, after), inv, last, catalog.Default())
	if len(p.Blocked) != 1 || p.Blocked[0].Why.Reason != reason.HostTraffic || len(verbs(p)) > 0 {
		t.Errorf("withdrawn together with another number of VFs: blocked %+v, steps %v", p.Blocked, verbs(p))
	}

	p = Compute(want(t), inv, last, catalog.Default())
	if diff := cmp.Diff([]string{"numvfs 4 to 0"}, verbs(p)[:1]); diff != "" || len(p.Blocked) > 0 {
		t.Errorf("a PF that was configured with consent is not given back: blocked %+v (-want +got):\n%s", p.Blocked, diff)
	}
}

// bnxt_en drops a number that is written while the netdev is down, without an error.
func TestAPFThatTakesItsCountOnlyUpIsSetUpBeforeItIsGivenBack(t *testing.T) {
	for driver, up := range map[string]bool{"bnxt_en": true, "mlx5_core": false} {
		saw := pf(port0, driver, 4)
		saw.AdminUp = false
		node := want(t, desired.PF{Addr: port0, Name: "ens0", NumVFs: 4, Groups: []desired.Group{group(0, 3, desired.Kernel)}})
		p := Compute(want(t), machine(saw), owned(node, machine(saw)), catalog.Default())
		if first := p.Lanes[0].Steps[0].Do.Does(); (first == "SetLinkUp") != up {
			t.Errorf("%s: the first step is %s", driver, first)
		}
	}
}

func TestWithoutAnIOMMUVFsForUserspaceAreMadeAndNotBound(t *testing.T) {
	inv := machine(pf(port0, "mlx5_core", 0))
	inv.IOMMUGroups = 0
	p := Compute(want(t, desired.PF{Addr: port0, Name: "ens0", NumVFs: 4,
		Groups: []desired.Group{group(0, 1, desired.Kernel), group(2, 3, desired.VFIO)}}), inv, nil, catalog.Default())
	if diff := cmp.Diff([]string{"numvfs 0 to 4", "SetAdminMACs", "bind 0-1"}, verbs(p)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(p.Blocked) != 1 || p.Blocked[0].Why.Reason != reason.NoIOMMU {
		t.Errorf("blocked: %+v", p.Blocked)
	}
}

// Its VFs may have chosen their MACs themselves, so they are pinned before they
// change their driver.
func TestAnExternallyManagedPFIsOnlyUsed(t *testing.T) {
	p := Compute(want(t, desired.PF{Addr: port0, Name: "ens0", NumVFs: 2, ExternallyManaged: true,
		Groups: []desired.Group{group(0, 1, desired.VFIO)}}), machine(pf(port0, "mlx5_core", 4)), nil, catalog.Default())
	if diff := cmp.Diff([]string{"SetAdminMACs", "bind 0-1 vfio-pci"}, verbs(p)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A VF in userspace shows no netdev. An address that somebody assigned to it stays.
func TestAMACThatSomebodyAssignedStays(t *testing.T) {
	saw := pf(port0, "mlx5_core", 1)
	saw.VFs[0].Driver, saw.VFs[0].Netdev, saw.VFs[0].MAC = "vfio-pci", "", ""
	saw.VFs[0].AdminMAC = hw.Read(hw.MAC("02:00:00:00:00:12"))
	p := Compute(want(t, desired.PF{Addr: port0, Name: "ens0", NumVFs: 1, Groups: []desired.Group{group(0, 0, desired.Kernel)}}),
		machine(saw), nil, catalog.Default())
	for s := range p.Steps() {
		if macs, ok := s.Do.(SetAdminMACs); ok && macs.MACs[0].MAC != "02:00:00:00:00:12" {
			t.Errorf("the VF gets %s", macs.MACs[0].MAC)
		}
	}
	if diff := cmp.Diff([]string{"SetAdminMACs", "bind 0"}, verbs(p)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnMTUThatIsBlockedForThePFIsNotSetOnItsVFs(t *testing.T) {
	g := group(0, 1, desired.Kernel)
	g.MTU = 20000
	p := Compute(want(t, desired.PF{Addr: port0, Name: "ens0", NumVFs: 2, MTU: 20000, Groups: []desired.Group{g}}),
		machine(pf(port0, "mlx5_core", 0)), nil, catalog.Default())
	if diff := cmp.Diff([]string{"numvfs 0 to 2", "SetAdminMACs", "bind 0-1"}, verbs(p)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(p.Blocked) != 1 || p.Blocked[0].Why.Reason != reason.MTUTooLarge {
		t.Errorf("blocked: %+v", p.Blocked)
	}
}

func TestAVirtualDeviceKeepsItsCountAndMTU(t *testing.T) {
	saw := pf(port0, "mlx5_core", 1)
	saw.Virtual, saw.EswitchAbsent, saw.TotalVFs = true, true, 1
	saw.VFs[0].Addr, saw.VFs[0].AdminMAC = port0, hw.Unreadable[hw.MAC]("the platform assigns it")
	p := Compute(want(t, desired.PF{Addr: port0, Name: "ens0", NumVFs: 5, MTU: 9000,
		Groups: []desired.Group{group(0, 4, desired.VFIO)}}), machine(saw), nil, catalog.Default())
	if diff := cmp.Diff([]string{"bind 0 vfio-pci"}, verbs(p)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var notices []reason.Reason
	for _, n := range p.Notices {
		notices = append(notices, n.Why.Reason)
	}
	if diff := cmp.Diff([]reason.Reason{reason.VirtualCount, reason.VirtualMTU, reason.VirtualUserspace}, notices); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
}

func TestAPFThatNobodyAsksForAnyMoreGoesBack(t *testing.T) {
	saw := pf(port0, "mlx5_core", 4)
	saw.MTU, saw.Eswitch = hw.Read(9000), hw.Read(hw.EswitchSwitchdev)
	ours := Record{PF: port0, NumVFs: 4, MTU: 9000, SetMTU: 9000, MadeVFs: true,
		Initial: &Initial{MTU: 1500, Eswitch: hw.EswitchLegacy}}
	for name, c := range map[string]struct {
		saw   hw.PF
		last  Memory
		verbs []string
	}{
		"to what it was like before":       {saw: saw, last: Memory{port0: ours}, verbs: []string{"numvfs 4 to 0", "eswitch legacy", "SetMTU", "Release"}},
		"and a foreign PF is left alone":   {saw: saw, last: nil},
		"and one that was only used stays": {saw: saw, last: Memory{port0: {PF: port0, ExternallyManaged: true}}, verbs: []string{"Release"}},
		"and an MTU that its owner changed meanwhile stays": {
			saw: func() hw.PF { s := saw; s.MTU = hw.Read(4200); return s }(), last: Memory{port0: ours},
			verbs: []string{"numvfs 4 to 0", "eswitch legacy", "Release"},
		},
		"and VFs that others made stay": {
			saw:   pf(port0, "mlx5_core", 4),
			last:  Memory{port0: {PF: port0, NumVFs: 4, Initial: &Initial{MTU: 1500, NumVFs: 4, Eswitch: hw.EswitchLegacy}}},
			verbs: []string{"Release"},
		},
		"to defaults, when the operator before this one did not say": {
			saw: saw, last: Memory{port0: {PF: port0, NumVFs: 4, MTU: 9000}},
			verbs: []string{"numvfs 4 to 0", "eswitch legacy", "SetMTU", "Release"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := Compute(desired.Node{}, machine(c.saw), c.last, catalog.Default())
			if diff := cmp.Diff(c.verbs, verbs(p)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestARuleThatNobodyRemembersIsRemoved(t *testing.T) {
	inv := machine(pf(port0, "mlx5_core", 0))
	inv.OwnedFiles = map[string]string{"etc/udev/rules.d/10-nm-disable-0000:5f:00.0.rules": "x"}
	p := Compute(desired.Node{}, inv, nil, catalog.Default())
	if diff := cmp.Diff([]string{
		`RemoveFile {"path":"etc/udev/rules.d/10-nm-disable-0000:5f:00.0.rules"} none`, "ReloadUdev {} none",
	}, lines(p)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// An MTU is never lowered below what the PF's owner set, and lowering what was
// raised here takes nothing from the owner.
func TestMTUIsNeverLoweredBelowItsOwners(t *testing.T) {
	raised := Record{PF: port0, SetMTU: 9000, Initial: &Initial{MTU: 1500}}
	for name, c := range map[string]struct {
		asked, present int
		rec            Record
		want           int
	}{
		"unset leaves it":                          {asked: 0, present: 1500, want: 1500},
		"larger raises it":                         {asked: 9000, present: 1500, want: 9000},
		"smaller keeps the owner's":                {asked: 1400, present: 1500, want: 1500},
		"what was raised here is lowered":          {asked: 4000, present: 9000, rec: raised, want: 4000},
		"but not below the owner's":                {asked: 1400, present: 9000, rec: raised, want: 1500},
		"and unset goes back to the owner's":       {asked: 0, present: 9000, rec: raised, want: 1500},
		"the owner's later change is the owner's":  {asked: 4000, present: 8000, rec: raised, want: 8000},
		"after a crash before the write it is his": {asked: 9000, present: 1500, rec: raised, want: 9000},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mtuTarget(c.asked, c.present, c.rec); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestStepsSurviveJSON(t *testing.T) {
	mac := hw.MAC("02:00:00:00:00:01")
	actions := []Action{
		LoadModule{Module: "vfio_pci"}, WriteFile{Path: "etc/x", Content: "a\n", Mode: 0o644}, RemoveFile{Path: "etc/x"}, ReloadUdev{},
		SetRDMAMode{Mode: hw.RDMAExclusive}, SetKernelArgs{Add: []string{"iommu=pt"}, Remove: []string{"x=1"}},
		RecordBoot{Record: BootRecord{Args: []string{"iommu=pt"}, Awaited: map[string]string{"iommu=pt": "boot 1"}}, Holding: []string{"iommu=pt"}, Lacking: []string{"x=1"}},
		Claim{PF: port1, Record: Record{PF: port1, NumVFs: 3, Initial: &Initial{MTU: 1500}}}, Release{PF: port1}, SetLinkUp{PF: port1},
		SetMTU{PF: port1, From: 1500, To: 9000}, EnableTCOffload{PF: port1}, SetSteering{PF: port1, Mode: "smfs"},
		SetEswitchMode{PF: port1, From: hw.EswitchLegacy, To: hw.EswitchSwitchdev}, SetAutoprobe{PF: port1, On: true},
		SetNumVFs{PF: port1, From: 4}, SetAdminMACs{PF: port1, MACs: []VFMAC{{VF: 1, MAC: mac}}},
		SetGUIDs{PF: port1, GUIDs: []VFGUID{{VF: 1, GUID: 0x0200000000000001}}}, UnbindVFs{PF: port1, VFs: []int{1}},
		BindVFs{PF: port1, VFs: []int{1, 2}, Driver: "vfio-pci"}, SetVFMTU{PF: port1, VFs: []int{0}, MTU: 1400},
		CreateVDPA{PF: port1, VFs: []int{0}, Type: hw.VDPAVhost}, DeleteVDPA{PF: port1, VFs: []int{0}},
	}
	if len(actions) != len(decoders()) {
		t.Fatalf("%d actions are tested and %d can be decoded", len(actions), len(decoders()))
	}
	for _, a := range actions {
		before := Step{Do: a, Why: reason.Because(reason.NewVF, "x"), Class: disruption.Pods, Takes: []int{1, 2}, CutsLink: true, AfterNode: true}
		text, err := json.Marshal(before)
		if err != nil {
			t.Fatal(err)
		}
		var after Step
		if err := json.Unmarshal(text, &after); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%s (-want +got):\n%s", a.Does(), diff)
		}
	}
}

func TestAFileModeIsWrittenInOctalAndReadAsItWasWrittenBefore(t *testing.T) {
	text, err := json.Marshal(WriteFile{Mode: 0o644})
	if err != nil || !strings.Contains(string(text), `"mode":"0644"`) {
		t.Errorf("wrote %s: %v", text, err)
	}
	for text, want := range map[string]FileMode{`"0644"`: 0o644, `"600"`: 0o600, `420`: 0o644, `"0999"`: 0, `"rw"`: 0, `-1`: 0, `4096`: 0} {
		var got FileMode
		if err := json.Unmarshal([]byte(text), &got); got != want || (err == nil) != (want != 0) {
			t.Errorf("read %s as %04o: %v, want %04o", text, got, err, want)
		}
	}
}

func TestAnUnknownActionIsRefused(t *testing.T) {
	var s Step
	err := json.Unmarshal([]byte(`{"do":"Format","with":{}}`), &s)
	if err == nil || !strings.Contains(err.Error(), "Format") {
		t.Errorf("got %v", err)
	}
}

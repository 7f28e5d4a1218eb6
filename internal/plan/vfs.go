// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// vfNeed is what one VF needs. It exists now, unless it is fresh.
type vfNeed struct {
	index int
	// was is the driver that it has now; empty for none and for a fresh VF.
	was   string
	fresh bool
	group desired.Group
	// grouped says whether group is meant; a VF in no group only gets a driver.
	grouped bool

	bind       bool
	userspace  bool // the driver to bind is vfio-pci, not the kernel's choice
	unbind     bool // taken from its driver first, because it keeps the same one
	why        reason.Reason
	mac        hw.MAC
	guid       hw.GUID
	mtu        int
	deleteVDPA bool
	createVDPA hw.VDPAType
}

// vfs plans what becomes of each VF, and says it in as few steps as it can.
func (p *pfPlan) vfs() {
	var needs []vfNeed
	for _, vf := range p.population() {
		if n, ok := p.need(vf); ok {
			needs = append(needs, n)
		}
	}
	p.deleteVDPA(needs)
	p.addresses(needs)
	p.unbind(needs)
	if p.fresh {
		// An override is probed even while nothing else is (drivers/pci/pci-driver.c,
		// pci_device_can_probe).
		p.bind(needs, true)
		p.probe()
		p.bind(needs, false)
	} else {
		p.bind(needs, false)
		p.bind(needs, true)
	}
	p.vfMTU(needs)
	p.createVDPA(needs)
}

// population are the VFs that will be there: new ones, or those that exist.
func (p *pfPlan) population() []hw.VF {
	if !p.fresh {
		return p.saw.VFs
	}
	out := make([]hw.VF, p.want.NumVFs)
	for i := range out {
		out[i].Index = i
	}
	return out
}

// need finds what a VF needs; false when it needs nothing.
func (p *pfPlan) need(vf hw.VF) (vfNeed, bool) {
	n := vfNeed{index: vf.Index, was: vf.Driver, fresh: p.fresh}
	n.group, n.grouped = p.want.Group(vf.Index)
	if n.grouped && n.group.Driver == desired.VFIO && !p.iommu && vf.Driver != vfioDriver {
		p.noIOMMU(n.group)
		return vfNeed{}, false
	}
	n.driver(vf)
	if made := n.bind && n.was == ""; made || n.grouped {
		p.identity(&n, vf)
	}
	if n.grouped {
		n.datapath(vf, p.mostMTU)
	}
	need := n.bind || n.mac != "" || n.guid != 0 || n.mtu != 0 || n.deleteVDPA || n.createVDPA != hw.VDPANone
	return n, need
}

// noIOMMU lets the PF wait for a boot that brings an IOMMU, or says, once per
// policy, why none does.
func (p *pfPlan) noIOMMU(g desired.Group) {
	if p.vfio == nextBoot {
		p.waits = true
		return
	}
	why := reason.Because(p.hitch.Reason, "%s: policy %s asks for vfio-pci and %s", p.saw.Netdev, g.Policy, p.hitch.Detail)
	if !slices.ContainsFunc(p.blocked, func(b Blocker) bool { return b.Why == why }) {
		p.blocked = append(p.blocked, Blocker{PF: p.saw.Addr, Name: p.saw.Netdev, Why: why})
	}
}

// driver decides whether the VF is bound, and to what.
func (n *vfNeed) driver(vf hw.VF) {
	n.userspace = n.grouped && n.group.Driver == desired.VFIO
	switch {
	case n.fresh:
		n.bind, n.why = true, reason.NewVF
	case vf.Driver == "":
		n.bind, n.why = true, reason.DriverMissing
	case !n.grouped:
	case n.userspace && vf.Driver != vfioDriver, !n.userspace && !hw.KernelDriver(vf.Driver):
		n.bind, n.why = true, reason.DriverDiffers
	}
}

// identity decides about the VF's addresses: they must be set before the driver
// probes, and must not change while somebody uses the VF.
func (p *pfPlan) identity(n *vfNeed, vf hw.VF) {
	ref := hw.VFRef{PF: p.saw.Addr, Index: vf.Index}
	switch p.saw.LinkType {
	case hw.LinkInfiniBand:
		if guid, known := vf.NodeGUID.Get(); n.fresh || (known && guid == 0) {
			n.guid = hw.DeriveGUID(p.saw.Seed(), ref)
			n.rebind(reason.GUIDMissing)
		}
	case hw.LinkEthernet, hw.LinkUnknown:
		if p.saw.Virtual {
			return
		}
		if !p.traits.NoVFMACs {
			n.mac = p.adminMAC(*n, vf, ref)
		}
		if guid, known := vf.NodeGUID.Get(); n.group.RDMA && !n.fresh && known && guid == 0 && vf.RDMADevice != "" {
			n.rebind(reason.RDMANeedsRebind)
		}
	}
}

// adminMAC is the MAC to assign; empty when the VF has one or when it must not be
// touched.
func (p *pfPlan) adminMAC(n vfNeed, vf hw.VF, ref hw.VFRef) hw.MAC {
	if n.fresh {
		return hw.DeriveMAC(p.saw.Seed(), ref)
	}
	admin, known := vf.AdminMAC.Get()
	// Some PFs list the address that a VF chose for itself as if they had assigned
	// it (igb, i40e, ice). Of VFs that others made, only assigning it makes sure.
	certain := known && !admin.IsZero() && (p.record.MadeVFs || !n.bind)
	switch {
	case !known || certain:
		return ""
	case vf.Netdev != "" && !vf.MAC.IsZero():
		return vf.MAC
	case n.bind && !admin.IsZero():
		return admin // no netdev shows whether it is the VF's own choice; it keeps it either way
	case n.bind:
		return hw.DeriveMAC(p.saw.Seed(), ref)
	}
	return "" // a pod or a program in userspace has the VF
}

// rebind makes a VF that keeps its driver probe again.
func (n *vfNeed) rebind(why reason.Reason) {
	if n.bind {
		return
	}
	n.bind, n.unbind, n.why = true, true, why
}

// datapath decides about the MTU and the vDPA device. An MTU above mostMTU was
// blocked for the PF and is none for its VFs; zero is no limit.
func (n *vfNeed) datapath(vf hw.VF, mostMTU int) {
	if n.group.Driver == desired.Kernel && n.group.MTU > 0 {
		wanted := n.bind || (vf.MTU != 0 && vf.MTU != n.group.MTU)
		if wanted && (mostMTU == 0 || n.group.MTU <= mostMTU) {
			n.mtu = n.group.MTU
		}
	}
	if vf.VDPA == n.group.VDPA && !n.bind {
		return
	}
	n.deleteVDPA = vf.VDPA != hw.VDPANone
	n.createVDPA = n.group.VDPA
}

// named names VFs for people: "VF 3", "VFs 0-3,6".
func named(vfs []int) string {
	if len(vfs) == 1 {
		return "VF " + hw.FormatIndices(vfs)
	}
	return "VFs " + hw.FormatIndices(vfs)
}

func pick(needs []vfNeed, keep func(vfNeed) bool) []int {
	var out []int
	for _, n := range needs {
		if keep(n) {
			out = append(out, n.index)
		}
	}
	return out
}

func (p *pfPlan) deleteVDPA(needs []vfNeed) {
	vfs := pick(needs, func(n vfNeed) bool { return n.deleteVDPA })
	if len(vfs) > 0 {
		p.take(vfs, DeleteVDPA{PF: p.saw.Addr, VFs: vfs}, reason.VDPADiffers, "%s: another vDPA device than asked for", named(vfs))
	}
}

func (p *pfPlan) addresses(needs []vfNeed) {
	var macs []VFMAC
	var guids []VFGUID
	for _, n := range needs {
		if n.mac != "" {
			macs = append(macs, VFMAC{VF: n.index, MAC: n.mac})
		}
		if n.guid != 0 {
			guids = append(guids, VFGUID{VF: n.index, GUID: n.guid})
		}
	}
	if len(macs) > 0 {
		vfs := pick(needs, func(n vfNeed) bool { return n.mac != "" })
		p.step(SetAdminMACs{PF: p.saw.Addr, MACs: macs}, reason.MACNotPinned, "%s: the MAC stays over the next bind", named(vfs))
	}
	if len(guids) > 0 {
		vfs := pick(needs, func(n vfNeed) bool { return n.guid != 0 })
		p.step(SetGUIDs{PF: p.saw.Addr, GUIDs: guids}, reason.GUIDMissing, "%s: no GUID", named(vfs))
	}
}

func (p *pfPlan) unbind(needs []vfNeed) {
	vfs := pick(needs, func(n vfNeed) bool { return n.unbind })
	if len(vfs) == 0 {
		return
	}
	i := slices.IndexFunc(needs, func(n vfNeed) bool { return n.unbind })
	p.take(vfs, UnbindVFs{PF: p.saw.Addr, VFs: vfs}, needs[i].why, "%s: %s", named(vfs), needs[i].why.Sentence())
}

// bind binds all VFs that get the same kind of driver in one step.
func (p *pfPlan) bind(needs []vfNeed, userspace bool) {
	chosen := slices.DeleteFunc(slices.Clone(needs), func(n vfNeed) bool { return !n.bind || n.userspace != userspace })
	if len(chosen) == 0 {
		return
	}
	do := BindVFs{PF: p.saw.Addr, VFs: pick(chosen, func(vfNeed) bool { return true })}
	if userspace {
		do.Driver = vfioDriver
	}
	taken := pick(chosen, func(n vfNeed) bool { return n.was != "" && !n.unbind })
	if len(taken) > 0 {
		do := do
		do.VFs = taken
		p.take(taken, do, reason.DriverDiffers, "%s: bound to %s, %s", named(taken), drivers(chosen), wishes(chosen, taken))
	}
	rest := pick(chosen, func(n vfNeed) bool { return n.was == "" || n.unbind })
	if len(rest) > 0 {
		do.VFs = rest
		i := slices.IndexFunc(chosen, func(n vfNeed) bool { return n.was == "" || n.unbind })
		p.step(do, chosen[i].why, "%s: %s", named(rest), wishes(chosen, rest))
	}
}

// drivers names the drivers that VFs have now.
func drivers(needs []vfNeed) string {
	have := map[string]bool{}
	for _, n := range needs {
		if n.was != "" {
			have[n.was] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(have)), " or ")
}

// wishes says which policies ask for what.
func wishes(needs []vfNeed, vfs []int) string {
	said := map[string]bool{}
	for _, n := range needs {
		switch {
		case !slices.Contains(vfs, n.index):
		case n.grouped:
			said["policy "+n.group.Policy+" asks for "+string(n.group.Driver)] = true
		default:
			said["no policy asks for them, the kernel's driver"] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(said)), "; ")
}

func (p *pfPlan) vfMTU(needs []vfNeed) {
	for mtu, vfs := range grouped(needs, func(n vfNeed) int { return n.mtu }) {
		p.step(SetVFMTU{PF: p.saw.Addr, VFs: vfs, MTU: mtu}, reason.MTUDiffers, "%s: asked for MTU %s", named(vfs), strconv.Itoa(mtu))
	}
}

func (p *pfPlan) createVDPA(needs []vfNeed) {
	for t, vfs := range grouped(needs, func(n vfNeed) hw.VDPAType { return n.createVDPA }) {
		if module := p.traits.VDPAModule; module != "" {
			// udev loads it as well, some time after the VF has its driver.
			p.before = append(p.before, Step{Do: LoadModule{Module: module},
				Why: reason.Because(reason.ModuleMissing, "vdpaType %s: %s makes the devices", t, module)})
		}
		p.step(CreateVDPA{PF: p.saw.Addr, VFs: vfs, Type: t}, reason.VDPADiffers, "%s: asked for vdpaType %s", named(vfs), t)
	}
}

// grouped yields the indices of equal keys, in the keys' order, leaving out the
// zero key.
func grouped[K cmp.Ordered](needs []vfNeed, key func(vfNeed) K) func(yield func(K, []int) bool) {
	var zero K
	by := map[K][]int{}
	for _, n := range needs {
		if k := key(n); k != zero {
			by[k] = append(by[k], n.index)
		}
	}
	return func(yield func(K, []int) bool) {
		for _, k := range slices.Sorted(maps.Keys(by)) {
			if !yield(k, by[k]) {
				return
			}
		}
	}
}

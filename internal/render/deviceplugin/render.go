// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package deviceplugin

import (
	"cmp"
	"slices"
	"strings"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// Input is what the configuration of one node depends on.
type Input struct {
	// Policies of the cluster.
	Policies Policies
	// Labels of the node.
	Labels map[string]string
	// LabelsUnknown says that the labels are not known, as without a cluster; every
	// node selector is then taken to match.
	LabelsUnknown bool
	// Inventory is what the node has.
	Inventory hw.Inventory
	// Desired is what the node should be, rendered from the same policies and the
	// same inventory. Its groups say which policy has which VFs.
	Desired desired.Node
	// NICs knows the device ids of VFs.
	NICs catalog.Table
}

// Result is the configuration of one node, and what of the policies is not in it.
type Result struct {
	Config Config
	// Notes are sorted by policy.
	Notes []Note
}

// Note says what of a policy could not be given to the plugin, and why.
type Note struct {
	Policy string
	Why    reason.Why
}

// claim is a policy on this node: the devices that it has and the selector that
// gives it these.
type claim struct {
	*policy
	own      cover
	selector Selector
}

// Render is the configuration of one node. Where nothing is known of the node there
// is nothing to advertise.
func Render(in Input) Result {
	m := newMachine(&in.Inventory, in.Desired, &in.NICs)
	var r Result
	resources := byResource(claimsOf(&in, m, &r))
	r.Config.Resources = slices.Grow(r.Config.Resources, len(resources))
	for _, claims := range resources {
		r.Config.Resources = append(r.Config.Resources, resource(claims, m, &r))
	}
	slices.SortStableFunc(r.Notes, func(a, b Note) int { return cmp.Compare(a.Policy, b.Policy) })
	return r
}

// claimsOf are the policies that have devices on the node, highest priority first.
func claimsOf(in *Input, m machine, r *Result) []claim {
	groups := groupsByPolicy(in.Desired, m)
	claims := make([]claim, 0, len(groups))
	for i := range in.Policies.list {
		p := &in.Policies.list[i]
		own, ok := groups[p.name]
		if !ok {
			own, ok = wholePFs(p, in, m)
		}
		switch {
		case !ok:
			continue
		case p.bad != "":
			r.Notes = append(r.Notes, Note{p.name, reason.Because(reason.BadPolicy, "%s; it would stop the device plugin and was left out", p.bad)})
			continue
		case p.spec.IsRdma && p.spec.VdpaType != "":
			r.Notes = append(r.Notes, Note{p.name, reason.Because(reason.RDMAWithVDPA, "isRdma has no effect together with vdpaType: a vDPA device takes the place of the RDMA device")})
		}
		c := claim{policy: p, own: own}
		c.selector = plain(p, own, m, &in.NICs)
		if covers := m.covers(&c.selector); p.byTypeAlone() || m.beyond(covers, own, p) || m.misses(covers, own) {
			narrow(&c.selector, own, m)
		}
		claims = append(claims, c)
	}
	return claims
}

// groupsByPolicy are the devices that the desired node gives to each policy.
func groupsByPolicy(want desired.Node, m machine) map[string]cover {
	out := map[string]cover{}
	for i := range m.ports {
		if !m.ports[i].configured {
			continue
		}
		pf, _ := want.PF(m.ports[i].pf.Addr)
		for _, g := range pf.Groups {
			own := out[g.Policy]
			if own == nil {
				own = make(cover, len(m.ports))
				out[g.Policy] = own
			}
			devices := indices{g.Range}
			if m.ports[i].all.First == itself {
				devices = indices{m.ports[i].all}
			}
			own[i] = own[i].or(devices)
		}
	}
	return out
}

// wholePFs are the PFs that a policy for 0 VFs advertises as they are: those that
// it selects, that have no VFs and that no group has taken.
func wholePFs(p *policy, in *Input, m machine) (cover, bool) {
	if p.spec.NumVfs != 0 {
		return nil, false
	}
	if _, missing := p.nodes.Missing(in.Labels); missing && !in.LabelsUnknown {
		return nil, false
	}
	own, found := make(cover, len(m.ports)), false
	for i := range m.ports {
		if m.ports[i].all.First == itself && !m.ports[i].taken && p.nics.PF(m.ports[i].pf) {
			own[i] = indices{m.ports[i].all}
			found = true
		}
	}
	return own, found
}

// plain is the selector in the form that the existing operator gives it.
func plain(p *policy, own cover, m machine, nics *catalog.Table) Selector {
	spec := &p.spec
	s := Selector{
		Devices: devices(p, own, m, nics), PFNames: primaryNames(p, m), RootDevices: oneEntryPerPF(spec.NicSelector.RootDevices),
		// The plugin refuses both at once.
		IsRDMA:       spec.IsRdma && spec.VdpaType == "",
		NeedVhostNet: spec.NeedVhostNet, VDPAType: string(spec.VdpaType),
	}
	if spec.NicSelector.Vendor != "" {
		s.Vendors = []string{spec.NicSelector.Vendor}
	}
	if spec.NicSelector.NetFilter != "" {
		s.PCIAddresses = addresses(own, m)
	}
	// On vfio-pci there is no netdev that has a link type.
	if spec.LinkType != "" && spec.DeviceType != sriovv1.DeviceTypeVfioPci {
		s.LinkTypes = []string{linkType(hw.LinkType(strings.ToUpper(string(spec.LinkType))))}
	}
	return s
}

// devices are the ids of the devices that the policy's deviceID leads to: of the
// VFs of such PFs, or of the PF itself when no VFs are asked for.
func devices(p *policy, own cover, m machine, nics *catalog.Table) []string {
	id := p.spec.NicSelector.DeviceID
	if id == "" {
		return nil
	}
	if p.spec.NumVfs == 0 {
		return []string{id}
	}
	var out []string
	for i := range m.ports {
		pf := m.ports[i].pf
		if len(own[i]) == 0 || string(pf.DeviceID) != id {
			continue
		}
		if vf, ok := nics.VFDevice(pf.VendorID, pf.DeviceID); ok {
			out = unique(out, []string{string(vf)})
		}
	}
	return out
}

// primaryNames are the policy's pfNames with alternative names replaced by the
// netdev's, and one entry for each PF. Names that are not of this node stay: they
// match nothing.
func primaryNames(p *policy, m machine) []string {
	if len(p.names) == 0 {
		return nil
	}
	out := make([]string, 0, len(p.names))
	for _, name := range p.names {
		i := slices.IndexFunc(m.ports, func(q port) bool { return q.called(name.Name) })
		switch {
		case i >= 0 && m.ports[i].pf.Netdev != "":
			name.Name = m.ports[i].pf.Netdev
		case slices.ContainsFunc(m.ports, func(q port) bool { return strings.EqualFold(q.pf.Netdev, name.Name) }):
			// It differs from a netdev in case only. The policy does not mean that netdev,
			// and the plugin would.
			continue
		}
		out = append(out, name.String())
	}
	return oneEntryPerPF(out)
}

// addresses are those of the PFs in the cover, sorted.
func addresses(c cover, m machine) []string {
	var out []string
	for i := range m.ports {
		if len(c[i]) > 0 {
			out = append(out, m.ports[i].addr)
		}
	}
	return out
}

// narrow limits the selector to the policy's own devices.
func narrow(s *Selector, own cover, m machine) {
	var names, roots []string
	named, whole := true, true
	for i := range m.ports {
		if len(own[i]) == 0 {
			continue
		}
		p, limit := &m.ports[i], ""
		if !slices.Equal(own[i], indices{p.all}) {
			limit = "#" + own[i].String()
		}
		names = append(names, p.pf.Netdev+limit)
		roots = append(roots, p.addr+limit)
		named = named && p.pf.Netdev != ""
		whole = whole && p.all.First == itself
	}
	switch {
	case whole:
		// The plugin knows devices that are no VFs by their own address.
		s.PCIAddresses, s.PFNames, s.RootDevices = addresses(own, m), nil, nil
	case len(s.PFNames) > 0 && named:
		s.PFNames = inOrderOf(s.PFNames, names)
	default:
		s.PFNames, s.RootDevices = nil, inOrderOf(s.RootDevices, roots)
	}
}

// inOrderOf sorts the new entries as the policy mentions their PFs; PFs that it
// does not mention come last, as they are.
func inOrderOf(old, entries []string) []string {
	rank := func(entry string) int {
		if i := slices.IndexFunc(old, func(e string) bool { return pfOf(e) == pfOf(entry) }); i >= 0 {
			return i
		}
		return len(old)
	}
	slices.SortStableFunc(entries, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	return entries
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package deviceplugin

import (
	"slices"
	"strings"

	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// machine is the node as its device plugin will see it once it is as desired.
type machine struct {
	ports []port
	// unsure is whether some port's device id or link type is not known.
	unsure bool
}

// port is a PF and the devices under it.
type port struct {
	pf *hw.PF
	// configured is whether the PF is in the desired node.
	configured bool
	// taken is whether some of its devices belong to a group of the desired node.
	taken bool
	// all are the devices that the plugin sees: the VFs, or the PF itself.
	all hw.VFRange
	// deviceID is that of the devices; empty when it is not known.
	deviceID string
	vendorID string
	addr     string
	linkType string
}

// cover is which devices are selected, by port.
type cover []indices

func newMachine(inv *hw.Inventory, want desired.Node, nics *catalog.Table) machine {
	m := machine{ports: make([]port, len(inv.PFs))}
	for i := range inv.PFs {
		pf := &inv.PFs[i]
		wanted, configured := want.PF(pf.Addr)
		vfs := pf.NumVFs
		if configured {
			vfs = wanted.NumVFs
		}
		p := port{
			pf: pf, configured: configured, taken: len(wanted.Groups) > 0, all: hw.VFRange{First: 0, Last: vfs - 1},
			deviceID: vfDeviceID(pf, nics), vendorID: string(pf.VendorID), addr: pf.Addr.String(), linkType: linkType(pf.LinkType),
		}
		if vfs <= 0 || pf.Virtual {
			p.all = hw.VFRange{First: itself, Last: itself}
			p.deviceID = string(pf.DeviceID)
		}
		m.ports[i] = p
		m.unsure = m.unsure || p.deviceID == "" || p.linkType == ""
	}
	return m
}

// called reports whether the name is one of the PF's.
func (p *port) called(name string) bool {
	return p.pf.Netdev == name || slices.Contains(p.pf.AltNames, name)
}

// vfDeviceID is the device id of a PF's VFs, from the list or from a VF that is
// there; empty when it is not known.
func vfDeviceID(pf *hw.PF, nics *catalog.Table) string {
	if id, ok := nics.VFDevice(pf.VendorID, pf.DeviceID); ok {
		return string(id)
	}
	if len(pf.VFs) > 0 {
		return string(pf.VFs[0].DeviceID)
	}
	return ""
}

// linkType is the plugin's word for a link type; empty when it is not known.
func linkType(t hw.LinkType) string {
	switch t {
	case hw.LinkEthernet:
		return "ether"
	case hw.LinkInfiniBand:
		return "infiniband"
	case hw.LinkUnknown:
	}
	return ""
}

// covers is what the plugin gives to the selector when no other comes first. What
// is not known of a device counts as a match. The drivers and capabilities of
// devices are not looked at: they are not yet what they will be.
func (m machine) covers(s *Selector) cover {
	c := make(cover, len(m.ports))
	for i := range m.ports {
		c[i] = m.ports[i].covered(s)
	}
	return c
}

func (p *port) covered(s *Selector) indices {
	if !allows(s.Vendors, p.vendorID) || !allows(s.Devices, p.deviceID) || !allows(s.LinkTypes, p.linkType) {
		return nil
	}
	if len(s.PCIAddresses) > 0 && (p.all.First != itself || !slices.Contains(s.PCIAddresses, p.addr)) {
		return nil
	}
	set := indices{p.all}
	if len(s.PFNames) > 0 {
		set = p.picked(s.PFNames, p.pf.Netdev)
	}
	if len(s.RootDevices) > 0 && len(set) > 0 {
		var out indices
		for _, r := range p.picked(s.RootDevices, p.addr) {
			out = out.or(set.and(r))
		}
		set = out
	}
	return set
}

// allows reports whether a list of a selector lets the value pass.
func allows(list []string, value string) bool {
	return len(list) == 0 || value == "" || slices.Contains(list, value)
}

// picked are the devices that the first entry for the name selects.
func (p *port) picked(entries []string, name string) indices {
	i := slices.IndexFunc(entries, func(e string) bool { return strings.EqualFold(pfOf(e), name) })
	if i < 0 || name == "" {
		return nil
	}
	_, text, ranged := strings.Cut(entries[i], "#")
	if !ranged {
		return indices{p.all}
	}
	var ranges []hw.VFRange
	for part := range strings.SplitSeq(text, ",") {
		if r, err := hw.ParseVFRange(part); err == nil && r.Overlaps(p.all) {
			ranges = append(ranges, hw.VFRange{First: max(r.First, p.all.First), Last: min(r.Last, p.all.Last)})
		}
	}
	return newIndices(ranges...)
}

// beyond reports whether the cover has a device that is not the policy's: one that
// own has not, of a PF that is configured or that the policy does not select. A PF
// that the policy selects and that nobody configures may come along.
func (m machine) beyond(c, own cover, p *policy) bool {
	for i := range m.ports {
		q := &m.ports[i]
		if c[i].without(own[i]) && (q.configured || !p.nics.PF(q.pf)) {
			return true
		}
	}
	return false
}

// misses reports whether the cover lacks a device of the policy's that is no VF: such
// a device matches no range, also not 0-0.
func (m machine) misses(c, own cover) bool {
	for i := range m.ports {
		if m.ports[i].all.First == itself && own[i].without(c[i]) {
			return true
		}
	}
	return false
}

// sum is what is in either cover.
func sum(a, b cover) cover {
	out := make(cover, len(a))
	for i := range a {
		out[i] = a[i].or(b[i])
	}
	return out
}

func equal(a, b cover) bool {
	return slices.EqualFunc(a, b, func(x, y indices) bool { return slices.Equal(x, y) })
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// Node is what one node should be. Make one with New; the zero Node asks for
// nothing.
type Node struct {
	pfs  []PF
	rdma hw.RDMAMode
}

// PF is what one PF should be.
type PF struct {
	Addr hw.PCIAddr
	// Name is the netdev's name when the wish was made, for people and for names
	// derived from it. The address alone identifies the PF.
	Name   string
	NumVFs int
	// MTU in bytes; zero leaves it alone.
	MTU int
	// Eswitch is never empty: legacy is the default.
	Eswitch hw.EswitchMode
	// LinkType is what the port must speak; LinkUnknown does not care.
	LinkType          hw.LinkType
	ExternallyManaged bool
	// AllowInUse permits changes although the PF carries the host's traffic.
	AllowInUse bool
	// AllowUnlisted permits changes although the NIC is not in the NIC list.
	AllowUnlisted bool
	// Groups keep the order in which they were rendered.
	Groups []Group
}

// Group is what the VFs of one range should be.
type Group struct {
	Policy   string
	Resource string
	Range    hw.VFRange
	Driver   Driver
	// MTU of the VFs in bytes; zero leaves it alone.
	MTU  int
	RDMA bool
	// VhostNet says that pods are given the devices vhost-net and tun as well.
	VhostNet bool
	VDPA     hw.VDPAType
}

// Driver is the kind of driver that VFs get.
type Driver string

// The kinds of driver. They are the API's device types.
const (
	// Kernel is the driver that the kernel chooses for the VF.
	Kernel Driver = "netdevice"
	// VFIO hands the VF to userspace through vfio-pci.
	VFIO Driver = "vfio-pci"
)

// Rejected is a PF whose wish contradicts itself, and why.
type Rejected struct {
	PF  PF
	Err error
}

// New builds a node from the PFs that are valid and returns the others with the
// cause: a bad PF never takes another with it. PFs are sorted by address.
func New(pfs []PF, rdma hw.RDMAMode) (Node, []Rejected) {
	node := Node{rdma: rdma}
	var rejected []Rejected
	for _, pf := range pfs {
		pf = normal(pf)
		if err := check(pf, node.pfs); err != nil {
			rejected = append(rejected, Rejected{PF: pf, Err: err})
			continue
		}
		node.pfs = append(node.pfs, pf)
	}
	slices.SortFunc(node.pfs, func(a, b PF) int { return a.Addr.Compare(b.Addr) })
	return node, rejected
}

// PFs are the node's PFs, sorted by address.
func (n Node) PFs() []PF { return slices.Clone(n.pfs) }

// PF finds a PF by its address.
func (n Node) PF(addr hw.PCIAddr) (PF, bool) {
	i := slices.IndexFunc(n.pfs, func(pf PF) bool { return pf.Addr == addr })
	if i < 0 {
		return PF{}, false
	}
	return n.pfs[i], true
}

// RDMAMode is the wanted RDMA namespace mode; empty leaves it alone.
func (n Node) RDMAMode() hw.RDMAMode { return n.rdma }

// Equal reports whether the nodes ask for the same.
func (n Node) Equal(o Node) bool {
	return n.rdma == o.rdma && slices.EqualFunc(n.pfs, o.pfs, func(a, b PF) bool { return reflect.DeepEqual(a, b) })
}

// Group finds the group that a VF belongs to. The first one that contains the
// index counts; New refuses groups that overlap.
func (p PF) Group(index int) (Group, bool) {
	i := slices.IndexFunc(p.Groups, func(g Group) bool { return g.Range.Contains(index) })
	if i < 0 {
		return Group{}, false
	}
	return p.Groups[i], true
}

// normal fills in what an empty field means.
func normal(pf PF) PF {
	if pf.Eswitch == "" {
		pf.Eswitch = hw.EswitchLegacy
	}
	pf.Groups = append([]Group(nil), pf.Groups...) // none is nil, so that equal PFs compare equal
	for i := range pf.Groups {
		if pf.Groups[i].Driver == "" {
			pf.Groups[i].Driver = Kernel
		}
	}
	return pf
}

func check(pf PF, before []PF) error {
	if slices.ContainsFunc(before, func(o PF) bool { return o.Addr == pf.Addr }) {
		return fmt.Errorf("%s is asked for twice", pf.Addr)
	}
	if pf.NumVFs < 0 || pf.MTU < 0 {
		return fmt.Errorf("%s: numVfs %d and mtu %d must not be negative", pf.Addr, pf.NumVFs, pf.MTU)
	}
	if pf.Eswitch != hw.EswitchLegacy && pf.Eswitch != hw.EswitchSwitchdev {
		return fmt.Errorf("%s: eSwitchMode %q is neither legacy nor switchdev", pf.Addr, pf.Eswitch)
	}
	if pf.Eswitch == hw.EswitchSwitchdev && pf.LinkType == hw.LinkInfiniBand {
		return fmt.Errorf("%s: switchdev needs Ethernet and linkType is IB", pf.Addr)
	}
	for i, g := range pf.Groups {
		if err := checkGroup(pf, g); err != nil {
			return err
		}
		for _, o := range pf.Groups[:i] {
			if g.Range.Overlaps(o.Range) {
				return fmt.Errorf("%s: VF groups %s of %s and %s of %s overlap", pf.Addr, o.Range, o.Policy, g.Range, g.Policy)
			}
		}
	}
	return nil
}

func checkGroup(pf PF, g Group) error {
	// Put together only when something is wrong: nodes are built in thousands.
	where := groupName{pf.Addr, g}
	switch {
	case g.Range.First < 0 || g.Range.Last < g.Range.First:
		return fmt.Errorf("%s: the range ends before it starts", where)
	case g.Range.Last >= pf.NumVFs:
		return fmt.Errorf("%s: the range reaches past numVfs %d", where, pf.NumVFs)
	case g.Driver != Kernel && g.Driver != VFIO:
		return fmt.Errorf("%s: deviceType %q is neither netdevice nor vfio-pci", where, g.Driver)
	case g.Driver == VFIO && g.RDMA:
		return fmt.Errorf("%s: RDMA needs the kernel's driver and deviceType is vfio-pci", where)
	case g.VDPA != hw.VDPANone && g.VDPA != hw.VDPAVirtio && g.VDPA != hw.VDPAVhost:
		return fmt.Errorf("%s: vdpaType %q is neither virtio nor vhost", where, g.VDPA)
	case g.VDPA != hw.VDPANone && (g.Driver != Kernel || pf.Eswitch != hw.EswitchSwitchdev):
		return fmt.Errorf("%s: vDPA needs deviceType netdevice and eSwitchMode switchdev", where)
	case g.MTU < 0:
		return fmt.Errorf("%s: mtu %d must not be negative", where, g.MTU)
	}
	return nil
}

// groupName names a VF group for people.
type groupName struct {
	pf hw.PCIAddr
	g  Group
}

func (n groupName) String() string {
	return fmt.Sprintf("%s: VF group %s of policy %s", n.pf, n.g.Range, n.g.Policy)
}

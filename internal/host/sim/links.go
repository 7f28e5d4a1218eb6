// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// startNIC is what a NIC's driver makes of its function: a netdev, and an RDMA
// device. m.mu is held.
func (m *Machine) startNIC(f *function) {
	switch {
	case f.vf != nil:
		m.startVF(f)
	case f.sriov != nil:
		m.startPF(f)
	}
}

func (m *Machine) startPF(f *function) {
	// The machine begins with the PF as it was set up; after a rebind nobody has.
	d, first := f.sriov.desc, f.probes == 1
	if !first {
		d.MTU = 0
	}
	mac, _ := hw.ParseMAC(d.MAC) // checked when the machine was made
	perm, _ := hw.ParseMAC(d.PermMAC)
	mac = cmp.Or(mac, perm, factoryMAC(f))
	nd := &netdev{
		Link: host.Link{
			Name: d.Name, AltNames: d.AltNames, MAC: mac, PermMAC: cmp.Or(perm, mac),
			MTU: cmp.Or(d.MTU, 1500), MaxMTU: f.model.maxMTU, AdminUp: first && (d.Up == nil || *d.Up), Encap: encap(f.sriov.linkType),
		},
		owner: f, kernelName: d.Name, speed: d.Speed, rep: -1, tc: f.model.tc,
	}
	if f.model.portNames {
		nd.port = fmt.Sprintf("p%d", f.addr.Function)
	}
	m.addNetdev(nd)
	m.startRDMA(f, guidOf(mac))
	m.markSwitch(f)
}

func (m *Machine) startVF(f *function) {
	v, pf := f.vf, f.vf.pf
	mac, pfUp := m.vfMAC(f), m.netdevOf(pf) != nil && m.netdevOf(pf).AdminUp
	v.heard = ""
	if f.model.macHeard && (pfUp || !f.model.macNeedsUp) {
		v.heard = mac
	}
	mtu := 1500
	if pf.sriov.linkType == hw.LinkInfiniBand {
		mtu = 2044
	}
	nd := &netdev{
		Link:  host.Link{MAC: mac, MTU: mtu, MaxMTU: f.model.maxMTU, Encap: encap(pf.sriov.linkType)},
		owner: f, rep: -1, tc: hw.FeatureAbsent,
	}
	m.addNetdev(nd)
	// mlx5 derives a VF's GUID from its admin MAC and has none before that
	// (drivers/net/ethernet/mellanox/mlx5/core/eswitch.c,
	// node_guid_gen_from_mac).
	m.startRDMA(f, cmp.Or(v.guid, guidOf(v.admin)))
}

// vfMAC is the address that the VF gets at this probe: its admin MAC if the PF
// can tell it, or else a random one.
func (m *Machine) vfMAC(f *function) hw.MAC {
	pf := m.netdevOf(f.vf.pf)
	if f.vf.pf.sriov.linkType == hw.LinkInfiniBand {
		return ibAddress(f.vf.guid)
	}
	if f.vf.admin.IsZero() || f.model.macNeedsUp && (pf == nil || !pf.AdminUp) {
		return randomMAC(f)
	}
	return f.vf.admin
}

func (m *Machine) startRDMA(f *function, guid hw.GUID) {
	if !f.model.rdma || m.rdma == "" {
		return
	}
	f.rdma, f.guid = m.rdmaDevs.fresh("mlx5_"), guid
	m.rdmaDevs.by[f.rdma] = f
}

// stopNIC takes everything away that the driver made. m.mu is held.
func (m *Machine) stopNIC(f *function) {
	m.rdmaDevs.drop(f.rdma)
	f.rdma, f.guid, f.vdpa = "", 0, hw.VDPANone
	for _, nd := range slices.Clone(f.netdevs) {
		m.dropNetdev(nd)
	}
}

func encap(t hw.LinkType) string {
	if t == hw.LinkInfiniBand {
		return "infiniband"
	}
	return "ether"
}

// factoryMAC is burnt into a PF whose description names none.
func factoryMAC(f *function) hw.MAC {
	if f.sriov.linkType == hw.LinkInfiniBand {
		return ibAddress(hw.GUID(0x0002c90300000000 | uint64(f.addr.Bus)<<8 | uint64(f.addr.Function)))
	}
	return hw.MAC(fmt.Sprintf("00:02:c9:%02x:%02x:%02x", f.addr.Domain&0xff, f.addr.Bus, f.addr.Device<<3|f.addr.Function))
}

// ibAddress is the 20 octets of IPoIB: queue pair, prefix fe80::/64, port GUID.
func ibAddress(g hw.GUID) hw.MAC {
	return hw.MAC("00:00:00:00:fe:80:00:00:00:00:00:00:" + g.String())
}

// guidOf is the GUID that mlx5 makes of a MAC: its halves around ff:fe. Zero for
// no MAC. Of an IPoIB address it is the port GUID.
func guidOf(mac hw.MAC) hw.GUID {
	b, err := net.ParseMAC(string(mac))
	if err != nil || mac.IsZero() {
		return 0
	}
	if len(b) == 20 {
		b = b[12:]
	} else {
		b = slices.Concat(b[:3], []byte{0xff, 0xfe}, b[3:])
	}
	g, err := hw.ParseGUID(b.String())
	if err != nil {
		return 0
	}
	return g
}

// addNetdev registers a netdev; one without a name gets the kernel's. m.mu is
// held, or the machine is not yet shared.
func (m *Machine) addNetdev(nd *netdev) {
	m.lastIndex++
	nd.Index = m.lastIndex
	if nd.Name == "" {
		prefix := "eth"
		if nd.Encap == "infiniband" {
			prefix = "ib"
		}
		nd.Name = m.byName.fresh(prefix)
		nd.kernelName = nd.Name
	}
	m.netdevs = append(m.netdevs, nd)
	m.byName.by[nd.Name] = nd
	if nd.owner != nil {
		nd.owner.netdevs = append(nd.owner.netdevs, nd)
	}
	m.tell(nd, "add")
}

func (m *Machine) dropNetdev(nd *netdev) {
	nd.gone = true
	m.hide(nd)
	if i, ok := m.position(nd.Index); ok {
		m.netdevs = slices.Delete(m.netdevs, i, i+1)
	}
	if nd.owner != nil {
		nd.owner.netdevs = slices.DeleteFunc(nd.owner.netdevs, func(o *netdev) bool { return o == nd })
	}
	if !nd.away {
		m.tell(nd, "remove")
	}
}

// hide frees the netdev's name in the host's network namespace.
func (m *Machine) hide(nd *netdev) {
	if m.byName.by[nd.Name] == nd {
		m.byName.drop(nd.Name)
	}
}

// named finds a netdev of the host's network namespace; nil for none.
func (m *Machine) named(name string) *netdev { return m.byName.by[name] }

// netdevOf is a function's own netdev, which is no representor; nil for none.
func (m *Machine) netdevOf(f *function) *netdev {
	for _, nd := range f.netdevs {
		if nd.rep < 0 {
			return nd
		}
	}
	return nil
}

// links is the door to netdevs.
type links struct{ m *Machine }

var (
	_ host.LinkReader  = links{}
	_ host.LinkControl = links{}
)

// Links implements host.LinkReader.
func (l links) Links(ctx context.Context) ([]host.Link, error) {
	if err := l.m.lookCtx(ctx, "links"); err != nil {
		return nil, fmt.Errorf("list netdevs: %w", err)
	}
	defer l.m.mu.Unlock()
	out := make([]host.Link, 0, len(l.m.netdevs))
	for _, nd := range l.m.netdevs {
		if !nd.away {
			out = append(out, nd.told())
		}
	}
	return out, nil
}

// told is what a list of netdevs says of one.
func (nd *netdev) told() host.Link {
	link := nd.Link
	link.AltNames = slices.Clone(nd.AltNames)
	link.PortName, link.SwitchID = nd.port, nd.switchID
	if nd.owner != nil && !nd.owner.model.virtio {
		link.Function = nd.owner.addr
	}
	return link
}

// VFs implements host.LinkReader.
func (l links) VFs(ctx context.Context, pfIndex int) ([]host.VFLink, error) {
	pf := l.function(pfIndex)
	if err := l.m.lookCtx(ctx, "vfs:"+pf); err != nil {
		return nil, fmt.Errorf("list the VFs of netdev %d: %w", pfIndex, err)
	}
	defer l.m.mu.Unlock()
	nd := l.m.indexed(pfIndex)
	if nd == nil {
		return nil, fmt.Errorf("list the VFs of netdev %d: %w", pfIndex, syscall.ENODEV)
	}
	if nd.owner == nil || nd.owner.sriov == nil || nd.rep >= 0 || nd.owner.model.virtio && nd.owner.sriov.num > 0 {
		return nil, fmt.Errorf("list the VFs of %s: %w", nd.Name, host.ErrUnsupported)
	}
	var out []host.VFLink
	for _, vf := range nd.owner.sriov.vfs {
		if vf != nil {
			out = append(out, host.VFLink{Index: vf.vf.index, AdminMAC: cmp.Or(vf.vf.admin, vf.vf.heard)})
		}
	}
	return out, nil
}

// DefaultRoutes implements host.LinkReader.
func (l links) DefaultRoutes(ctx context.Context) ([]int, error) {
	if err := l.m.lookCtx(ctx, "routes"); err != nil {
		return nil, fmt.Errorf("list default routes: %w", err)
	}
	defer l.m.mu.Unlock()
	return present(l.m.routes), nil
}

// RouteTo implements host.LinkReader: the longest described prefix wins, and the
// default routes are the shortest.
func (l links) RouteTo(ctx context.Context, addr netip.Addr) ([]int, error) {
	if err := l.m.lookCtx(ctx, "route:"+addr.String()); err != nil {
		return nil, fmt.Errorf("find the route to %s: %w", addr, err)
	}
	defer l.m.mu.Unlock()
	best, over := -1, l.m.routes
	for _, r := range l.m.subnets {
		switch bits := r.to.Bits(); {
		case !r.to.Contains(addr) || bits < best:
		case bits > best:
			best, over = bits, []*netdev{r.over}
		default:
			over = append(over, r.over)
		}
	}
	return present(over), nil
}

// present are the indices of the netdevs that are there, sorted and without doubles.
func present(netdevs []*netdev) []int {
	var out []int
	for _, nd := range netdevs {
		if !nd.gone && !nd.away {
			out = append(out, nd.Index)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TCOffload implements host.LinkReader.
func (l links) TCOffload(ctx context.Context, name string) (hw.Feature, error) {
	if err := l.m.lookCtx(ctx, "tcoffload:"+name); err != nil {
		return "", fmt.Errorf("read hw-tc-offload of %s: %w", name, err)
	}
	defer l.m.mu.Unlock()
	nd := l.m.named(name)
	if nd == nil {
		return "", fmt.Errorf("read hw-tc-offload of %s: %w", name, syscall.ENODEV)
	}
	return cmp.Or(nd.tc, hw.FeatureAbsent), nil
}

// indexed finds a netdev of the host's network namespace; nil for none.
func (m *Machine) indexed(index int) *netdev {
	if i, ok := m.position(index); ok && !m.netdevs[i].away {
		return m.netdevs[i]
	}
	return nil
}

func (m *Machine) position(index int) (int, bool) {
	return slices.BinarySearchFunc(m.netdevs, index, func(nd *netdev, index int) int { return cmp.Compare(nd.Index, index) })
}

// function names a netdev's PCI function, for the addresses of faults.
func (l links) function(index int) string {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	if nd := l.m.indexed(index); nd != nil && nd.owner != nil && nd.rep < 0 {
		return nd.owner.name
	}
	return ""
}

func (l links) name(index int) string {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	if nd := l.m.indexed(index); nd != nil {
		return nd.Name
	}
	return strconv.Itoa(index)
}

// set runs a change of one netdev under the rtnl lock, which the kernel has once
// for all netdevs (net/core/rtnetlink.c).
func (l links) set(ctx context.Context, index int, what string, takes func(Delays) time.Duration, work func(*netdev) error) error {
	name := l.name(index)
	err := l.m.change(ctx, func(c *clock) error {
		c.acquire(l.m.rtnl)
		defer c.release(l.m.rtnl)
		c.pass(takes(l.m.takes()))
		l.m.mu.Lock()
		defer l.m.mu.Unlock()
		nd := l.m.indexed(index)
		if nd == nil {
			return syscall.ENODEV
		}
		return work(nd)
	}, "link:"+name+"/"+what, "link:"+l.function(index)+"/"+what)
	if err != nil {
		return fmt.Errorf("set %s of %s: %w", what, name, err)
	}
	return nil
}

// SetMTU implements host.LinkControl.
func (l links) SetMTU(ctx context.Context, index, mtu int) error {
	return l.set(ctx, index, "mtu", func(d Delays) time.Duration { return d.MTU }, func(nd *netdev) error {
		switch {
		case mtu == nd.MTU:
			return nil
		case mtu < 68 || nd.MaxMTU > 0 && mtu > nd.MaxMTU:
			return syscall.EINVAL // net/core/dev.c, dev_validate_mtu
		case nd.owner != nil && nd.owner.vf != nil && l.overPF(nd, mtu):
			return syscall.EINVAL // ixgbevf/ixgbevf_main.c, ixgbevf_change_mtu: the PF refuses the frame size
		}
		nd.MTU = mtu
		l.m.tellLink(nd)
		if nd.owner != nil && nd.owner.sriov != nil && nd.AdminUp {
			l.m.tellLink(nd) // the port is reset: down, and up again
		}
		return nil
	})
}

func (l links) overPF(nd *netdev, mtu int) bool {
	pf := nd.owner.vf.pf
	port := l.m.netdevOf(pf)
	return port != nil && mtu > port.MTU && !pf.model.mtuFree
}

// SetUp implements host.LinkControl.
func (l links) SetUp(ctx context.Context, index int) error {
	return l.set(ctx, index, "up", func(d Delays) time.Duration { return d.Up }, func(nd *netdev) error {
		if !nd.AdminUp {
			nd.AdminUp = true
			l.m.tellLink(nd)
		}
		return nil
	})
}

// setVF runs a change of one VF through its PF.
func (l links) setVF(ctx context.Context, pfIndex, vf int, what string, takes func(Delays) time.Duration, work func(pf *function, v *virtual) error) error {
	name := l.name(pfIndex)
	err := l.m.change(ctx, func(c *clock) error {
		c.acquire(l.m.rtnl)
		defer c.release(l.m.rtnl)
		c.pass(takes(l.m.takes()))
		l.m.mu.Lock()
		defer l.m.mu.Unlock()
		nd := l.m.indexed(pfIndex)
		switch {
		case nd == nil:
			return syscall.ENODEV
		case nd.owner == nil || nd.owner.sriov == nil || nd.rep >= 0:
			return syscall.EOPNOTSUPP // rtnetlink.c, do_setvfinfo
		case l.m.vf(hw.VFRef{PF: nd.owner.addr, Index: vf}) == nil:
			return syscall.EINVAL // igb_main.c, igb_ndo_set_vf_mac
		}
		return work(nd.owner, nd.owner.sriov.vfs[vf].vf)
	}, fmt.Sprintf("vf:%s#%d/%s", l.function(pfIndex), vf, what))
	if err != nil {
		return fmt.Errorf("set %s of VF %d of %s: %w", what, vf, name, err)
	}
	return nil
}

// SetVFMAC implements host.LinkControl. The VF takes the address at its next
// probe.
func (l links) SetVFMAC(ctx context.Context, pfIndex, vf int, mac hw.MAC) error {
	return l.setVF(ctx, pfIndex, vf, "mac", func(d Delays) time.Duration { return d.VFMAC }, func(pf *function, v *virtual) error {
		b, err := net.ParseMAC(string(mac))
		switch {
		case pf.sriov.linkType == hw.LinkInfiniBand, pf.model.virtio:
			return syscall.EOPNOTSUPP // ipoib_main.c and virtio_net.c have no ndo_set_vf_mac
		case err != nil || len(b) != 6 || b[0]&1 != 0:
			return syscall.EINVAL
		}
		v.admin = mac
		if mac.IsZero() {
			v.admin = ""
		}
		l.m.tellLink(l.m.netdevOf(pf))
		return nil
	})
}

// SetVFGUID implements host.LinkControl. The RDMA device takes the GUID at its
// next probe.
func (l links) SetVFGUID(ctx context.Context, pfIndex, vf int, guid hw.GUID) error {
	return l.setVF(ctx, pfIndex, vf, "guid", func(d Delays) time.Duration { return d.VFGUID }, func(pf *function, v *virtual) error {
		if pf.sriov.linkType != hw.LinkInfiniBand {
			return syscall.EOPNOTSUPP // rtnetlink.c, handle_vf_guid
		}
		v.guid = guid
		return nil
	})
}

// EnableTCOffload implements host.LinkControl.
func (l links) EnableTCOffload(ctx context.Context, name string) error {
	l.m.mu.Lock()
	index := 0
	if nd := l.m.named(name); nd != nil {
		index = nd.Index
	}
	l.m.mu.Unlock()
	return l.set(ctx, index, "tcoffload", func(d Delays) time.Duration { return d.TCOffload }, func(nd *netdev) error {
		if cmp.Or(nd.tc, hw.FeatureAbsent) == hw.FeatureAbsent {
			return host.ErrUnsupported
		}
		nd.tc = hw.FeatureOn
		return nil
	})
}

// udevName is the name that udev gives a netdev: predictable when the PF's name
// is, and the kernel's (empty) when it is not, as with net.ifnames=0.
func (m *Machine) udevName(nd *netdev) string {
	if nd.owner == nil {
		return ""
	}
	pf := nd.owner
	if nd.owner.vf != nil {
		pf = nd.owner.vf.pf
	}
	base := m.netdevOf(pf)
	if base == nil || base == nd || strings.HasPrefix(base.Name, "eth") || strings.HasPrefix(base.Name, "ib") && isDigits(base.Name[2:]) {
		return ""
	}
	// systemd.net-naming-scheme(7): the port's name is appended to the slot's,
	// and a VF has the suffix v<index>.
	stem := base.Name
	if i := strings.LastIndex(stem, "np"); i > 0 && isDigits(stem[i+2:]) {
		stem = stem[:i]
	}
	name := stem + "n" + nd.port
	if nd.rep < 0 {
		name = stem + "v" + strconv.Itoa(nd.owner.vf.index)
	}
	if len(name) > 15 || m.named(name) != nil { // IFNAMSIZ, with its NUL
		return ""
	}
	return name
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

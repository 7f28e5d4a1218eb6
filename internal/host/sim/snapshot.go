// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// Snapshot is the machine as text, the same for the same state whatever way led
// there. A MAC that nobody pinned is "random", and a netdev that has the
// kernel's own name is "netdev", because both depend on the order of events.
// Loaded modules are left out: nothing ever unloads one, so they tell of the way
// and not of the end.
func (m *Machine) Snapshot() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	for _, f := range m.sorted() {
		switch {
		case f.sriov != nil:
			m.writePF(&b, f)
		case f.vf == nil:
			fmt.Fprintf(&b, "%s %s:%s driver=%s\n", f.addr, f.vendor, f.device, orNone(f.driver))
		}
	}
	for _, nd := range m.netdevs {
		if nd.owner == nil {
			fmt.Fprintf(&b, "link %s kind=%s mtu=%d parent=%s master=%s\n", nd.Name, orNone(nd.Kind), nd.MTU, m.nameOf(nd.Parent), m.nameOf(nd.Master))
		}
	}
	if m.rdma != "" {
		fmt.Fprintf(&b, "rdma %s\n", m.rdma)
	}
	for _, name := range slices.Sorted(maps.Keys(m.etc)) {
		fmt.Fprintf(&b, "file %s %s\n", name, m.etc[name].mode)
		for line := range strings.Lines(string(m.etc[name].data)) {
			fmt.Fprintf(&b, "  | %s\n", strings.TrimSuffix(line, "\n"))
		}
	}
	return b.String()
}

func (m *Machine) writePF(b *strings.Builder, f *function) {
	s := f.sriov
	fmt.Fprintf(b, "%s %s:%s driver=%s", f.addr, f.vendor, f.device, orNone(f.driver))
	if f.override != "" {
		fmt.Fprintf(b, " override=%s", f.override)
	}
	if nd := m.netdevOf(f); nd != nil {
		fmt.Fprintf(b, " name=%s mac=%s mtu=%d up=%t master=%s tc=%s", nd.Name, nd.MAC, nd.MTU, nd.AdminUp, m.nameOf(nd.Master), nd.tc)
	}
	if !f.model.virtual {
		fmt.Fprintf(b, " numvfs=%d/%d autoprobe=%t", s.num, s.total, s.autoprobe)
	}
	if s.eswitch != "" {
		fmt.Fprintf(b, " eswitch=%s", s.eswitch)
	}
	if s.steering != "" {
		fmt.Fprintf(b, " steering=%s", s.steering)
	}
	b.WriteByte('\n')
	for _, vf := range s.vfs {
		if vf != nil {
			m.writeVF(b, vf)
		}
	}
	for _, nd := range f.netdevs {
		if nd.rep >= 0 {
			fmt.Fprintf(b, "  representor %s name=%s mtu=%d up=%t\n", nd.port, stableName(nd), nd.MTU, nd.AdminUp)
		}
	}
}

func (m *Machine) writeVF(b *strings.Builder, f *function) {
	fmt.Fprintf(b, "  vf %d %s driver=%s", f.vf.index, f.addr, orNone(f.driver))
	if f.override != "" {
		fmt.Fprintf(b, " override=%s", f.override)
	}
	if f.held != nil {
		b.WriteString(" held")
	}
	fmt.Fprintf(b, " admin=%s", orNone(string(f.vf.admin)))
	if nd := m.netdevOf(f); nd != nil {
		mac := string(nd.MAC)
		if nd.MAC == randomMAC(f) {
			mac = "random"
		}
		fmt.Fprintf(b, " name=%s mac=%s mtu=%d up=%t", stableName(nd), mac, nd.MTU, nd.AdminUp)
		if nd.away {
			b.WriteString(" away")
		}
	}
	if f.vf.guid != 0 || f.guid != 0 {
		fmt.Fprintf(b, " guid=%s set=%s", orNone(f.guid.String()), orNone(f.vf.guid.String()))
	}
	if f.vdpa != hw.VDPANone {
		fmt.Fprintf(b, " vdpa=%s", f.vdpa)
	}
	b.WriteByte('\n')
}

func stableName(nd *netdev) string {
	if nd.Name == nd.kernelName {
		return "netdev"
	}
	return nd.Name
}

func (m *Machine) nameOf(index int) string {
	if nd := m.indexed(index); nd != nil {
		return nd.Name
	}
	return noDriver
}

func orNone(s string) string {
	if s == "" {
		return noDriver
	}
	return s
}

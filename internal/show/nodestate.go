// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"fmt"
	"strconv"
	"strings"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// NodeState is a table with a line for each PF: what it is, and what it should be.
func NodeState(state *sriovv1.SriovNetworkNodeState) string {
	var b strings.Builder
	nodeHead(&b, state)
	var t table
	t.row("ADDRESS", "NAME", "VFS", "WANTED", "MTU", "WANTED", "ESWITCH", "WANTED", "GROUPS")
	for _, r := range nodeRows(state) {
		t.row(r.address, dash(line(r.name)), r.vfs(), dash(positive(r.wanted, r.want.NumVfs)), dash(positive(r.found, r.is.Mtu)), dash(positive(r.wanted, r.want.Mtu)),
			dash(string(r.is.EswitchMode)), dash(string(r.want.EswitchMode)), dash(groups(r.want.VfGroups)))
	}
	b.WriteString(orNone(&t, len(t.rows)-1, "no PF"))
	return b.String()
}

// NodeStateWide is NodeState with a line for each VF group and each VF.
func NodeStateWide(state *sriovv1.SriovNetworkNodeState) string {
	var b strings.Builder
	b.WriteString(NodeState(state))
	var g table
	g.row("PF", "VFS", "RESOURCE", "DEVICE-TYPE", "MTU", "RDMA", "VDPA", "POLICY")
	for _, pf := range state.Spec.Interfaces {
		for _, group := range pf.VfGroups {
			g.row(dash(line(pf.Name)), group.VfRange, line(group.ResourceName), dash(string(group.DeviceType)), dash(positive(true, group.Mtu)),
				strconv.FormatBool(group.IsRdma), dash(string(group.VdpaType)), line(group.PolicyName))
		}
	}
	if len(g.rows) > 1 {
		b.WriteString("\n" + g.String())
	}
	var v table
	v.row("PF", "VF", "ADDRESS", "NAME", "DRIVER", "MAC", "MTU", "VDPA", "REPRESENTOR")
	for _, pf := range state.Status.Interfaces {
		for _, vf := range pf.VFs {
			v.row(dash(line(pf.Name)), strconv.Itoa(vf.VfID), vf.PciAddress, dash(line(vf.Name)), dash(vf.Driver), dash(vf.Mac),
				dash(positive(true, vf.Mtu)), dash(string(vf.VdpaType)), dash(line(vf.RepresentorName)))
		}
	}
	if len(v.rows) > 1 {
		b.WriteString("\n" + v.String())
	}
	return b.String()
}

func nodeHead(b *strings.Builder, state *sriovv1.SriovNetworkNodeState) {
	fmt.Fprintf(b, "node %s", dash(line(state.Name)))
	if s := state.Status.SyncStatus; s != "" {
		fmt.Fprintf(b, ": %s", s)
	}
	b.WriteByte('\n')
	if e := state.Status.LastSyncError; e != "" {
		fmt.Fprintf(b, "  %s\n", strings.ReplaceAll(e, "\n", "\n  "))
	}
}

// nodeRow is one PF of a node state: what it is, what it should be, or both.
type nodeRow struct {
	address, name string
	is            sriovv1.InterfaceExt
	want          sriovv1.Interface
	found, wanted bool
}

func (r nodeRow) vfs() string {
	if !r.found {
		return "-"
	}
	return fmt.Sprintf("%d/%d", r.is.NumVfs, r.is.TotalVfs)
}

// nodeRows are the PFs of the status in its order, then those of the spec that
// the status lacks.
func nodeRows(state *sriovv1.SriovNetworkNodeState) []nodeRow {
	var rows []nodeRow
	at := map[string]int{}
	for _, pf := range state.Status.Interfaces {
		at[pf.PciAddress] = len(rows)
		rows = append(rows, nodeRow{address: pf.PciAddress, name: pf.Name, is: pf, found: true})
	}
	for _, want := range state.Spec.Interfaces {
		i, ok := at[want.PciAddress]
		if !ok {
			i = len(rows)
			rows = append(rows, nodeRow{address: want.PciAddress, name: want.Name})
		}
		rows[i].want, rows[i].wanted = want, true
	}
	return rows
}

// positive is a number that is known, or nothing.
func positive(known bool, n int) string {
	if !known || n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// groups are VF groups in short: "0-3 dpdk vfio-pci, 4-7 cx5".
func groups(of []sriovv1.VfGroup) string {
	var out []string
	for _, g := range of {
		text := g.VfRange + " " + line(g.ResourceName)
		if g.DeviceType == sriovv1.DeviceTypeVfioPci {
			text += " " + string(g.DeviceType)
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

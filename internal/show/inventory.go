// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// Inventory is a table with a line for each PF, and what could not be read.
func Inventory(inv hw.Inventory, nics catalog.Table) string {
	var t table
	t.row("ADDRESS", "NAME", "NIC", "DRIVER", "LINK", "MTU", "VFS", "ESWITCH", "NOTES")
	for _, pf := range inv.PFs {
		t.row(pf.Addr.String(), dash(line(pf.Netdev)), model(pf, nics), pf.Driver, link(pf),
			number0(pf.MTU), vfCount(pf), eswitch(pf), strings.Join(notes(pf), "; "))
	}
	return orNone(&t, len(inv.PFs), "no NIC with SR-IOV") + problems(inv)
}

// InventoryWide is Inventory with more columns, and a line for each VF.
func InventoryWide(inv hw.Inventory, nics catalog.Table) string {
	var t table
	t.row("ADDRESS", "NAME", "ALTNAMES", "NIC", "IDS", "DRIVER", "MAC", "LINK", "SPEED", "MTU", "VFS", "ESWITCH", "TC-OFFLOAD", "NOTES")
	for _, pf := range inv.PFs {
		t.row(pf.Addr.String(), dash(line(pf.Netdev)), dash(line(strings.Join(pf.AltNames, ","))), model(pf, nics),
			string(pf.VendorID)+":"+string(pf.DeviceID), pf.Driver, dash(string(pf.MAC)), link(pf), speed(pf),
			number0(pf.MTU), vfCount(pf), eswitch(pf), dash(string(pf.TCOffload)), strings.Join(notes(pf), "; "))
	}
	text := orNone(&t, len(inv.PFs), "no NIC with SR-IOV")
	if vfs := inventoryVFs(inv); vfs != "" {
		text += "\n" + vfs
	}
	mode, known := inv.RDMA.Get()
	if !known {
		mode = hw.RDMAMode("unknown (" + inv.RDMA.Unknown + ")")
	}
	return text + fmt.Sprintf("\nIOMMU groups: %d; RDMA namespace mode: %s\n", inv.IOMMUGroups, mode) + problems(inv)
}

func inventoryVFs(inv hw.Inventory) string {
	var t table
	t.row("PF", "VF", "ADDRESS", "NAME", "DRIVER", "MAC", "ADMIN-MAC", "MTU", "IOMMU", "RDMA", "VDPA", "REPRESENTOR")
	for _, pf := range inv.PFs {
		for _, vf := range pf.VFs {
			name := dash(line(vf.Netdev))
			if vf.Away {
				name = "(in a pod)"
			}
			mtu := ""
			if vf.MTU > 0 {
				mtu = strconv.Itoa(vf.MTU)
			}
			admin, _ := vf.AdminMAC.Get()
			if admin.IsZero() {
				admin = ""
			}
			t.row(dash(line(pf.Netdev)), strconv.Itoa(vf.Index), vf.Addr.String(), name, dash(vf.Driver), dash(string(vf.MAC)),
				dash(string(admin)), dash(mtu), dash(vf.IOMMUGroup), dash(vf.RDMADevice), dash(string(vf.VDPA)), dash(line(vf.Representor)))
		}
	}
	if len(t.rows) == 1 {
		return ""
	}
	return t.String()
}

func orNone(t *table, n int, none string) string {
	if n == 0 {
		return none + "\n"
	}
	return t.String()
}

func model(pf hw.PF, nics catalog.Table) string {
	if name := nics.Name(pf.VendorID, pf.DeviceID); name != "" {
		return name
	}
	return string(pf.VendorID) + ":" + string(pf.DeviceID)
}

func link(pf hw.PF) string {
	state := "down"
	if pf.AdminUp {
		state = "up"
	}
	return strings.TrimSpace(string(pf.LinkType) + " " + state)
}

func speed(pf hw.PF) string {
	if v, ok := pf.SpeedMbps.Get(); ok {
		return strconv.Itoa(v) + " Mb/s"
	}
	return "-"
}

func number0(r hw.Reading[int]) string {
	if v, ok := r.Get(); ok {
		return strconv.Itoa(v)
	}
	return "?"
}

func vfCount(pf hw.PF) string { return fmt.Sprintf("%d/%d", pf.NumVFs, pf.TotalVFs) }

func eswitch(pf hw.PF) string {
	mode, ok := pf.Eswitch.Get()
	switch {
	case pf.EswitchAbsent:
		return "-"
	case !ok:
		return "?"
	}
	return string(mode)
}

// notes are what a person should know before the PF is changed.
func notes(pf hw.PF) []string {
	var out []string
	if len(pf.InUseBy) > 0 {
		out = append(out, "carries "+line(strings.Join(pf.InUseBy, ", ")))
	}
	if pf.Unlisted {
		out = append(out, "not in the NIC list")
	}
	if pf.Virtual {
		out = append(out, "virtual: the device is the VF")
	}
	if pf.Eswitch.Unknown != "" {
		out = append(out, "eSwitch mode: "+line(pf.Eswitch.Unknown))
	}
	return out
}

func problems(inv hw.Inventory) string {
	if len(inv.Problems) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\ncould not be read:\n")
	for _, p := range inv.Problems {
		b.WriteString("  " + line(p) + "\n")
	}
	return b.String()
}

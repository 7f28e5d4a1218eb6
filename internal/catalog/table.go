// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"bufio"
	"cmp"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

//go:embed nics.yaml
var shipped string

// NIC is one entry of the NIC list.
type NIC struct {
	// Name is free text for people: the entry's key.
	Name string `json:"name"`
	// Vendor and Device are the PF's ids.
	Vendor hw.ID `json:"vendor"`
	Device hw.ID `json:"device"`
	// VFDevice is the device id of the PF's VFs; their vendor is the PF's. Where
	// a VF has its PF's id, as with virtio, both are equal.
	VFDevice hw.ID `json:"vfDevice"`
}

// Problem is an entry of the NIC list that could not be read. The others count.
type Problem struct {
	Key   string
	Text  string
	Cause string
}

// String says which entry is wrong and what an entry looks like.
func (p Problem) String() string {
	return fmt.Sprintf("NIC list entry %q: %q: %s; an entry is vendor, device and VF device, like \"15b3 1017 1018\"", p.Key, p.Text, p.Cause)
}

// model is how a device is found. Ids of different vendors may be equal, so a
// device id alone finds nothing.
type model struct{ vendor, device hw.ID }

// Table is a NIC list. It is a value: nothing changes it after it was made. The
// zero Table lists no NIC; what it says about drivers is the same for all.
type Table struct {
	nics  []NIC
	byPF  map[model]hw.ID
	asVFs map[model]struct{}
}

// Default is the list that is shipped. The ConfigMap supported-nic-ids takes its
// place where there is one.
func Default() Table {
	t, _ := Parse(shippedEntries())
	return t
}

// shippedEntries are the entries of the shipped list as the data of the ConfigMap
// supported-nic-ids.
func shippedEntries() map[string]string {
	entries := map[string]string{}
	lines := bufio.NewScanner(strings.NewReader(shipped))
	for lines.Scan() {
		key, value, ok := strings.Cut(lines.Text(), ": ")
		if !ok || strings.HasPrefix(key, "#") {
			continue
		}
		entries[key] = strings.Trim(value, `"`)
	}
	return entries
}

// Parse reads the data of the ConfigMap supported-nic-ids: free text to "vendor
// device vfDevice". What cannot be read is returned beside what can, sorted by
// key. Where two entries name the same device, the first by key counts.
func Parse(data map[string]string) (Table, []Problem) {
	t := Table{byPF: map[model]hw.ID{}, asVFs: map[model]struct{}{}}
	var problems []Problem
	for _, key := range slices.Sorted(maps.Keys(data)) {
		nic, cause := parseEntry(key, data[key])
		if cause == "" {
			cause = t.add(nic)
		}
		if cause != "" {
			problems = append(problems, Problem{Key: key, Text: data[key], Cause: cause})
		}
	}
	slices.SortFunc(t.nics, func(a, b NIC) int {
		return cmp.Or(cmp.Compare(a.Vendor, b.Vendor), cmp.Compare(a.Device, b.Device))
	})
	return t, problems
}

func parseEntry(key, text string) (NIC, string) {
	fields := strings.Fields(text)
	if len(fields) != 3 {
		return NIC{}, fmt.Sprintf("three ids are needed and there are %d", len(fields))
	}
	ids := [3]hw.ID{}
	for i, field := range fields {
		id, err := hw.ParseID(field)
		if err != nil {
			return NIC{}, err.Error()
		}
		ids[i] = id
	}
	return NIC{Name: key, Vendor: ids[0], Device: ids[1], VFDevice: ids[2]}, ""
}

// add puts a NIC into the table and says why it could not.
func (t *Table) add(nic NIC) string {
	pf := model{nic.Vendor, nic.Device}
	if vf, ok := t.byPF[pf]; ok && vf != nic.VFDevice {
		return fmt.Sprintf("another entry gives %s %s the VF device %s", nic.Vendor, nic.Device, vf)
	} else if ok {
		return ""
	}
	t.nics = append(t.nics, nic)
	t.byPF[pf] = nic.VFDevice
	t.asVFs[model{nic.Vendor, nic.VFDevice}] = struct{}{}
	return ""
}

// NICs are the entries, sorted by vendor and device.
func (t Table) NICs() []NIC { return slices.Clone(t.nics) }

// Listed reports whether the list has a PF with these ids.
func (t Table) Listed(vendor, device hw.ID) bool {
	_, ok := t.byPF[model{vendor, device}]
	return ok
}

// ListedVF reports whether the list has a VF with these ids. In a virtual
// machine the VF is the device.
func (t Table) ListedVF(vendor, device hw.ID) bool {
	_, ok := t.asVFs[model{vendor, device}]
	return ok
}

// ListedVendor reports whether the list has any NIC of the vendor.
func (t Table) ListedVendor(vendor hw.ID) bool {
	return slices.ContainsFunc(t.nics, func(n NIC) bool { return n.Vendor == vendor })
}

// Vendors are the vendors of the list's NICs, sorted, without doubles.
func (t Table) Vendors() []hw.ID {
	ids := make([]hw.ID, 0, len(t.nics))
	for _, nic := range t.nics {
		ids = append(ids, nic.Vendor)
	}
	return slices.Compact(ids)
}

// VFDevice is the device id that the VFs of a PF with these ids have, and
// whether the list says so.
func (t Table) VFDevice(vendor, pfDevice hw.ID) (hw.ID, bool) {
	id, ok := t.byPF[model{vendor, pfDevice}]
	return id, ok
}

// VFDevices are the device ids of all VFs in the list, sorted, without doubles.
func (t Table) VFDevices() []hw.ID {
	ids := make([]hw.ID, 0, len(t.nics))
	for _, nic := range t.nics {
		ids = append(ids, nic.VFDevice)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Name is the list's name for a PF with these ids; empty when it has none.
func (t Table) Name(vendor, device hw.ID) string {
	i := slices.IndexFunc(t.nics, func(n NIC) bool { return n.Vendor == vendor && n.Device == device })
	if i < 0 {
		return ""
	}
	return t.nics[i].Name
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package claims

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/match"
	"github.com/kubeovn/sriov-network-operator/internal/nearest"
)

// nicType reads a NIC type. It is, in this order: the name of an entry of the NIC
// list, ids as "15b3:1017", a driver, or words of names in the list, as
// "ConnectX-6", which then means all NICs whose names have them.
func nicType(text string, nics catalog.Table) (match.NICType, fault) {
	t := match.NICType{Name: text}
	for _, nic := range nics.NICs() {
		if nic.Name == text {
			t.Models = append(t.Models, model(nic))
		}
	}
	if len(t.Models) > 0 {
		return t, fault{}
	}
	if vendor, device, ok := strings.Cut(text, ":"); ok {
		return idType(text, vendor, device, nics)
	}
	for _, d := range nics.Drivers() {
		if d.Driver == text {
			t.Driver = match.Driver{Name: d.Driver, VFName: d.VFDriver, Vendors: d.Vendors}
			return t, fault{}
		}
	}
	wanted := words(text)
	for _, nic := range nics.NICs() {
		if has(words(nic.Name), wanted) {
			t.Models = append(t.Models, model(nic))
		}
	}
	if len(t.Models) > 0 {
		return t, fault{}
	}
	return match.NICType{}, unknownType(text, nics)
}

func model(nic catalog.NIC) match.Model {
	return match.Model{Vendor: nic.Vendor, Device: nic.Device, VFDevice: nic.VFDevice}
}

// idType is one model by its ids. It need not be in the list: the policy field
// allowUnlistedNics decides on that.
func idType(text, vendor, device string, nics catalog.Table) (match.NICType, fault) {
	v, errVendor := hw.ParseID(vendor)
	d, errDevice := hw.ParseID(device)
	if errVendor != nil || errDevice != nil {
		return match.NICType{}, fault{
			cause: fmt.Sprintf("%q are no ids of vendor and device", text), fix: "write them as 15b3:1017",
		}
	}
	vf, _ := nics.VFDevice(v, d) // Unknown is empty.
	return match.NICType{Name: text, Models: []match.Model{{Vendor: v, Device: d, VFDevice: vf}}}, fault{}
}

// words are the words of a name, in lower case.
func words(name string) []string {
	return strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return strings.ContainsRune("_- /", r) })
}

// has reports whether the words are next to each other in the name.
func has(name, run []string) bool {
	for i := range len(name) - len(run) + 1 {
		if len(run) > 0 && slices.Equal(name[i:i+len(run)], run) {
			return true
		}
	}
	return false
}

func unknownType(text string, nics catalog.Table) fault {
	var known []string
	for _, nic := range nics.NICs() {
		known = append(known, nic.Name)
	}
	for _, d := range nics.Drivers() {
		known = append(known, d.Driver)
	}
	fix := nearest.DidYouMean(text, known)
	if fix == "" {
		fix = "write a key of the ConfigMap supported-nic-ids, words of one such as ConnectX-5, a driver, or ids as 15b3:1017"
	}
	return fault{cause: fmt.Sprintf("no NIC is called %q", shorten(text)), fix: fix}
}

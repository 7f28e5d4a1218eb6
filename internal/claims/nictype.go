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

// kinds are the NICs and drivers that a NIC type may name, looked up once for all
// texts.
type kinds struct {
	table   catalog.Table
	nics    []catalog.NIC
	drivers []catalog.DriverTraits
}

func newKinds(table catalog.Table) *kinds {
	return &kinds{table: table, nics: table.NICs(), drivers: table.Drivers()}
}

// nicType reads a NIC type. It is, in this order: the name of an entry of the NIC
// list, ids as "15b3:1017", a driver, or words of names in the list, as
// "ConnectX-6", which then means all NICs whose names have them.
func (k *kinds) nicType(text string) (match.NICType, fault) {
	t := match.NICType{Name: text}
	for _, nic := range k.nics {
		if nic.Name == text {
			t.Models = append(t.Models, model(nic))
		}
	}
	if len(t.Models) > 0 {
		return t, fault{}
	}
	if vendor, device, ok := strings.Cut(text, ":"); ok {
		return k.idType(text, vendor, device)
	}
	for _, d := range k.drivers {
		if d.Driver == text {
			t.Driver = match.Driver{Name: d.Driver, VFName: d.VFDriver, Vendors: d.Vendors}
			return t, fault{}
		}
	}
	wanted := words(text)
	for _, nic := range k.nics {
		if has(words(nic.Name), wanted) {
			t.Models = append(t.Models, model(nic))
		}
	}
	if len(t.Models) > 0 {
		return t, fault{}
	}
	return match.NICType{}, k.unknown(text)
}

func model(nic catalog.NIC) match.Model {
	return match.Model{Vendor: nic.Vendor, Device: nic.Device, VFDevice: nic.VFDevice}
}

// idType is one model by its ids. It need not be in the list: the policy field
// allowUnlistedNics decides on that.
func (k *kinds) idType(text, vendor, device string) (match.NICType, fault) {
	v, errVendor := hw.ParseID(vendor)
	d, errDevice := hw.ParseID(device)
	if errVendor != nil || errDevice != nil {
		return match.NICType{}, fault{
			cause: fmt.Sprintf("%q are no ids of vendor and device", text), fix: "write them as 15b3:1017",
		}
	}
	vf, _ := k.table.VFDevice(v, d) // Unknown is empty.
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

func (k *kinds) unknown(text string) fault {
	var known []string
	for _, nic := range k.nics {
		known = append(known, nic.Name)
	}
	for _, d := range k.drivers {
		known = append(known, d.Driver)
	}
	fix := nearest.DidYouMean(text, known)
	if fix == "" {
		fix = "write a key of the ConfigMap supported-nic-ids, words of one such as ConnectX-5, a driver, or ids as 15b3:1017"
	}
	return fault{cause: fmt.Sprintf("no NIC is called %q", shorten(text)), fix: fix}
}

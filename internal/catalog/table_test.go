// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

func TestTheShippedListIsWhole(t *testing.T) {
	table, problems := Parse(shippedEntries())
	if len(problems) != 0 {
		t.Fatalf("the shipped list has problems: %v", problems)
	}
	// Every entry of the file, counted by its quotes.
	if want := strings.Count(shipped, `"`) / 2; want-1 != len(table.NICs()) || len(table.NICs()) != 61 {
		t.Errorf("%d entries, and %d quoted texts in the file (one of them in its comment)", len(table.NICs()), want)
	}
}

func TestEachVendorsVFsHaveTheirDevice(t *testing.T) {
	cases := map[string]struct{ vendor, pf, vf hw.ID }{
		"Intel 82576, which QEMU emulates":  {"8086", "10c9", "10ca"},
		"Intel X520":                        {"8086", "154d", "10ed"},
		"Intel X710":                        {"8086", "1572", "154c"},
		"Intel E810":                        {"8086", "1592", "1889"},
		"NVIDIA ConnectX-5":                 {"15b3", "1017", "1018"},
		"NVIDIA ConnectX-8":                 {"15b3", "1023", "101e"},
		"NVIDIA ConnectX-9":                 {"15b3", "1025", "101e"},
		"NVIDIA BlueField-3":                {"15b3", "a2dc", "101e"},
		"Broadcom BCM57414":                 {"14e4", "16d7", "16dc"},
		"QLogic QL45000":                    {"1077", "1654", "1664"},
		"virtio, whose VFs have the PFs id": {"1af4", "1041", "1041"},
		"Marvell OCTEON 10":                 {"177d", "b900", "b903"},
		"Corigine Agilio":                   {"19ee", "4000", "6003"},
		"Yusur":                             {"1f47", "1001", "110f"},
		"Yunsilicon":                        {"1f67", "1111", "1112"},
		"Huawei Hi1822":                     {"19e5", "1822", "375e"},
	}
	table := Default()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := table.VFDevice(c.vendor, c.pf)
			if !ok || got != c.vf {
				t.Errorf("VF device of %s %s: %s, %v, want %s", c.vendor, c.pf, got, ok, c.vf)
			}
			if !table.Listed(c.vendor, c.pf) || !table.ListedVF(c.vendor, c.vf) {
				t.Errorf("%s %s and its VF %s should be listed", c.vendor, c.pf, c.vf)
			}
			if !table.ListedVendor(c.vendor) || table.ListedVendor("abcd") {
				t.Error("the vendor should be listed, and another one not")
			}
			if table.Name(c.vendor, c.pf) == "" {
				t.Error("it has no name")
			}
		})
	}
}

func TestEqualDeviceIDsOfTwoVendorsAreTwoDevices(t *testing.T) {
	table, problems := Parse(map[string]string{"a": "8086 1111 2222", "b": "1f67 1111 1112"})
	if len(problems) != 0 {
		t.Fatal(problems)
	}
	intel, _ := table.VFDevice("8086", "1111")
	other, _ := table.VFDevice("1f67", "1111")
	if intel != "2222" || other != "1112" {
		t.Errorf("got %s and %s", intel, other)
	}
	if _, ok := table.VFDevice("15b3", "1111"); ok || table.Listed("15b3", "1111") {
		t.Error("a device id alone must not find an entry")
	}
}

func TestAMalformedEntryIsReportedAndTheOthersCount(t *testing.T) {
	table, problems := Parse(map[string]string{
		"good":      "15b3 1017 1018",
		"empty":     "",
		"two ids":   "15b3 1017",
		"four ids":  "15b3 1017 1018 1019",
		"no id":     "15b3 1017 xyz1",
		"long id":   "15b3 01017 1018",
		"upper":     "15B3  101D 101E",
		"again":     "15b3 1017 1018",
		"otherwise": "15b3 1017 2222",
	})
	var bad []string
	for _, p := range problems {
		bad = append(bad, p.Key)
		if !strings.Contains(p.String(), p.Key) || !strings.Contains(p.String(), p.Text) {
			t.Errorf("%q names not both key and text", p)
		}
	}
	if diff := cmp.Diff([]string{"empty", "four ids", "long id", "no id", "otherwise", "two ids"}, bad); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
	want := []NIC{
		{Name: "again", Vendor: "15b3", Device: "1017", VFDevice: "1018"},
		{Name: "upper", Vendor: "15b3", Device: "101d", VFDevice: "101e"},
	}
	if diff := cmp.Diff(want, table.NICs()); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

func TestTheZeroTableListsNothing(t *testing.T) {
	var table Table
	if table.Listed("15b3", "1017") || table.ListedVF("15b3", "1018") || len(table.VFDevices()) != 0 {
		t.Error("the zero table lists something")
	}
	if table.Driver("ice").Order != ModeThenVFs {
		t.Error("the zero table knows no drivers")
	}
}

func TestVFDevicesAreSortedWithoutDoubles(t *testing.T) {
	table, _ := Parse(map[string]string{"a": "15b3 101d 101e", "b": "15b3 1021 101e", "c": "8086 10c9 10ca", "d": "8086 0d58 0001"})
	if diff := cmp.Diff([]hw.ID{"0001", "101e", "10ca"}, table.VFDevices()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzParse(f *testing.F) {
	for key, value := range shippedEntries() {
		f.Add(key, value)
	}
	f.Add("", "a b c")
	f.Add("k", "15b3\x00 1017\t1018")
	f.Fuzz(func(t *testing.T, key, value string) {
		table, problems := Parse(map[string]string{key: value, "good": "15b3 1017 1018"})
		if key == "good" {
			return
		}
		if !table.Listed("15b3", "1017") {
			t.Errorf("entry %q: %q took a good one with it", key, value)
		}
		if got := len(table.NICs()) + len(problems); got < 1 || got > 2 {
			t.Errorf("entry %q: %q: %d NICs and problems", key, value, got)
		}
	})
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package match

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

func TestParsePFName(t *testing.T) {
	good := map[string]PFName{
		"ens1f0":         {Name: "ens1f0"},
		"ens1f0#2-5":     {Name: "ens1f0", Range: hw.VFRange{First: 2, Last: 5}, HasRange: true},
		"ens1f0#0-0":     {Name: "ens1f0", HasRange: true},
		"a name-0.1#1-9": {Name: "a name-0.1", Range: hw.VFRange{First: 1, Last: 9}, HasRange: true},
	}
	for text, want := range good {
		t.Run(text+" is a PF name", func(t *testing.T) {
			got, err := ParsePFName(text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.String() != text {
				t.Errorf("written again it is %q", got)
			}
		})
	}
	for _, text := range []string{"", "#0-3", "p#3", "p#", "p#-", "p#2-1", "p#a-b", "p#1-", "p#-1", "p#1-2-3", "p#1-2#3-4", "p#0x1-2", "p#1-99999999999", "p# 1-2"} {
		t.Run(text+" is refused", func(t *testing.T) {
			if got, err := ParsePFName(text); err == nil {
				t.Errorf("read as %+v", got)
			}
		})
	}
}

func FuzzParsePFName(f *testing.F) {
	for _, s := range []string{"p", "p#0-3", "p#3", "p#2-1", "p#a-b", "p#1-2#3-4", "#", "##", "p#-", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := ParsePFName(s)
		if err != nil {
			return
		}
		again, err := ParsePFName(name.String())
		if err != nil || again != name {
			t.Errorf("%q is %+v, which written again is %+v, %v", s, name, again, err)
		}
		if name.HasRange && (name.Range.First < 0 || name.Range.Last < name.Range.First) {
			t.Errorf("%q has the range %v", s, name.Range)
		}
	})
}

// netFilterPattern is what defines the format: other software reads it so.
const netFilterPattern = `(?m)^\s*([^\s]+)\s*:\s*([^\s]+)`

func FuzzParseNetFilter(f *testing.F) {
	for _, s := range []string{"openstack/NetworkID:5f3e", " aws/NetworkID : sub ", "a:b:c", "a::", ":a", "a: \n:b", "x\n\tk:v w", "a :", "a : : b", "\xff:\xfe"} {
		f.Add(s)
	}
	pattern := regexp.MustCompile(netFilterPattern)
	f.Fuzz(func(t *testing.T, s string) {
		var want NetFilter
		m := pattern.FindStringSubmatch(s)
		if m != nil {
			want = NetFilter{Key: m[1], Value: m[2]}
		}
		got, ok := ParseNetFilter(s)
		if ok != (m != nil) || got != want {
			t.Errorf("%q is %+v, %v; the pattern finds %q", s, got, ok, m)
		}
	})
}

func pf(name string, alt ...string) *hw.PF {
	return &hw.PF{
		Addr: hw.PCIAddr{Bus: 0xd8}, VendorID: "15b3", DeviceID: "1017",
		Netdev: name, AltNames: alt, NetFilter: "openstack/NetworkID:5f3e",
	}
}

func TestASelectorMatchesEveryFieldThatIsSet(t *testing.T) {
	cases := map[string]struct {
		nics sriovv1.SriovNetworkNicSelector
		want bool
	}{
		"an empty selector selects nothing": {sriovv1.SriovNetworkNicSelector{}, false},
		"the vendor alone":                  {sriovv1.SriovNetworkNicSelector{Vendor: "15b3"}, true},
		"another vendor":                    {sriovv1.SriovNetworkNicSelector{Vendor: "8086"}, false},
		"the device alone":                  {sriovv1.SriovNetworkNicSelector{DeviceID: "1017"}, true},
		"vendor and another device":         {sriovv1.SriovNetworkNicSelector{Vendor: "15b3", DeviceID: "1018"}, false},
		"ids in upper case":                 {sriovv1.SriovNetworkNicSelector{Vendor: "15B3"}, true},
		"a root device":                     {sriovv1.SriovNetworkNicSelector{RootDevices: []string{"0000:d8:00.0"}}, true},
		"a root device in upper case, because addresses are compared":       {sriovv1.SriovNetworkNicSelector{RootDevices: []string{"0000:D8:00.0"}}, true},
		"a root device with a longer domain is the same address":            {sriovv1.SriovNetworkNicSelector{RootDevices: []string{"00000000:d8:00.0"}}, true},
		"one root device of several":                                        {sriovv1.SriovNetworkNicSelector{RootDevices: []string{"0000:01:00.0", "0000:d8:00.0"}}, true},
		"a root device that is none, beside one that is":                    {sriovv1.SriovNetworkNicSelector{RootDevices: []string{"d8:00.0", "0000:d8:00.0"}}, true},
		"only a root device that is none selects nothing":                   {sriovv1.SriovNetworkNicSelector{RootDevices: []string{"d8:00.0"}}, false},
		"only a root device that is none, with the vendor, selects nothing": {sriovv1.SriovNetworkNicSelector{Vendor: "15b3", RootDevices: []string{"d8:00.0"}}, false},
		"the name":                                      {sriovv1.SriovNetworkNicSelector{PfNames: []string{"ens1f0"}}, true},
		"the name with a range":                         {sriovv1.SriovNetworkNicSelector{PfNames: []string{"ens1f0#2-5"}}, true},
		"an alternative name":                           {sriovv1.SriovNetworkNicSelector{PfNames: []string{"enp216s0f0"}}, true},
		"an alternative name with a range":              {sriovv1.SriovNetworkNicSelector{PfNames: []string{"enp216s0f0#2-5"}}, true},
		"another name":                                  {sriovv1.SriovNetworkNicSelector{PfNames: []string{"ens1f1"}}, false},
		"a name that begins alike":                      {sriovv1.SriovNetworkNicSelector{PfNames: []string{"ens1f"}}, false},
		"the network":                                   {sriovv1.SriovNetworkNicSelector{NetFilter: "openstack/NetworkID:5f3e"}, true},
		"the network with blanks":                       {sriovv1.SriovNetworkNicSelector{NetFilter: " openstack/NetworkID : 5f3e etc"}, true},
		"another network":                               {sriovv1.SriovNetworkNicSelector{NetFilter: "openstack/NetworkID:5f3f"}, false},
		"the same network of another platform":          {sriovv1.SriovNetworkNicSelector{NetFilter: "aws/NetworkID:5f3e"}, false},
		"a network without a value selects nothing":     {sriovv1.SriovNetworkNicSelector{NetFilter: "openstack/NetworkID"}, false},
		"everything at once":                            {sriovv1.SriovNetworkNicSelector{Vendor: "15b3", DeviceID: "1017", RootDevices: []string{"0000:d8:00.0"}, PfNames: []string{"ens1f0"}, NetFilter: "openstack/NetworkID:5f3e"}, true},
		"everything but the name":                       {sriovv1.SriovNetworkNicSelector{Vendor: "15b3", DeviceID: "1017", RootDevices: []string{"0000:d8:00.0"}, PfNames: []string{"x"}}, false},
		"an empty network filter on the policy is none": {sriovv1.SriovNetworkNicSelector{Vendor: "15b3", NetFilter: ""}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s, problems := NewSelector(c.nics)
			if len(problems) != 0 {
				t.Fatal(problems)
			}
			if got := s.PF(pf("ens1f0", "enp216s0f0")); got != c.want {
				t.Errorf("selected: %v, want %v", got, c.want)
			}
		})
	}
}

func TestAPFWithoutANetdevHasNoName(t *testing.T) {
	s, _ := NewSelector(sriovv1.SriovNetworkNicSelector{PfNames: []string{"ens1f0"}})
	if s.PF(pf("")) {
		t.Error("selected by a name that it does not have")
	}
}

func TestASelectorWithProblemsSelectsNothingAndNamesThem(t *testing.T) {
	s, problems := NewSelector(sriovv1.SriovNetworkNicSelector{
		Vendor: "Mellanox", DeviceID: "0x17", PfNames: []string{"ens1f0", "p#3", "p#1-2#3-4"},
	})
	if s.PF(pf("ens1f0")) || !s.Empty() {
		t.Error("it selects")
	}
	var fields []string
	for _, p := range problems {
		fields = append(fields, p.Field)
		if p.Reason != reason.BadPolicy || !strings.Contains(p.String(), p.Field) || !strings.Contains(p.String(), p.Cause) {
			t.Errorf("%+v", p)
		}
	}
	want := []string{"nicSelector.vendor", "nicSelector.deviceID", "nicSelector.pfNames[1]", "nicSelector.pfNames[2]"}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBadRootDevicesAreNamed(t *testing.T) {
	got := BadRootDevices(sriovv1.SriovNetworkNicSelector{RootDevices: []string{"0000:d8:00.0", "d8:00.0"}})
	if len(got) != 1 || got[0].Field != "nicSelector.rootDevices[1]" {
		t.Errorf("got %v", got)
	}
}

func TestRanges(t *testing.T) {
	r := func(first, last int) hw.VFRange { return hw.VFRange{First: first, Last: last} }
	cases := map[string]struct {
		names []string
		want  []hw.VFRange
	}{
		"without names it is all VFs":                                       {nil, []hw.VFRange{r(0, 9)}},
		"a name without a range is all VFs":                                 {[]string{"ens1f0"}, []hw.VFRange{r(0, 9)}},
		"a name with a range":                                               {[]string{"ens1f0#2-5"}, []hw.VFRange{r(2, 5)}},
		"an alternative name with a range":                                  {[]string{"alt#2-5"}, []hw.VFRange{r(2, 5)}},
		"another PF's range does not count":                                 {[]string{"ens1f1#0-1", "ens1f0#2-5"}, []hw.VFRange{r(2, 5)}},
		"two ranges that do not overlap are two, sorted":                    {[]string{"ens1f0#6-7", "ens1f0#2-5"}, []hw.VFRange{r(2, 5), r(6, 7)}},
		"two ranges by two names of the PF":                                 {[]string{"ens1f0#6-7", "alt#2-5"}, []hw.VFRange{r(2, 5), r(6, 7)}},
		"the same range twice is one":                                       {[]string{"ens1f0#2-5", "alt#2-5"}, []hw.VFRange{r(2, 5)}},
		"the same name twice is all VFs":                                    {[]string{"ens1f0", "ens1f0", "alt"}, []hw.VFRange{r(0, 9)}},
		"two ranges that overlap are one":                                   {[]string{"ens1f0#5-7", "ens1f0#2-5"}, []hw.VFRange{r(2, 7)}},
		"a range within another one is part of it":                          {[]string{"ens1f0#2-7", "ens1f0#3-4", "ens1f0#6-8"}, []hw.VFRange{r(2, 8)}},
		"a range and no range for one PF are all VFs":                       {[]string{"ens1f0#2-5", "ens1f0"}, []hw.VFRange{r(0, 9)}},
		"a range and no range by two names of the PF are all VFs":           {[]string{"alt", "ens1f0#2-5"}, []hw.VFRange{r(0, 9)}},
		"a range for one PF and none for another do not disturb each other": {[]string{"ens1f1", "ens1f0#2-5"}, []hw.VFRange{r(2, 5)}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s, problems := NewSelector(sriovv1.SriovNetworkNicSelector{PfNames: c.names})
			if len(problems) != 0 {
				t.Fatal(problems)
			}
			before := []hw.VFRange{r(90, 91)}
			got := s.Ranges(before, pf("ens1f0", "alt"), 10)
			if diff := cmp.Diff(append(before, c.want...), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLabels(t *testing.T) {
	node := map[string]string{"os": "linux", "empty": ""}
	cases := map[string]struct {
		selector map[string]string
		missing  string
	}{
		"the empty selector selects every node":  {nil, ""},
		"an equal label":                         {map[string]string{"os": "linux"}, ""},
		"another value":                          {map[string]string{"os": "windows"}, "os"},
		"a label that the node does not have":    {map[string]string{"x": ""}, "x"},
		"a label with an empty value":            {map[string]string{"empty": ""}, ""},
		"the first missing label by key is told": {map[string]string{"z": "1", "os": "linux", "a": "1"}, "a"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := NewLabels(c.selector).Missing(node)
			if got.Key != c.missing || ok != (c.missing != "") {
				t.Errorf("missing %+v, %v, want %q", got, ok, c.missing)
			}
		})
	}
}

func FuzzSelector(f *testing.F) {
	f.Add("15b3", "1017", "0000:d8:00.0", "ens1f0#2-5", "ens1f0#2-1", "a:b", "ens1f0", 8)
	f.Add("", "", "", "p#3", "p#a-b", "", "", -1)
	f.Fuzz(func(t *testing.T, vendor, device, root, name1, name2, filter, netdev string, numVFs int) {
		s, problems := NewSelector(sriovv1.SriovNetworkNicSelector{
			Vendor: vendor, DeviceID: device, RootDevices: []string{root}, PfNames: []string{name1, name2}, NetFilter: filter,
		})
		nic := pf(netdev, name2)
		if s.PF(nic) && len(problems) > 0 {
			t.Error("a selector with problems selects")
		}
		ranges := s.Ranges(nil, nic, numVFs)
		if len(ranges) == 0 {
			t.Error("a policy is about no VF")
		}
		for i := 1; i < len(ranges); i++ {
			if ranges[i].First <= ranges[i-1].Last {
				t.Errorf("ranges %v", ranges)
			}
		}
	})
}

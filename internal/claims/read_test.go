// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package claims

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/match"
)

// connectX5 is what the shipped list knows of one model.
func connectX5() match.NICType {
	return match.NICType{
		Name:   "Nvidia_mlx5_ConnectX-5",
		Models: []match.Model{{Vendor: "15b3", Device: "1017", VFDevice: "1018"}},
	}
}

func of(text string) reading {
	return read("node1", value{configMap: "sriov-configmap", text: text}, newKinds(catalog.Default()))
}

// one is a text with one item.
func one(fields string) string { return "interfaces:\n- " + strings.ReplaceAll(fields, "\n", "\n  ") }

func said(r reading) string {
	var out []string
	for _, p := range r.problems {
		out = append(out, strings.TrimPrefix(p.String(), "ConfigMap sriov-configmap, key node1"))
	}
	return strings.Join(out, "\n")
}

func policyNamed(name string, spec sriovv1.SriovNetworkNodePolicySpec) sriovv1.SriovNetworkNodePolicy {
	return sriovv1.SriovNetworkNodePolicy{ObjectMeta: metav1.ObjectMeta{Name: "sriov-configmap/node1/" + name}, Spec: spec}
}

func TestEveryFieldIsRead(t *testing.T) {
	priority := 7
	want := []Entry{{Line: 2, Entry: match.Entry{
		Type: connectX5(),
		Policy: policyNamed("ens41f0np0#0-2", sriovv1.SriovNetworkNodePolicySpec{
			ResourceName: "cx_sriov_switchdev", Priority: &priority, Mtu: 1500, NumVfs: 3,
			NicSelector: sriovv1.SriovNetworkNicSelector{PfNames: []string{"ens41f0np0#0-2"}, RootDevices: []string{"0000:5f:00.0"}},
			DeviceType:  "netdevice", NeedVhostNet: true, LinkType: "ETH", EswitchMode: "switchdev", VdpaType: "virtio",
			ExcludeTopology: true, ExternallyManaged: true, AllowUnlistedNics: true, AllowInUse: true,
		}),
	}}}
	inYAML := `interfaces:
- nicName: ens41f0np0#0-2
  nicType: Nvidia_mlx5_ConnectX-5
  pciAddress: 0000:5F:00.0
  numVfs: 3
  eSwitchMode: switchdev
  deviceType: netdevice
  linkType: ETH
  vdpaType: virtio
  isRdma: no
  mtu: 1500
  resourceName: cx_sriov_switchdev
  priority: 7
  needVhostNet: true
  excludeTopology: yes
  externallyManaged: true
  allowInUse: true
  allowUnlistedNics: true
`
	inJSON := "{\"interfaces\": [\n\t{\n\t\t\"pfName\": \"ens41f0np0#0-2\", \"type\": \"Nvidia_mlx5_ConnectX-5\", \"pciAddress\": \"0000:5f:00.0\", \"vfs\": 3,\n" +
		`"eSwitchMode": "switchdev", "deviceType": "netdevice", "linkType": "ETH", "vdpaType": "virtio", "isRdma": false, "mtu": 1500,
		"resourceName": "cx_sriov_switchdev", "priority": 7, "needVhostNet": true, "excludeTopology": true, "externallyManaged": true,
		"allowInUse": true, "allowUnlistedNics": true}]}`
	for name, text := range map[string]string{"in YAML": inYAML, "in JSON, with tabs": inJSON} {
		t.Run(name, func(t *testing.T) {
			r := of(text)
			if diff := cmp.Diff(want, r.entries); diff != "" || len(r.problems) > 0 {
				t.Errorf("%s\n(-want +got):\n%s", said(r), diff)
			}
		})
	}
	for _, f := range fields() {
		for _, name := range f.names {
			if !strings.Contains(inYAML+inJSON, name) && name != "name" && name != "vfNum" {
				t.Errorf("the text does not try %s", name)
			}
		}
	}
}

func TestEverySpellingOfAFieldMeansTheSame(t *testing.T) {
	want := of(one("nicName: ens1f0\nnicType: 15b3:1017\nnumVfs: 4")).entries
	if len(want) != 1 {
		t.Fatal("it is not read")
	}
	for _, name := range []string{"nicName", "name", "pfName"} {
		for _, kind := range []string{"nicType", "type"} {
			for _, count := range []string{"numVfs", "vfNum", "vfs"} {
				r := of(one(fmt.Sprintf("%s: ens1f0\n%s: 15b3:1017\n%s: 4", name, kind, count)))
				if diff := cmp.Diff(want, r.entries); diff != "" {
					t.Errorf("%s, %s, %s: %s\n(-want +got):\n%s", name, kind, count, said(r), diff)
				}
			}
		}
	}
}

func TestWhatIsLeftOutHasTheDefaultsOfAPolicy(t *testing.T) {
	r := of(one("nicName: ens1f0\nnumVfs: 4"))
	want := []Entry{{Line: 2, Entry: match.Entry{Policy: policyNamed("ens1f0", sriovv1.SriovNetworkNodePolicySpec{
		ResourceName: "ens1f0", NumVfs: 4, NicSelector: sriovv1.SriovNetworkNicSelector{PfNames: []string{"ens1f0"}},
	})}}}
	if diff := cmp.Diff(want, r.entries); diff != "" {
		t.Errorf("%s\n(-want +got):\n%s", said(r), diff)
	}
}

func TestTheResourceNameThatIsLeftOutIsMadeOfWhatNamesTheNIC(t *testing.T) {
	for item, want := range map[string]string{
		"nicName: ens1f0":                                    "ens1f0",
		"nicName: ens1f0#4-7":                                "ens1f0_4-7",
		"nicName: ens1f0.100":                                "ens1f0_100",
		"nicName: -ens1f0-":                                  "ens1f0",
		"nicType: Nvidia_mlx5_ConnectX-5":                    "Nvidia_mlx5_ConnectX-5",
		"nicType: 15b3:1017":                                 "15b3_1017",
		"pciAddress: 0000:5f:00.0":                           "0000_5f_00_0",
		"nicName: ens1f0\nnicType: mlx5_core":                "ens1f0",
		"nicName: ens1f0\nresourceName: mine":                "mine",
		"nicName: " + strings.Repeat("a", 63):                strings.Repeat("a", 63),
		"nicName: " + strings.Repeat("a", 64) + "#0-1":       "",
		"nicName: ファイル\nresourceName: it_has_letters_of_its": "it_has_letters_of_its",
		"nicName: ファイル":                                      "",
	} {
		r := of(one(item + "\nnumVfs: 8"))
		switch {
		case want == "" && !strings.Contains(said(r), "interfaces[0].resourceName: none can be made from"):
			t.Errorf("%q is not refused: %s", item, said(r))
		case want != "" && (len(r.entries) != 1 || r.entries[0].Policy.Spec.ResourceName != want):
			t.Errorf("%q: want %q, got %+v, %s", item, want, r.entries, said(r))
		}
	}
}

func TestWhatNICTypesMean(t *testing.T) {
	for text, want := range map[string]string{
		"Nvidia_mlx5_ConnectX-5":   "15b3:1017",
		`"15b3:1017"`:              "15b3:1017",
		"15b3:1017":                "15b3:1017",
		"8086:1592":                "8086:1592",
		"15B3:101D":                "15b3:101d",
		"abcd:0001":                "abcd:0001", // not in the list
		"connectx-5":               "15b3:1017 15b3:1019",
		"ConnectX-5_Ex":            "15b3:1019",
		"ConnectX-6 Dx":            "15b3:101d 15b3:a2d6",
		"E810-XXVDA4":              "8086:1593",
		"mlx5_core":                "mlx5_core",
		"ice":                      "ice",
		"Virtio":                   "1af4:1000 1af4:1041",
		"Intel_ixgbe_82576":        "8086:10c9",
		"Conectx-5":                `no NIC is called "Conectx-5"`,
		"Nvidia_mlx5_ConectX-5":    "did you mean Nvidia_mlx5_ConnectX-5?",
		"mlx5core":                 "did you mean mlx5_core?",
		"ConnectX-":                "15b3:1013 15b3:1015 15b3:1017 15b3:1019 15b3:101b 15b3:101d 15b3:101f 15b3:1021 15b3:1023 15b3:1025 15b3:a2d6 15b3:a2dc",
		"--":                       "no NIC is called",
		"15b3:10171":               "are no ids of vendor and device",
		`"15b3:"`:                  "are no ids of vendor and device",
		`""`:                       "the value is missing",
		"":                         "the value is missing",
		"onnectX":                  "no NIC is called",
		strings.Repeat("x", 1<<16): "no NIC is called",
	} {
		r := of(one("nicName: ens1f0\nnumVfs: 1\nnicType: " + text))
		var got []string
		for _, e := range r.entries {
			if e.Type.Driver.Name != "" {
				got = append(got, e.Type.Driver.Name)
			}
			for _, m := range e.Type.Models {
				got = append(got, string(m.Vendor+":"+m.Device))
			}
		}
		if strings.Join(got, " ") != want && (len(got) > 0 || !strings.Contains(said(r), want)) {
			t.Errorf("%s: got %q and %q, want %q", text, got, said(r), want)
		}
		if len(said(r)) > 1000 {
			t.Errorf("%.20s…: the message has %d bytes", text, len(said(r)))
		}
	}
}

func TestWhatIsWrongIsSaidWithItsPlaceAndItsFix(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"a field that does not exist": {
			one("nicName: a\nnumVFS: 3"),
			", line 3, column 3: interfaces[0].numVFS: there is no such field; did you mean numVfs?",
		},
		"a field that is like no other": {one("nicName: a\nzebra: 3"), ", line 3, column 3: interfaces[0].zebra: there is no such field"},
		"a field of policies": {
			one("nicSelector: {}"),
			", line 2, column 3: interfaces[0].nicSelector: there is no such field; it is a field of policies alone; here nicName, nicType and pciAddress select",
		},
		"what YAML merges in": {
			"interfaces:\n- &a {nicName: a, numVfs: 1}\n- {<<: *a, nicName: b}",
			", line 3, column 4: interfaces[1].<<: there is no such field; write the fields out",
		},
		"a field that does not exist at the top": {"interface: []", ", line 1, column 1: interface: there is no such field; did you mean interfaces?"},
		"a field twice":                          {one("nicName: a\nnicName: b\nnumVfs: 3"), ", line 3, column 3: interfaces[0].nicName: the field is given twice; remove one of them"},
		"a field in two spellings": {
			one("nicName: a\npfName: a\nnumVfs: 3"),
			", line 3, column 3: interfaces[0].pfName: it means the same as nicName, which is given too; remove one of them",
		},
		"interfaces twice":              {"interfaces: []\ninterfaces: []", ", line 2, column 1: interfaces: the field is given twice; remove one of them"},
		"no number of VFs":              {one("nicName: a"), ", line 2, column 3: interfaces[0].numVfs: the number of VFs is missing; write numVfs"},
		"nothing that names a NIC":      {one("numVfs: 3"), ", line 2, column 3: interfaces[0]: it names no NIC; write nicName, nicType or pciAddress"},
		"an empty value":                {one("nicName:\nnumVfs: 3"), ", line 2, column 11: interfaces[0].nicName: the value is missing"},
		"a number in words":             {one("nicName: a\nnumVfs: three"), ", line 3, column 11: interfaces[0].numVfs: \"three\" is no whole number; write it in decimal digits alone"},
		"a number in quotes":            {one("nicName: a\nnumVfs: \"3\""), ", line 3, column 11: interfaces[0].numVfs: \"3\" in quotes is text, and a number is needed here; write 3, without the quotes"},
		"a number that is octal":        {one("nicName: a\nnumVfs: 010"), ", line 3, column 11: interfaces[0].numVfs: \"010\" is no whole number; write it in decimal digits alone"},
		"a number with a fraction":      {one("nicName: a\nnumVfs: 3.0"), ", line 3, column 11: interfaces[0].numVfs: \"3.0\" is no whole number; write it in decimal digits alone"},
		"a number that is huge":         {one("nicName: a\nnumVfs: 99999999999"), ", line 3, column 11: interfaces[0].numVfs: \"99999999999\" is no whole number; write it in decimal digits alone"},
		"a number below zero":           {one("nicName: a\nvfs: -1"), ", line 3, column 8: interfaces[0].vfs: -1 is negative; use 0 or more"},
		"a boolean in words":            {one("nicName: a\nnumVfs: 1\nisRdma: maybe"), ", line 4, column 11: interfaces[0].isRdma: \"maybe\" is neither true nor false"},
		"a boolean in quotes":           {one("nicName: a\nnumVfs: 1\nisRdma: 'true'"), ", line 4, column 11: interfaces[0].isRdma: \"true\" in quotes is text, and true or false is needed here; write true, without the quotes"},
		"a number for a text":           {one("nicName: a\nnumVfs: 1\nresourceName: 12"), ", line 4, column 17: interfaces[0].resourceName: 12 without quotes is no text; write \"12\", with the quotes"},
		"on for a text":                 {one("nicName: on\nnumVfs: 1"), ", line 2, column 12: interfaces[0].nicName: on without quotes is no text; write \"on\", with the quotes"},
		"a list for a value":            {one("nicName: [a]\nnumVfs: 1"), ", line 2, column 12: interfaces[0].nicName: a single value is needed here, and this is a list"},
		"a mapping for a value":         {one("nicName: {a: b}\nnumVfs: 1"), ", line 2, column 12: interfaces[0].nicName: a single value is needed here, and this is a mapping"},
		"a range that ends too early":   {one("nicName: \"a#2-1\"\nnumVfs: 4"), ""},
		"a range past the last VF":      {one("pfName: \"a#2-4\"\nnumVfs: 4"), ", line 2, column 11: interfaces[0].pfName: \"a#2-4\" ends past the last VF, which is 3 with numVfs 4; raise numVfs or shorten the range"},
		"an address for a name":         {one("nicName: 0000:5f:00.0\nnumVfs: 4"), ", line 2, column 12: interfaces[0].nicName: \"0000:5f:00.0\" is no name of a NIC; write ens1f0, or ens1f0#2-5 for VFs 2 to 5 alone"},
		"no address":                    {one("pciAddress: 5f\nnumVfs: 4"), ""},
		"an unknown NIC type":           {one("nicType: ConectX-5\nnumVfs: 4"), ""},
		"a word that is not allowed":    {one("nicName: a\nnumVfs: 4\neSwitchMode: Switchdev"), ", line 4, column 16: interfaces[0].eSwitchMode: \"Switchdev\" is not known; use legacy or switchdev"},
		"fields that exclude others":    {one("nicName: a\nnumVfs: 4\ndeviceType: vfio-pci\nisRdma: true"), ", line 5, column 11: interfaces[0].isRdma: a VF on vfio-pci has no RDMA device; use deviceType netdevice, or set isRdma to false"},
		"a priority that does not be":   {one("nicName: a\nnumVfs: 4\npriority: 100"), ", line 4, column 13: interfaces[0].priority: 100 is out of range; use 0, the highest, to 99, the lowest"},
		"a resource name with a prefix": {one("nicName: a\nnumVfs: 4\nresourceName: mellanox.com/a"), ""},
		"the same NIC twice": {
			one("nicName: a\nnumVfs: 4") + "\n- {name: a, vfs: 2}",
			", line 4, column 3: interfaces[1]: a is named before, in interfaces[0]; make them one item, or give each its own range of VFs, as in ens1f0#0-3",
		},
		"a list at the top":       {"- nicName: a", ", line 1, column 1: a list is no mapping; begin with interfaces:"},
		"a word at the top":       {"ens1f0", ", line 1, column 1: \"ens1f0\" is no mapping; begin with interfaces:"},
		"nothing":                 {"", ": the text is empty; write interfaces: [] if nothing is wanted here"},
		"nothing but a comment":   {"# later\n", ": the text is empty; write interfaces: [] if nothing is wanted here"},
		"an empty mapping":        {"{}", ", line 1, column 1: interfaces: the field is missing; write interfaces: [] if nothing is wanted here"},
		"no list":                 {"interfaces:\n", ", line 1, column 12: interfaces: a list is needed here, and this is empty; write interfaces: [] if nothing is wanted here"},
		"items without dashes":    {"interfaces:\n  nicName: a\n", ", line 2, column 3: interfaces: a list is needed here, and this is a mapping; write interfaces: [] if nothing is wanted here"},
		"an item that is a word":  {"interfaces: [ens1f0]", ", line 1, column 14: interfaces[0]: a mapping of fields is needed here, and this is \"ens1f0\""},
		"two documents":           {"interfaces: []\n---\ninterfaces: []\n", ", line 2, column 1: there is more than one document; remove the line ---"},
		"no YAML":                 {"interfaces:\n- nicName: a: b", ", line 2: not valid YAML: mapping values are not allowed in this context"},
		"a tab for an indent":     {"interfaces:\n\t- nicName: a", ", line 2: not valid YAML: found character that cannot start any token"},
		"too many items":          {"interfaces: [" + strings.Repeat("a,", 1025) + "]", ", line 1, column 13: interfaces: there are 1025 items, and 1024 is the most"},
		"a text that is too long": {"interfaces: []\n#" + strings.Repeat("x", 1<<20), ": the text has 1048592 bytes, and 1048576 is the most"},
	} {
		t.Run(name, func(t *testing.T) {
			r := of(c.text)
			got := said(r)
			if len(r.problems) == 0 || len(r.entries) > 0 {
				t.Fatalf("it is read as %+v", r.entries)
			}
			if c.want == "" { // the words are those of another package
				if r.problems[0].Line == 0 || r.problems[0].Field == "" || r.problems[0].Fix == "" {
					t.Errorf("place, field or fix is missing: %s", got)
				}
				return
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAllProblemsAreSaidAndTheirNumberIsBounded(t *testing.T) {
	r := of("interfaces:\n- {nicName: a, numVfs: x, mtu: y}\n- {zebra: 1}\n- {nicName: b, numVfs: 1}\n")
	if len(r.problems) != 3 {
		t.Errorf("3 things are wrong, and said are:\n%s", said(r))
	}
	r = of("interfaces:\n" + strings.Repeat("- {zebra: 1, tiger: 2}\n", 1000))
	if len(r.problems) != maxProblems {
		t.Errorf("%d problems are said, want %d", len(r.problems), maxProblems)
	}
}

func TestAValueThatIsNoTextIsRefused(t *testing.T) {
	r := read("node1", value{configMap: "c", binary: true}, newKinds(catalog.Default()))
	if want := "ConfigMap c, key node1: the value is binary; write it as text in UTF-8"; len(r.problems) != 1 || r.problems[0].String() != want {
		t.Errorf("got %v, want %s", r.problems, want)
	}
}

func TestAliasesStandForWhatTheyName(t *testing.T) {
	r := of("interfaces:\n- {nicName: a, numVfs: &n 4, nicType: &t mlx5_core}\n- {nicName: b, numVfs: *n, nicType: *t}\n")
	if len(r.entries) != 2 || r.entries[1].Policy.Spec.NumVfs != 4 || r.entries[1].Type.Driver.Name != "mlx5_core" {
		t.Errorf("got %+v, %s", r.entries, said(r))
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{
		one("nicName: ens1f0#0-3\nnicType: 15b3:1017\nnumVfs: 4\nisRdma: yes"), `{"interfaces":[{"vfs":3,"type":"ConnectX-5"}]}`,
		"interfaces: [*a]", "a: &a [*a]", "interfaces: &a\n- *a", "- - -", "{", "\x00", "\xff", "interfaces:\n- <<: {a: b}", "interfaces:\n-", "? a\n: b",
		"interfaces:\n- {pciAddress: 0000:5f:00.0, vfNum: 0}", "%YAML 1.1\n---\ninterfaces: !!seq []", "interfaces:\n- nicName: !!binary aaaa\n  numVfs: !!int 3",
		"interfaces:\n- [nicName, a]: b", "---\n---\n", "interfaces: []\n--- x",
	} {
		f.Add(s)
	}
	known := newKinds(catalog.Default())
	f.Fuzz(func(t *testing.T, text string) {
		v := value{configMap: "c", text: text}
		r := read("node1", v, known)
		if len(r.entries) > 0 && len(r.problems) > 0 {
			t.Fatalf("entries and problems: %v", r.problems)
		}
		if len(r.problems) > maxProblems {
			t.Fatalf("%d problems", len(r.problems))
		}
		names := map[string]bool{}
		for _, e := range r.entries {
			if names[e.Policy.Name] || !strings.HasPrefix(e.Policy.Name, "sriov-configmap/node1/") || e.Line < 1 {
				t.Errorf("entry %+v", e)
			}
			names[e.Policy.Name] = true
			if e.Policy.Spec.NumVfs < 0 || e.Policy.Spec.ResourceName == "" {
				t.Errorf("entry %+v", e.Policy.Spec)
			}
		}
		for _, p := range r.problems {
			if p.Cause == "" || p.ConfigMap != "c" || p.Key != "node1" || p.Line < 0 || p.Column < 0 {
				t.Errorf("problem %+v", p)
			}
		}
		one, _ := json.Marshal(r.entries)
		two, _ := json.Marshal(read("node1", v, known).entries)
		if string(one) != string(two) {
			t.Errorf("read twice it differs:\n%s\n%s", one, two)
		}
	})
}

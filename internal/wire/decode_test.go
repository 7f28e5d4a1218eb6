// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"testing"

	"sigs.k8s.io/yaml"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

func TestD15IDsNeedNoQuotes(t *testing.T) {
	cases := map[string]string{
		"1018":   "1018",
		"0123":   "0123", // an octal number to YAML 1.1
		"0777":   "0777",
		"1e10":   "1e10", // a float
		"10e1":   "10e1",
		"8086":   "8086",
		"15b3":   "15b3",
		"0x1017": "0x1017",
		"0b11":   "0b11", // a binary number
		"0000":   "0000",
		`"1018"`: "1018",
		`'0123'`: "0123",
		"10.0":   "10.0",
	}
	for text, want := range cases {
		t.Run(text, func(t *testing.T) {
			doc := "spec:\n  nicSelector:\n    vendor: " + text + " # a comment\n    deviceID: " + text + "\n  numVfs: 8\n  resourceName: r\n"
			quoted, err := QuoteIDs([]byte(doc))
			if err != nil {
				t.Fatal(err)
			}
			var p sriovv1.SriovNetworkNodePolicy
			if err := yaml.Unmarshal(quoted, &p); err != nil {
				t.Fatal(err)
			}
			if p.Spec.NicSelector.Vendor != want || p.Spec.NicSelector.DeviceID != want || p.Spec.NumVfs != 8 {
				t.Errorf("read as %+v", p.Spec)
			}
		})
	}
}

func TestADocumentWithoutUnquotedIDsStaysAsItIs(t *testing.T) {
	for _, doc := range []string{"", "a: 1\n", "# comment\nvendor: \"15b3\"\nlist: [on, 0123]\n", "vendor: {a: 1}", "deviceID:\n", "- 1\n- vendor\n- 8086\n", `{"vendor": "1018"}`} {
		got, err := QuoteIDs([]byte(doc))
		if err != nil || string(got) != doc {
			t.Errorf("%q became %q, %v", doc, got, err)
		}
	}
}

func TestWhatIsNoYAMLIsAnError(t *testing.T) {
	if _, err := QuoteIDs([]byte("a: [")); err == nil {
		t.Error("no error")
	}
	if _, err := DecodeNodeState([]byte("status: {interfaces: 3}")); err == nil {
		t.Error("no error")
	}
}

func FuzzDecodeNodeState(f *testing.F) {
	f.Add([]byte("status: {interfaces: [{pciAddress: 0000:5f:00.0, vendor: 8086, deviceID: 1e10, Vfs: [{deviceID: 1018}]}]}"))
	f.Add([]byte("spec: {interfaces: [{pciAddress: 0000:5f:00.0, numVfs: 4, vfGroups: [{vfRange: 0-3}]}]}"))
	f.Add([]byte("a: &x {vendor: 1}\nb: *x\n"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		state, err := DecodeNodeState(doc)
		if err != nil {
			return
		}
		inv := Inventory(state.Status)
		again := Inventory(sriovv1.SriovNetworkNodeStateStatus{Interfaces: Status(inv)})
		if len(again.PFs) != len(inv.PFs) || len(again.Problems) != 0 && len(inv.Problems) == 0 {
			t.Errorf("%d PFs, then %d; problems %v", len(inv.PFs), len(again.PFs), again.Problems)
		}
		node, _ := Desired(state.Spec)
		if back, problems := Desired(Spec(node)); len(problems) != 0 || !back.Equal(node) {
			t.Errorf("%+v became %+v, %v", node.PFs(), back.PFs(), problems)
		}
	})
}

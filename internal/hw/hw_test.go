// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package hw

import (
	"slices"
	"testing"
)

func TestPCIAddressesReadWhatTheyWrite(t *testing.T) {
	for text, want := range map[string]PCIAddr{
		"0000:5f:00.1":  {Bus: 0x5f, Function: 1},
		"10000:E1:1f.7": {Domain: 0x10000, Bus: 0xe1, Device: 0x1f, Function: 7}, // behind VMD
	} {
		got, err := ParsePCIAddr(text)
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
		if again, err := ParsePCIAddr(got.String()); err != nil || again != want {
			t.Errorf("%s: %s is read as %v, %v", text, got, again, err)
		}
	}
}

func TestBadPCIAddressesAreRefused(t *testing.T) {
	for _, text := range []string{
		"", "5f:00.0", "0000:5f:00", "0000:5f:00.8", "0000:5f:20.0", "0000:5g:00.0", "0000:5f:00.0.1",
		"000:5f:00.0", "0000:5f:0.0", "0000:05f:00.0", "+000:5f:00.0", "0000:5f:00.0\n", "123456789:5f:00.0",
	} {
		if got, err := ParsePCIAddr(text); err == nil {
			t.Errorf("%q is read as %s", text, got)
		}
	}
}

func FuzzParsePCIAddr(f *testing.F) {
	f.Add("0000:5f:00.1")
	f.Add("10000:e1:1f.7")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParsePCIAddr(text)
		if err != nil {
			return
		}
		if b, err := ParsePCIAddr(a.String()); err != nil || a != b {
			t.Errorf("%q: %s is read as %s, %v", text, a, b, err)
		}
	})
}

// The addresses are those of the system description's ConnectX-5 and of an 82576.
func TestVFsAreRoutedByOffsetAndStride(t *testing.T) {
	for _, c := range []struct {
		pf                    string
		offset, stride, index int
		want                  string
	}{
		{"0000:5f:00.0", 2, 1, 2, "0000:5f:00.4"},
		{"0000:5f:00.1", 4, 1, 0, "0000:5f:00.5"},
		{"0000:5f:00.1", 4, 1, 4, "0000:5f:01.1"},
		{"0000:01:00.0", 128, 2, 6, "0000:01:11.4"},
		{"0000:01:00.0", 256, 1, 0, "0000:02:00.0"},
	} {
		pf, err := ParsePCIAddr(c.pf)
		if err != nil {
			t.Fatal(err)
		}
		if got := pf.Routed(c.offset + c.stride*c.index).String(); got != c.want {
			t.Errorf("VF %d of %s: got %s, want %s", c.index, c.pf, got, c.want)
		}
	}
}

func TestVFRanges(t *testing.T) {
	r, err := ParseVFRange("2-5")
	if err != nil || r != (VFRange{First: 2, Last: 5}) || r.Len() != 4 || !r.Contains(5) || r.Contains(6) {
		t.Errorf("got %v, %v", r, err)
	}
	for text, overlaps := range map[string]bool{"0-1": false, "0-2": true, "3-4": true, "5-9": true, "6-9": false} {
		o, err := ParseVFRange(text)
		if err != nil {
			t.Fatal(err)
		}
		if r.Overlaps(o) != overlaps || o.Overlaps(r) != overlaps {
			t.Errorf("2-5 and %s: overlap is not %v both ways", text, overlaps)
		}
	}
	for _, text := range []string{"", "3", "-", "2-", "-2", "2-1", "a-c", "1-2-3", " 1-2", "1-99999", "1_0-2_0", "+1-2"} {
		if got, err := ParseVFRange(text); err == nil {
			t.Errorf("%q is read as %s", text, got)
		}
	}
}

func FuzzParseVFRange(f *testing.F) {
	f.Add("2-5")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseVFRange(text)
		if err != nil {
			return
		}
		if r.First < 0 || r.Last < r.First {
			t.Errorf("%q is read as %s", text, r)
		}
	})
}

func TestIndicesAreWrittenForPeople(t *testing.T) {
	for want, in := range map[string][]int{
		"": nil, "3": {3}, "0-3,6": {6, 3, 1, 2, 0, 3}, "0,2,4-5": {5, 4, 2, 0},
	} {
		if got := FormatIndices(in); got != want {
			t.Errorf("%v: got %q, want %q", in, got, want)
		}
	}
}

func TestIDsAndGUIDs(t *testing.T) {
	for text, want := range map[string]ID{"0x15b3": "15b3", "15B3": "15b3", "0x15b3\n": "15b3"} {
		if got, err := ParseID(text); err != nil || got != want {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "15b", "15b3a", "xyz1", "0x"} {
		if got, err := ParseID(text); err == nil {
			t.Errorf("%q is read as %s", text, got)
		}
	}
	for _, text := range []string{"00:02:c9:03:00:00:12:34", "0002:c903:0000:1234"} {
		if g, err := ParseGUID(text); err != nil || g.String() != "00:02:c9:03:00:00:12:34" {
			t.Errorf("%q: got %s, %v", text, g, err)
		}
	}
	if g, err := ParseGUID("00:02:c9"); err == nil {
		t.Errorf("a short GUID is read as %s", g)
	}
}

func TestDerivedAddressesAreStableAndOfTheRightKind(t *testing.T) {
	seen := map[MAC]VFRef{}
	guids := map[GUID]VFRef{}
	for bus := range uint8(8) {
		for index := range 128 {
			ref := VFRef{PF: PCIAddr{Bus: bus}, Index: index}
			mac, guid := DeriveMAC("08:c0:eb:f4:85:ab", ref), DeriveGUID("08:c0:eb:f4:85:ab", ref)
			if mac != DeriveMAC("08:c0:eb:f4:85:ab", ref) || guid != DeriveGUID("08:c0:eb:f4:85:ab", ref) {
				t.Fatalf("%s: another address the second time", ref)
			}
			if o, ok := seen[mac]; ok {
				t.Errorf("%s and %s have the MAC %s", ref, o, mac)
			}
			if o, ok := guids[guid]; ok {
				t.Errorf("%s and %s have the GUID %s", ref, o, guid)
			}
			seen[mac], guids[guid] = ref, ref
			if !slices.Contains([]byte("26ae"), mac[1]) {
				t.Errorf("%s is not a local unicast address", mac)
			}
		}
	}
}

func TestOnlyRulesPerPFAreOurs(t *testing.T) {
	for name, ours := range map[string]bool{
		"10-nm-disable-0000:5f:00.0.rules": true, "20-switchdev-0000:5f:00.0.rules": true, "10-pf-name-0000:5f:00.0.rules": true,
		"10-nm-disable-.rules": false, "10-nm-disable-0000:5f:00.0": false, "70-persistent-net.rules": false, "10-pf-name-eth0.rules": false,
	} {
		if _, got := OwnedRule(name); got != ours {
			t.Errorf("%s: not %v", name, ours)
		}
	}
}

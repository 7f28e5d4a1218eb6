// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// anyPolicies draws policies with names that differ, most of them valid and many
// of them for the same PFs.
func anyPolicies() *rapid.Generator[[]sriovv1.SriovNetworkNodePolicy] {
	return rapid.Custom(func(t *rapid.T) []sriovv1.SriovNetworkNodePolicy {
		n := rapid.IntRange(0, 7).Draw(t, "policies")
		out := make([]sriovv1.SriovNetworkNodePolicy, 0, n)
		for i := range n {
			out = append(out, sriovv1.SriovNetworkNodePolicy{
				ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s%d", rapid.SampledFrom([]string{"", "a", "Z", "m-"}).Draw(t, "name"), i)},
				Spec:       anySpec(t),
			})
		}
		return out
	})
}

func anySpec(t *rapid.T) sriovv1.SriovNetworkNodePolicySpec {
	s := sriovv1.SriovNetworkNodePolicySpec{
		ResourceName: rapid.SampledFrom([]string{"one", "two", "bad/name"}).Draw(t, "resource"),
		NumVfs:       rapid.IntRange(0, 9).Draw(t, "numVfs"),
		Mtu:          rapid.SampledFrom([]int{0, 1500, 9000}).Draw(t, "mtu"),
		DeviceType:   rapid.SampledFrom([]sriovv1.DeviceType{"", "netdevice", "vfio-pci"}).Draw(t, "deviceType"),
		EswitchMode:  rapid.SampledFrom([]sriovv1.EswitchMode{"", "legacy", "switchdev"}).Draw(t, "eSwitchMode"),
		LinkType:     rapid.SampledFrom([]sriovv1.LinkType{"", "eth", "ETH", "IB"}).Draw(t, "linkType"),
		VdpaType:     rapid.SampledFrom([]sriovv1.VdpaType{"", "", "virtio"}).Draw(t, "vdpaType"),
		IsRdma:       rapid.Bool().Draw(t, "isRdma"),

		ExternallyManaged: rapid.Bool().Draw(t, "externallyManaged"),
		AllowInUse:        rapid.Bool().Draw(t, "allowInUse"),
		AllowUnlistedNics: rapid.Bool().Draw(t, "allowUnlistedNics"),
	}
	if p := rapid.SampledFrom([]int{-1, 0, 10, 10, 99}).Draw(t, "priority"); p >= 0 {
		s.Priority = &p
	}
	if rapid.Bool().Draw(t, "by label") {
		s.NodeSelector = map[string]string{"zone": rapid.SampledFrom([]string{"a", "b"}).Draw(t, "zone")}
	}
	switch rapid.IntRange(0, 4).Draw(t, "selector") {
	case 0:
		s.NicSelector.Vendor = rapid.SampledFrom([]string{"15b3", "8086"}).Draw(t, "vendor")
	case 1:
		s.NicSelector.RootDevices = []string{"0000:5f:00.1"}
	default:
		for range rapid.IntRange(0, 3).Draw(t, "names") {
			name := rapid.SampledFrom([]string{"ens1f0", "enp95s0f0", "ens1f1", "odd0", "eth1"}).Draw(t, "name")
			if rapid.Bool().Draw(t, "with range") {
				first := rapid.IntRange(0, 6).Draw(t, "first")
				name = fmt.Sprintf("%s#%d-%d", name, first, first+rapid.IntRange(0, 3).Draw(t, "more"))
			}
			s.NicSelector.PfNames = append(s.NicSelector.PfNames, name)
		}
	}
	return s
}

// everything is a machine with PFs, one of them not listed, and a VF of its own.
func everything() hw.Inventory {
	inv := twoPorts()
	inv.PFs = append(inv.PFs,
		hw.PF{Addr: addr("0000:01:00.0"), VendorID: "abcd", DeviceID: "0001", Netdev: "odd0"},
		virtualMachine().PFs[0],
	)
	return inv
}

func node() Node {
	labels := capable()
	labels["zone"] = "a"
	return Node{Name: "node1", Labels: labels}
}

// bytesOf is a result as bytes, so that nothing escapes a comparison.
func bytesOf(t *rapid.T, r Result) string {
	text, err := json.Marshal(r.Trace)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s\n%q", text, state(r.Desired))
}

func TestLawTheOrderOfPoliciesAndPFsChangesNoByte(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies, inv := anyPolicies().Draw(t, "policies"), everything()
		o := Options{Catalog: catalog.Default()}
		want := bytesOf(t, Compile(policies, o).Render(node(), inv, ""))
		shuffled := rapid.Permutation(policies).Draw(t, "shuffled")
		inv.PFs = rapid.Permutation(inv.PFs).Draw(t, "pfs")
		if diff := cmp.Diff(want, bytesOf(t, Compile(shuffled, o).Render(node(), inv, ""))); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

func TestLawPoliciesOnDifferentPFsNeverInfluenceEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies, inv := anyPolicies().Draw(t, "policies"), everything()
		o := Options{Catalog: catalog.Default()}
		whole := Compile(policies, o).Render(node(), inv, "")
		for _, pf := range inv.PFs {
			var here []sriovv1.SriovNetworkNodePolicy
			for _, p := range policies {
				alone := Compile([]sriovv1.SriovNetworkNodePolicy{p}, o).Render(node(), hw.Inventory{PFs: []hw.PF{pf}}, "")
				if len(alone.Trace.PFs) == 1 {
					here = append(here, p)
				}
			}
			part := Compile(here, o).Render(node(), hw.Inventory{PFs: []hw.PF{pf}}, "")
			i := slices.IndexFunc(whole.Trace.PFs, func(t PFTrace) bool { return t.PF == pf.Addr })
			if i < 0 {
				if len(part.Trace.PFs) != 0 {
					t.Fatalf("%s is in the part alone", pf.Netdev)
				}
				continue
			}
			if diff := cmp.Diff(part.Trace.PFs[0], whole.Trace.PFs[i], cmp.AllowUnexported(Value{})); diff != "" {
				t.Fatalf("trace of %s, alone and in the whole (-alone +whole):\n%s", pf.Netdev, diff)
			}
			want, ok := part.Desired.PF(pf.Addr)
			got, gotOK := whole.Desired.PF(pf.Addr)
			if diff := cmp.Diff(want, got); ok != gotOK || diff != "" {
				t.Fatalf("%s, alone and in the whole (-alone +whole):\n%s", pf.Netdev, diff)
			}
		}
	})
}

func TestLawWhatIsRenderedIsNeverRejected(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies := anyPolicies().Draw(t, "policies")
		got := Compile(policies, Options{Catalog: catalog.Default()}).Render(node(), everything(), "")
		for _, pf := range got.Trace.PFs {
			if pf.Rejected != "" {
				t.Fatalf("%s: %s", pf.Label(), pf.Rejected)
			}
		}
	})
}

func TestLawThePolicyProcessedLastStandsAndEveryOtherIsAccountedFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies := anyPolicies().Draw(t, "policies")
		got := Compile(policies, Options{Catalog: catalog.Default()}).Render(node(), everything(), "")
		for _, pf := range got.Trace.PFs {
			last := reason.Reason("")
			for _, o := range pf.Outcomes {
				switch o.Reason {
				case reason.Won, reason.Merged, reason.LostToName, reason.LostToPriority, reason.GroupNeedsSwitchdev:
					last = o.Reason
				}
				lost := slices.ContainsFunc(pf.Losses, func(l Loss) bool { return l.Policy == o.Policy && l.Field == FieldGroup })
				if dead := o.To != ""; dead && !lost {
					t.Fatalf("%s: %+v lost its VFs and no loss says so", pf.Label(), o)
				}
			}
			if last != "" && last != reason.Won && last != reason.Merged {
				t.Fatalf("%s: the policy processed last is %s", pf.Label(), last)
			}
			checkGroups(t, got, pf)
		}
	})
}

// checkGroups checks that the trace and the node agree on who has which VFs.
func checkGroups(t *rapid.T, got Result, pf PFTrace) {
	var inTrace, inNode []string
	for _, w := range pf.Stands {
		if w.Field == FieldGroup {
			inTrace = append(inTrace, w.Policy+" "+w.Value.String())
		}
	}
	want, _ := got.Desired.PF(pf.PF)
	for _, g := range want.Groups {
		inNode = append(inNode, g.Policy+" "+g.Range.String())
	}
	if diff := cmp.Diff(inNode, inTrace); diff != "" {
		t.Fatalf("%s: groups of the node and of the trace (-node +trace):\n%s", pf.Label(), diff)
	}
}

func FuzzRender(f *testing.F) {
	f.Add("a", "res", "0000:5f:00.0", "ens1f0#0-3", "ens1f0#3", "15b3", "1017", "switchdev", "ib", "vfio-pci", "virtio", 4, 1500, 10)
	f.Add("default", "", "", "p#2-1", "p#1-2#3-4", "", "", "", "", "", "", -1, -1, -1)
	f.Fuzz(func(t *testing.T, name, res, root, pf1, pf2, vendor, device, mode, link, driver, vdpa string, numVFs, mtu, prio int) {
		p := sriovv1.SriovNetworkNodePolicy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: sriovv1.SriovNetworkNodePolicySpec{
			ResourceName: res, NumVfs: numVFs, Mtu: mtu, Priority: &prio,
			EswitchMode: sriovv1.EswitchMode(mode), LinkType: sriovv1.LinkType(link),
			DeviceType: sriovv1.DeviceType(driver), VdpaType: sriovv1.VdpaType(vdpa),
			NicSelector: sriovv1.SriovNetworkNicSelector{Vendor: vendor, DeviceID: device, PfNames: []string{pf1, pf2}},
		}}
		if root != "" {
			p.Spec.NicSelector.RootDevices = []string{root}
		}
		good := ask("good", on("ens1f1"))
		inv := twoPorts()
		inv.PFs[0].Netdev, inv.PFs[0].AltNames = name, []string{pf2}
		got := render(policies(p, good), inv)
		for _, s := range got.Trace.Sentences() {
			if s == "" {
				t.Error("an empty sentence")
			}
		}
		for _, pf := range got.Trace.PFs {
			if pf.Rejected != "" {
				t.Errorf("%s", pf.Rejected)
			}
		}
		if _, ok := got.Desired.PF(addr("0000:5f:00.1")); !ok {
			t.Error("the good policy is gone")
		}
	})
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package claims_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/claims"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
	"github.com/kubeovn/sriov-network-operator/internal/render/deviceplugin"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
	"github.com/kubeovn/sriov-network-operator/internal/wire"
)

// node1 is a node that the daemon runs on.
func node1() nodestate.Node {
	return nodestate.Node{Name: "node1", Labels: nodestate.DefaultNodeSelector()}
}

// described is the machine of the first example: a ConnectX-5 with two ports, an
// E810, and what a virtual machine was given.
func described() hw.Inventory {
	pf := func(addr, name string, vendor, device hw.ID, driver string) hw.PF {
		a, err := hw.ParsePCIAddr(addr)
		if err != nil {
			panic(err)
		}
		return hw.PF{Addr: a, VendorID: vendor, DeviceID: device, Driver: driver, Netdev: name, TotalVFs: 8, LinkType: hw.LinkEthernet}
	}
	inv := hw.Inventory{PFs: []hw.PF{
		pf("0000:00:05.0", "eth1", "15b3", "1018", "mlx5_core"),
		pf("0000:5f:00.0", "ens41f0np0", "15b3", "1017", "mlx5_core"),
		pf("0000:5f:00.1", "ens41f1np1", "15b3", "1017", "mlx5_core"),
		pf("0000:d8:00.0", "ens2", "8086", "1592", "ice"),
	}}
	inv.PFs[0].Virtual = true
	inv.PFs[1].AltNames = []string{"enp95s0f0np0"}
	return inv
}

// entries are those of a text for node1.
func entries(tb testing.TB, text string) claims.Claim {
	tb.Helper()
	c, problems := claims.Merge(claims.Claims{}, []claims.ConfigMap{{Name: "sriov-configmap", Data: map[string]string{"node1": text}}}, catalog.Default())
	if len(problems) > 0 {
		tb.Fatal(problems)
	}
	return c.Of("node1")
}

func policy(name string, spec sriovv1.SriovNetworkNodePolicySpec) sriovv1.SriovNetworkNodePolicy {
	return sriovv1.SriovNetworkNodePolicy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
}

func render(policies []sriovv1.SriovNetworkNodePolicy, c claims.Claim) nodestate.Result {
	compiled := nodestate.Compile(policies, nodestate.Options{Catalog: catalog.Default()})
	return compiled.With(c.Policies()).Render(node1(), described(), "")
}

// spec is what NodeState.spec will be, in YAML.
func spec(tb testing.TB, r nodestate.Result) string {
	tb.Helper()
	text, err := yaml.Marshal(wire.Spec(r.Desired))
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

func TestTheFirstExampleWithoutAPolicy(t *testing.T) {
	got := spec(t, render(nil, entries(t, `
interfaces:
- nicName: ens41f0np0
  nicType: Nvidia_mlx5_ConnectX-5
  numVfs: 3
  eSwitchMode: switchdev
  resourceName: cx_sriov_switchdev
- nicName: ens41f1np1
  nicType: Nvidia_mlx5_ConnectX-5
  numVfs: 3
  eSwitchMode: switchdev
  resourceName: cx_sriov_switchdev
`)))
	want := `interfaces:
- eSwitchMode: switchdev
  name: ens41f0np0
  numVfs: 3
  pciAddress: 0000:5f:00.0
  vfGroups:
  - deviceType: netdevice
    policyName: sriov-configmap/node1/ens41f0np0
    resourceName: cx_sriov_switchdev
    vfRange: 0-2
- eSwitchMode: switchdev
  name: ens41f1np1
  numVfs: 3
  pciAddress: 0000:5f:00.1
  vfGroups:
  - deviceType: netdevice
    policyName: sriov-configmap/node1/ens41f1np1
    resourceName: cx_sriov_switchdev
    vfRange: 0-2
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLawAnEntryRendersAsTheEquivalentPolicyDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nic := rapid.SampledFrom([]string{"ens41f0np0", "enp95s0f0np0", "ens2", "eth1", "ens41f0np0#1-2", "nothing"}).Draw(t, "nic")
		s := sriovv1.SriovNetworkNodePolicySpec{
			ResourceName: "pool", NumVfs: rapid.IntRange(3, 9).Draw(t, "numVfs"),
			Mtu:             rapid.SampledFrom([]int{0, 1500, 9000}).Draw(t, "mtu"),
			IsRdma:          rapid.Bool().Draw(t, "isRdma"),
			NeedVhostNet:    rapid.Bool().Draw(t, "needVhostNet"),
			ExcludeTopology: rapid.Bool().Draw(t, "excludeTopology"),
			EswitchMode:     rapid.SampledFrom([]sriovv1.EswitchMode{"", "legacy", "switchdev"}).Draw(t, "eSwitchMode"),
			LinkType:        rapid.SampledFrom([]sriovv1.LinkType{"", "eth", "ETH"}).Draw(t, "linkType"),

			ExternallyManaged: rapid.Bool().Draw(t, "externallyManaged"), AllowInUse: rapid.Bool().Draw(t, "allowInUse"),
			AllowUnlistedNics: rapid.Bool().Draw(t, "allowUnlistedNics"),
		}
		if !s.IsRdma {
			s.DeviceType = rapid.SampledFrom([]sriovv1.DeviceType{"", "netdevice", "vfio-pci"}).Draw(t, "deviceType")
		}
		if p := rapid.IntRange(-1, 99).Draw(t, "priority"); p >= 0 {
			s.Priority = &p
		}
		c := one(t, nic, s)
		s.NicSelector = sriovv1.SriovNetworkNicSelector{PfNames: []string{nic}}
		name := claims.Name("node1", nic)
		byPolicy, byEntry := render([]sriovv1.SriovNetworkNodePolicy{policy("p", s)}, claims.Claim{}), render(nil, c)
		if diff := cmp.Diff(strings.ReplaceAll(spec(tb(t), byPolicy), "policyName: p\n", "policyName: "+quoted(name)+"\n"), spec(tb(t), byEntry)); diff != "" {
			t.Fatalf("NodeState.spec (-policy +entry):\n%s", diff)
		}
		plugin := func(p deviceplugin.Policies, r nodestate.Result) string {
			text, err := deviceplugin.Render(deviceplugin.Input{
				Policies: p, Labels: node1().Labels, Inventory: described(), Desired: r.Desired, NICs: catalog.Default(),
			}).Config.JSON()
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		var none deviceplugin.Policies
		if diff := cmp.Diff(
			plugin(deviceplugin.NewPolicies([]sriovv1.SriovNetworkNodePolicy{policy("p", s)}), byPolicy),
			plugin(none.With(c.Policies()), byEntry),
		); diff != "" {
			t.Fatalf("device plugin (-policy +entry):\n%s", diff)
		}
	})
}

// quoted is a name as YAML writes it.
func quoted(name string) string {
	text, err := yaml.Marshal(name)
	if err != nil {
		panic(err)
	}
	return strings.TrimSpace(string(text))
}

// tb lets a law use what takes a testing.TB.
func tb(t *rapid.T) testing.TB { return rapidTB{t: t} }

type rapidTB struct {
	testing.TB
	t *rapid.T
}

func (r rapidTB) Helper()           {}
func (r rapidTB) Fatal(args ...any) { r.t.Fatal(args...) }

// one is a claim with one item: the policy's fields as a ConfigMap spells them.
func one(t *rapid.T, nic string, s sriovv1.SriovNetworkNodePolicySpec) claims.Claim {
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	item := map[string]any{}
	if err := json.Unmarshal(text, &item); err != nil {
		t.Fatal(err)
	}
	delete(item, "nodeSelector")
	delete(item, "nicSelector")
	item["nicName"] = nic
	if text, err = json.Marshal(map[string]any{"interfaces": []any{item}}); err != nil {
		t.Fatal(err)
	}
	return entries(tb(t), string(text))
}

func TestAPolicyObjectDecidesOnAResourceThatAnEntryShares(t *testing.T) {
	// The names sort so that either order by name alone would be noticed.
	for _, name := range []string{"a", "z"} {
		p := policy(name, sriovv1.SriovNetworkNodePolicySpec{
			ResourceName: "pool", NumVfs: 2, ExcludeTopology: true, NicSelector: sriovv1.SriovNetworkNicSelector{PfNames: []string{"ens2"}},
		})
		c := entries(t, "interfaces: [{nicName: ens41f0np0, numVfs: 2, resourceName: pool}]")
		r := deviceplugin.Render(deviceplugin.Input{
			Policies: deviceplugin.NewPolicies([]sriovv1.SriovNetworkNodePolicy{p}).With(c.Policies()), Labels: node1().Labels,
			Inventory: described(), Desired: render([]sriovv1.SriovNetworkNodePolicy{p}, c).Desired, NICs: catalog.Default(),
		})
		if len(r.Config.Resources) != 1 || !r.Config.Resources[0].ExcludeTopology {
			t.Errorf("policy %s: resources are %+v", name, r.Config.Resources)
		}
		if len(r.Notes) != 1 || r.Notes[0].Policy != "sriov-configmap/node1/ens41f0np0" || r.Notes[0].Why.Reason != reason.LostToObject {
			t.Errorf("policy %s: notes are %+v", name, r.Notes)
		}
	}
}

func TestMergeRulesHoldAcrossBothSources(t *testing.T) {
	at := func(n int) *int { return &n }
	on := func(names ...string) sriovv1.SriovNetworkNicSelector {
		return sriovv1.SriovNetworkNicSelector{PfNames: names}
	}
	const here = " on ens41f0np0 (0000:5f:00.0)"
	for name, c := range map[string]struct {
		policies []sriovv1.SriovNetworkNodePolicy
		text     string
		// groups are the VF groups on the first port, and numVfs.
		groups string
		lost   []string
	}{
		"equal priority: the policy object wins, though its name sorts before the entry's": {
			[]sriovv1.SriovNetworkNodePolicy{policy("a", sriovv1.SriovNetworkNodePolicySpec{ResourceName: "obj", NumVfs: 2, NicSelector: on("ens41f0np0")})},
			"interfaces: [{nicName: ens41f0np0, numVfs: 4, resourceName: cm}]",
			"4: obj 0-1",
			[]string{
				"policy sriov-configmap/node1/ens41f0np0: VF group 0-3" + here + " lost to policy a (equal priority 99, and a policy object stands over an entry of a ConfigMap)",
				"policy a: numVfs 2" + here + " is raised to 4 by policy sriov-configmap/node1/ens41f0np0",
			},
		},
		"equal priority: the policy object wins, though its name sorts after the entry's": {
			[]sriovv1.SriovNetworkNodePolicy{policy("z", sriovv1.SriovNetworkNodePolicySpec{ResourceName: "obj", NumVfs: 4, NicSelector: on("ens41f0np0")})},
			"interfaces: [{nicName: ens41f0np0, numVfs: 4, resourceName: cm, eSwitchMode: switchdev}]",
			"4: obj 0-3",
			[]string{
				"policy sriov-configmap/node1/ens41f0np0: VF group 0-3" + here + " lost to policy z (equal priority 99, and a policy object stands over an entry of a ConfigMap)",
				"policy sriov-configmap/node1/ens41f0np0: eSwitchMode switchdev" + here + " lost to policy z, which has legacy (equal priority 99, and a policy object stands over an entry of a ConfigMap)",
			},
		},
		"an entry of higher priority stands alone": {
			[]sriovv1.SriovNetworkNodePolicy{policy("z", sriovv1.SriovNetworkNodePolicySpec{ResourceName: "obj", NumVfs: 8, NicSelector: on("ens41f0np0")})},
			"interfaces: [{nicName: enp95s0f0np0, numVfs: 4, resourceName: cm, priority: 98}]",
			"4: cm 0-3",
			[]string{
				"policy z: VF group 0-7" + here + " lost to policy sriov-configmap/node1/enp95s0f0np0 (priority 98 is before 99)",
				"policy z: numVfs 8" + here + " lost to policy sriov-configmap/node1/enp95s0f0np0, which has 4 (priority 98 is before 99)",
			},
		},
		"a policy object of higher priority stands alone": {
			[]sriovv1.SriovNetworkNodePolicy{policy("a", sriovv1.SriovNetworkNodePolicySpec{ResourceName: "obj", NumVfs: 2, Priority: at(0), NicSelector: on("ens41f0np0")})},
			"interfaces: [{nicType: mlx5_core, numVfs: 4, resourceName: cm, priority: 1}]",
			"2: obj 0-1",
			[]string{
				"policy sriov-configmap/node1/mlx5_core: VF group 0-3" + here + " lost to policy a (priority 0 is before 1)",
				"policy sriov-configmap/node1/mlx5_core: numVfs 4" + here + " lost to policy a, which has 2 (priority 0 is before 1)",
			},
		},
		"groups that do not overlap are merged": {
			[]sriovv1.SriovNetworkNodePolicy{policy("a", sriovv1.SriovNetworkNodePolicySpec{ResourceName: "obj", NumVfs: 2, Priority: at(0), NicSelector: on("ens41f0np0#0-1")})},
			"interfaces: [{nicName: \"ens41f0np0#4-7\", numVfs: 8, resourceName: cm}]",
			"8: obj 0-1, cm 4-7",
			[]string{"policy a: numVfs 2" + here + " is raised to 8 by policy sriov-configmap/node1/ens41f0np0#4-7"},
		},
		"entries of one node are merged by their names": {
			nil,
			"interfaces: [{nicName: \"ens41f0np0#2-3\", numVfs: 4, resourceName: two}, {nicName: ens41f0np0, numVfs: 4, resourceName: one}]",
			"4: two 2-3",
			[]string{"policy sriov-configmap/node1/ens41f0np0: VF group 0-3" + here + " lost to policy sriov-configmap/node1/ens41f0np0#2-3 (equal priority 99, and sriov-configmap/node1/ens41f0np0#2-3 is processed after sriov-configmap/node1/ens41f0np0)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := render(c.policies, entries(t, c.text))
			i := slices.IndexFunc(r.Trace.PFs, func(pf nodestate.PFTrace) bool { return pf.Name == "ens41f0np0" })
			if i < 0 {
				t.Fatal("the port is in no trace")
			}
			pf, _ := r.Desired.PF(r.Trace.PFs[i].PF)
			var groups, lost []string
			for _, g := range pf.Groups {
				groups = append(groups, g.Resource+" "+g.Range.String())
			}
			for _, l := range r.Trace.PFs[i].Losses {
				lost = append(lost, r.Trace.PFs[i].LossSentence(l))
			}
			if got := fmt.Sprintf("%d: %s", pf.NumVFs, strings.Join(groups, ", ")); got != c.groups {
				t.Errorf("got %s, want %s", got, c.groups)
			}
			if diff := cmp.Diff(c.lost, lost); diff != "" {
				t.Errorf("losses (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheNICTypeGuardsAndSelects(t *testing.T) {
	for name, c := range map[string]struct {
		item string
		// pfs are those that are configured, held those that a guard keeps.
		pfs, held string
		why       reason.Reason
		said      string
	}{
		"the type is the NIC's":                  {"nicName: ens2, nicType: 8086:1592", "ens2", "", reason.Won, ""},
		"the type is the NIC's family":           {"nicName: ens2, nicType: E810", "ens2", "", reason.Won, ""},
		"a type selects all NICs of it":          {"nicType: Nvidia_mlx5_ConnectX-5", "eth1 ens41f0np0 ens41f1np1", "", reason.Won, ""},
		"a driver selects all NICs of it":        {"nicType: ice", "ens2", "", reason.Won, ""},
		"a type that the node does not have":     {"nicType: ConnectX-7", "", "", reason.NoPFMatches, ""},
		"a name that the node does not have":     {"nicName: ens9, nicType: ConnectX-5", "", "", reason.NoPFMatches, ""},
		"name and address must both be its":      {"nicName: ens2, pciAddress: \"0000:5f:00.0\"", "", "", reason.NoPFMatches, ""},
		"in a virtual machine the VF has a type": {"nicName: eth1, nicType: 15b3:1017", "eth1", "", reason.Won, ""},
		"the NIC is another, by its name": {
			"nicName: ens2, nicType: Nvidia_mlx5_ConnectX-5", "", "ens2", reason.NICTypeDiffers,
			"policy sriov-configmap/node1/ens2: nothing on ens2 (0000:d8:00.0): nicType is Nvidia_mlx5_ConnectX-5, and the NIC is Intel_ice_Columbiaville_E810-CQDA2_2CQDA2 (8086:1592)",
		},
		"the NIC is another, by its address": {
			"pciAddress: 0000:5f:00.1, nicType: ice", "", "ens41f1np1", reason.NICTypeDiffers,
			"policy sriov-configmap/node1/0000:5f:00.1: nothing on ens41f1np1 (0000:5f:00.1): nicType is ice, and the NIC is Nvidia_mlx5_ConnectX-5 (15b3:1017)",
		},
		"no type guards nothing": {"nicName: ens2", "ens2", "", reason.Won, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := render(nil, entries(t, "interfaces: [{numVfs: 2, "+c.item+"}]"))
			var pfs, held, said []string
			for _, pf := range r.Desired.PFs() {
				pfs = append(pfs, pf.Name)
			}
			for _, pf := range r.Trace.PFs {
				if slices.Contains(r.Trace.Held(), pf.PF) {
					held = append(held, pf.Name)
				}
				for _, o := range pf.Outcomes {
					if o.Reason == reason.NICTypeDiffers {
						said = append(said, pf.Sentence(o))
					}
				}
			}
			got := []string{strings.Join(pfs, " "), strings.Join(held, " "), string(r.Trace.Policies[0].Reason), strings.Join(said, "\n")}
			if diff := cmp.Diff([]string{c.pfs, c.held, string(c.why), c.said}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if r.Trace.Policies[0].Source != nodestate.FromConfigMap {
				t.Errorf("the source is %v", r.Trace.Policies[0].Source)
			}
		})
	}
}

func TestAPFThatAPolicyConfiguresIsNotHeld(t *testing.T) {
	p := policy("p", sriovv1.SriovNetworkNodePolicySpec{ResourceName: "x", NumVfs: 2, NicSelector: sriovv1.SriovNetworkNicSelector{PfNames: []string{"ens2"}}})
	r := render([]sriovv1.SriovNetworkNodePolicy{p}, entries(t, "interfaces: [{numVfs: 4, nicName: ens2, nicType: ConnectX-5}]"))
	if len(r.Desired.PFs()) != 1 || r.Desired.PFs()[0].NumVFs != 2 || len(r.Trace.Held()) != 0 {
		t.Errorf("configured are %+v, held %v", r.Desired.PFs(), r.Trace.Held())
	}
}

func TestANodeThatTheDaemonDoesNotRunOnHasNoEntries(t *testing.T) {
	c := entries(t, "interfaces: [{numVfs: 4, nicName: ens2}]")
	compiled := nodestate.Compile(nil, nodestate.Options{Catalog: catalog.Default()}).With(c.Policies())
	r := compiled.Render(nodestate.Node{Name: "node1"}, described(), "")
	if len(r.Desired.PFs()) != 0 || r.Trace.Policies[0].Reason != reason.NodeNotListed {
		t.Errorf("configured are %+v, %+v", r.Desired.PFs(), r.Trace.Policies)
	}
}

func TestEntriesOfOneNodeDoNotStayForTheNext(t *testing.T) {
	compiled := nodestate.Compile([]sriovv1.SriovNetworkNodePolicy{policy("p", sriovv1.SriovNetworkNodePolicySpec{
		ResourceName: "x", NumVfs: 2, NicSelector: sriovv1.SriovNetworkNicSelector{PfNames: []string{"ens2"}},
	})}, nodestate.Options{Catalog: catalog.Default()})
	before := compiled.Render(node1(), described(), "")
	compiled.With(entries(t, "interfaces: [{numVfs: 4, nicName: ens41f0np0}]").Policies())
	if diff := cmp.Diff(before.Trace, compiled.Render(node1(), described(), "").Trace, cmp.Comparer(func(a, b nodestate.Value) bool { return a == b })); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

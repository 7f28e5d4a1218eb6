// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package deviceplugin_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
	"github.com/kubeovn/sriov-network-operator/internal/render/deviceplugin"
)

// pf is a PF of an X710, 0000:0<bus>:00.0.
func pf(bus uint8, name string, more ...func(*hw.PF)) hw.PF {
	p := hw.PF{Addr: hw.PCIAddr{Bus: bus}, VendorID: "8086", DeviceID: "158b", Netdev: name, TotalVFs: 64, LinkType: hw.LinkEthernet}
	for _, f := range more {
		f(&p)
	}
	return p
}

// mellanox makes the PF one of a ConnectX-5.
func mellanox(p *hw.PF) { p.VendorID, p.DeviceID = "15b3", "1017" }

// policy is a policy for 8 VFs, named for its resource r1.
func policy(name string, more ...func(*sriovv1.SriovNetworkNodePolicySpec)) sriovv1.SriovNetworkNodePolicy {
	p := sriovv1.SriovNetworkNodePolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
	p.Spec.ResourceName, p.Spec.NumVfs = "r1", 8
	for _, f := range more {
		f(&p.Spec)
	}
	return p
}

type spec = sriovv1.SriovNetworkNodePolicySpec

func pfNames(names ...string) func(*spec) { return func(s *spec) { s.NicSelector.PfNames = names } }
func vendor(v string) func(*spec)         { return func(s *spec) { s.NicSelector.Vendor = v } }
func deviceID(v string) func(*spec)       { return func(s *spec) { s.NicSelector.DeviceID = v } }
func named(resource string) func(*spec)   { return func(s *spec) { s.ResourceName = resource } }
func numVFs(n int) func(*spec)            { return func(s *spec) { s.NumVfs = n } }
func vfio(s *spec)                        { s.DeviceType = sriovv1.DeviceTypeVfioPci }
func rdma(s *spec)                        { s.IsRdma = true }
func priority(n int) func(*spec)          { return func(s *spec) { s.Priority = &n } }

func roots(addrs ...string) func(*spec) { return func(s *spec) { s.NicSelector.RootDevices = addrs } }

// want is one PF of the desired node: "0-3 a" gives VFs 0 to 3 to policy a.
func want(bus uint8, n int, groups ...string) desired.PF {
	p := desired.PF{Addr: hw.PCIAddr{Bus: bus}, NumVFs: n}
	for _, g := range groups {
		text, name, _ := strings.Cut(g, " ")
		r, err := hw.ParseVFRange(text)
		if err != nil {
			panic(err)
		}
		p.Groups = append(p.Groups, desired.Group{Policy: name, Range: r})
	}
	return p
}

// node is a node with its policies, and what it should be.
type node struct {
	has      []hw.PF
	should   []desired.PF
	policies []sriovv1.SriovNetworkNodePolicy
	labels   map[string]string
}

func (n node) input(t fataler) deviceplugin.Input {
	t.Helper()
	d, rejected := desired.New(n.should, "")
	if len(rejected) > 0 {
		t.Fatalf("the test's desired node is wrong: %v", rejected[0].Err)
	}
	return deviceplugin.Input{
		Policies: deviceplugin.NewPolicies(n.policies), Labels: n.labels,
		Inventory: hw.Inventory{PFs: n.has}, Desired: d, NICs: catalog.Default(),
	}
}

func text(t fataler, r deviceplugin.Result) string {
	t.Helper()
	out, err := r.Config.JSON()
	if err != nil {
		t.Fatalf("%v", err)
	}
	return out
}

// one is the configuration with one resource r1 and the selectors.
func one(selectors string) string {
	return `{"resourceList":[{"resourceName":"r1","selectors":` + selectors + `,"SelectorObj":null}]}`
}

const noFlags = `"IsRdma":false,"NeedVhostNet":false`

func TestConfigurations(t *testing.T) {
	ens0 := []hw.PF{pf(1, "ens0")}
	two := []hw.PF{pf(1, "ens0"), pf(2, "ens1")}
	mixed := []hw.PF{pf(1, "ens0"), pf(2, "ens1", mellanox)}
	cases := []struct {
		name string
		node node
		want string
	}{
		{"a node without policies has no list", node{has: ens0}, `{"resourceList":null}`},
		{
			"a vendor and a PF with a range", node{
				ens0, []desired.PF{want(1, 10, "0-9 a")}, []sriovv1.SriovNetworkNodePolicy{policy("a", vendor("8086"), pfNames("ens0#0-9"), numVFs(10))}, nil,
			},
			one(`{"vendors":["8086"],"pfNames":["ens0#0-9"],` + noFlags + `}`),
		},
		{
			"excludeTopology belongs to the resource", node{
				ens0, []desired.PF{want(1, 8, "0-3 a")},
				[]sriovv1.SriovNetworkNodePolicy{policy("a", named("resourceXXX"), pfNames("ens0#0-3"), func(s *spec) { s.ExcludeTopology = true })}, nil,
			},
			`{"resourceList":[{"resourceName":"resourceXXX","excludeTopology":true,"selectors":{"pfNames":["ens0#0-3"],"IsRdma":false,"NeedVhostNet":false},"SelectorObj":null}]}`,
		},
		{
			"every key has its place", node{
				[]hw.PF{pf(1, "ens0", mellanox)}, []desired.PF{{Addr: hw.PCIAddr{Bus: 1}, NumVFs: 8, Eswitch: hw.EswitchSwitchdev, Groups: []desired.Group{{Policy: "a", Range: hw.VFRange{Last: 7}}}}},
				[]sriovv1.SriovNetworkNodePolicy{policy("a", vendor("15b3"), deviceID("1017"), pfNames("ens0"), roots("0000:01:00.0"), func(s *spec) {
					s.LinkType, s.NeedVhostNet, s.VdpaType = "eth", true, "vhost"
				})}, nil,
			},
			one(`{"vendors":["15b3"],"devices":["1018"],"pfNames":["ens0"],"rootDevices":["0000:01:00.0"],"linkTypes":["ether"],"IsRdma":false,"NeedVhostNet":true,"vdpaType":"vhost"}`),
		},
		{
			"link types are not asked of VFs on vfio-pci", node{
				ens0, []desired.PF{want(1, 8, "0-7 a")}, []sriovv1.SriovNetworkNodePolicy{policy("a", pfNames("ens0"), vfio, func(s *spec) { s.LinkType = "ETH" })}, nil,
			},
			one(`{"pfNames":["ens0"],` + noFlags + `}`),
		},
		{
			"an alternative name becomes the netdev's and keeps its range", node{
				[]hw.PF{pf(1, "ens0", func(p *hw.PF) { p.AltNames = []string{"enp1s0"} })}, []desired.PF{want(1, 8, "2-5 a")},
				[]sriovv1.SriovNetworkNodePolicy{policy("a", pfNames("enp1s0#2-5", "ens0#2-5"))}, nil,
			},
			one(`{"pfNames":["ens0#2-5"],` + noFlags + `}`),
		},
		{
			"two ranges of one PF share an entry, because the plugin reads only the first", node{
				ens0, []desired.PF{want(1, 8, "0-1 a", "4-5 a")}, []sriovv1.SriovNetworkNodePolicy{policy("a", pfNames("ens0#4-5", "ens0#0-1"))}, nil,
			},
			one(`{"pfNames":["ens0#0-1,4-5"],` + noFlags + `}`),
		},
		{
			"PFs that another node has stay in the list", node{
				ens0, []desired.PF{want(1, 8, "0-7 a")}, []sriovv1.SriovNetworkNodePolicy{policy("a", pfNames("eno9", "ens0"))}, nil,
			},
			one(`{"pfNames":["eno9","ens0"],` + noFlags + `}`),
		},
		{
			"the device is looked up by vendor and device", node{
				mixed, []desired.PF{want(2, 8, "0-7 a")}, []sriovv1.SriovNetworkNodePolicy{policy("a", deviceID("1017"))}, nil,
			},
			one(`{"devices":["1018"],` + noFlags + `}`),
		},
		{
			"a device that the NIC list does not know is left out, and the PF is named instead", node{
				[]hw.PF{pf(1, "ens0", func(p *hw.PF) { p.DeviceID = "9999" }), pf(2, "ens1")}, []desired.PF{want(1, 8, "0-7 a")},
				[]sriovv1.SriovNetworkNodePolicy{policy("a", vendor("8086"), deviceID("9999"))}, nil,
			},
			one(`{"vendors":["8086"],"rootDevices":["0000:01:00.0"],` + noFlags + `}`),
		},
		{
			"no VFs asked for advertises PFs without VFs", node{
				two, []desired.PF{want(2, 8, "0-7 b")},
				[]sriovv1.SriovNetworkNodePolicy{policy("a", numVFs(0), vendor("8086"), deviceID("158b")), policy("b", named("r2"), pfNames("ens1"))}, nil,
			},
			`{"resourceList":[{"resourceName":"r1","selectors":{"vendors":["8086"],"devices":["158b"],` + noFlags + `},"SelectorObj":null},` +
				`{"resourceName":"r2","selectors":{"pfNames":["ens1"],` + noFlags + `},"SelectorObj":null}]}`,
		},
		{
			"a policy for 0 VFs on another node is left out", node{
				ens0, nil, []sriovv1.SriovNetworkNodePolicy{policy("a", numVFs(0), vendor("8086"), func(s *spec) { s.NodeSelector = map[string]string{"a": "b"} })}, nil,
			},
			`{"resourceList":null}`,
		},
		{
			"a policy that matches no PF of the node is left out", node{
				ens0, []desired.PF{want(1, 8, "0-7 a")}, []sriovv1.SriovNetworkNodePolicy{policy("a", pfNames("ens0")), policy("b", named("r2"), pfNames("eno9"))}, nil,
			},
			one(`{"pfNames":["ens0"],` + noFlags + `}`),
		},
		{
			"a node without NICs has no list, also with a netFilter", node{
				nil, nil, []sriovv1.SriovNetworkNodePolicy{policy("a", func(s *spec) { s.NicSelector.NetFilter = "openstack/NetworkID:1" })}, nil,
			},
			`{"resourceList":null}`,
		},
		{
			"a netFilter becomes the addresses of the devices", node{
				[]hw.PF{
					pf(5, "eth0", func(p *hw.PF) { p.Virtual, p.NetFilter = true, "openstack/NetworkID:1" }),
					pf(6, "eth1", func(p *hw.PF) { p.Virtual, p.NetFilter = true, "openstack/NetworkID:2" }),
				}, []desired.PF{want(5, 1, "0-0 a")},
				[]sriovv1.SriovNetworkNodePolicy{policy("a", numVFs(1), func(s *spec) { s.NicSelector.NetFilter = "openstack/NetworkID:1" })}, nil,
			},
			one(`{"pciAddresses":["0000:05:00.0"],` + noFlags + `}`),
		},
		{
			"a VF in a virtual machine, which has no index, is named by its address when pfNames has a range", node{
				[]hw.PF{pf(5, "eth0", func(p *hw.PF) { p.Virtual = true })}, []desired.PF{want(5, 1, "0-0 a")},
				[]sriovv1.SriovNetworkNodePolicy{policy("a", numVFs(1), pfNames("eth0#0-0"))}, nil,
			},
			one(`{"pciAddresses":["0000:05:00.0"],` + noFlags + `}`),
		},
		{
			"the highest priority comes first, and equal priorities by name", node{
				[]hw.PF{pf(1, "p1"), pf(2, "p2"), pf(3, "p3")}, []desired.PF{want(1, 8, "0-7 c"), want(2, 8, "0-7 b"), want(3, 8, "0-7 a")},
				[]sriovv1.SriovNetworkNodePolicy{
					policy("b", named("r2"), pfNames("p2")), policy("c", named("r3"), pfNames("p1"), priority(0)), policy("a", pfNames("p3")),
				}, nil,
			},
			`{"resourceList":[{"resourceName":"r3","selectors":{"pfNames":["p1"],` + noFlags + `},"SelectorObj":null},` +
				`{"resourceName":"r1","selectors":{"pfNames":["p3"],` + noFlags + `},"SelectorObj":null},` +
				`{"resourceName":"r2","selectors":{"pfNames":["p2"],` + noFlags + `},"SelectorObj":null}]}`,
		},
		{
			"a policy that lost one PF lists the other alone", node{
				two, []desired.PF{want(1, 4, "0-3 b"), want(2, 8, "0-7 a")},
				[]sriovv1.SriovNetworkNodePolicy{policy("a", pfNames("ens0", "ens1")), policy("b", named("r2"), pfNames("ens0"), numVFs(4), priority(1))}, nil,
			},
			`{"resourceList":[{"resourceName":"r2","selectors":{"pfNames":["ens0"],` + noFlags + `},"SelectorObj":null},` +
				`{"resourceName":"r1","selectors":{"pfNames":["ens1"],` + noFlags + `},"SelectorObj":null}]}`,
		},
		{
			"a policy without a range that shares a PF lists the VFs that it got", node{
				ens0, []desired.PF{want(1, 8, "0-3 a", "4-7 b")},
				[]sriovv1.SriovNetworkNodePolicy{policy("a", pfNames("ens0"), numVFs(4)), policy("b", named("r2"), pfNames("ens0#4-7"))}, nil,
			},
			`{"resourceList":[{"resourceName":"r1","selectors":{"pfNames":["ens0#0-3"],` + noFlags + `},"SelectorObj":null},` +
				`{"resourceName":"r2","selectors":{"pfNames":["ens0#4-7"],` + noFlags + `},"SelectorObj":null}]}`,
		},
		{
			"a policy by vendor that shares a PF names its PFs by address", node{
				two, []desired.PF{want(1, 8, "0-3 a", "4-7 b"), want(2, 4, "0-3 a")},
				[]sriovv1.SriovNetworkNodePolicy{policy("a", vendor("8086"), numVFs(4)), policy("b", named("r2"), pfNames("ens0#4-7"))}, nil,
			},
			`{"resourceList":[{"resourceName":"r1","selectors":{"vendors":["8086"],"rootDevices":["0000:01:00.0#0-3","0000:02:00.0"],` + noFlags + `},"SelectorObj":null},` +
				`{"resourceName":"r2","selectors":{"pfNames":["ens0#4-7"],` + noFlags + `},"SelectorObj":null}]}`,
		},
		{
			"a policy by address keeps its order when it is narrowed", node{
				two, []desired.PF{want(1, 8, "0-3 a", "4-7 b"), want(2, 4, "0-3 a")},
				[]sriovv1.SriovNetworkNodePolicy{policy("a", roots("0000:02:00.0", "0000:01:00.0"), numVFs(4)), policy("b", named("r2"), pfNames("ens0#4-7"))}, nil,
			},
			`{"resourceList":[{"resourceName":"r1","selectors":{"rootDevices":["0000:02:00.0","0000:01:00.0#0-3"],` + noFlags + `},"SelectorObj":null},` +
				`{"resourceName":"r2","selectors":{"pfNames":["ens0#4-7"],` + noFlags + `},"SelectorObj":null}]}`,
		},
		{
			"a device id that other PFs' VFs have as well does not take those", node{
				[]hw.PF{pf(1, "ens0"), pf(2, "ens1", func(p *hw.PF) { p.DeviceID = "1572" })}, []desired.PF{want(1, 8, "0-7 a"), want(2, 8, "0-7 b")},
				[]sriovv1.SriovNetworkNodePolicy{policy("a", deviceID("158b")), policy("b", named("r2"), pfNames("ens1"))}, nil,
			},
			`{"resourceList":[{"resourceName":"r1","selectors":{"devices":["154c"],"rootDevices":["0000:01:00.0"],` + noFlags + `},"SelectorObj":null},` +
				`{"resourceName":"r2","selectors":{"pfNames":["ens1"],` + noFlags + `},"SelectorObj":null}]}`,
		},
		{
			"policies of one resource share a selector in the existing operator's order", node{
				mixed, []desired.PF{want(1, 8, "0-7 a"), want(2, 8, "0-7 b")},
				[]sriovv1.SriovNetworkNodePolicy{policy("a", vendor("8086"), pfNames("ens0"), priority(1)), policy("b", vendor("15b3"), pfNames("ens1"))}, nil,
			},
			one(`{"vendors":["15b3","8086"],"pfNames":["ens1","ens0"],` + noFlags + `}`),
		},
		{
			"disjoint groups of one resource on one PF are one pool", node{
				ens0, []desired.PF{want(1, 8, "0-1 a", "6-7 b")},
				[]sriovv1.SriovNetworkNodePolicy{policy("a", pfNames("ens0#0-1")), policy("b", pfNames("ens0#6-7"))}, nil,
			},
			one(`{"pfNames":["ens0#0-1,6-7"],` + noFlags + `}`),
		},
		{
			"policies of one resource that select by different fields have selectors of their own", node{
				two, []desired.PF{want(1, 8, "0-7 a"), want(2, 8, "0-7 b")},
				[]sriovv1.SriovNetworkNodePolicy{policy("a", pfNames("ens0")), policy("b", roots("0000:02:00.0"))}, nil,
			},
			one(`[{"rootDevices":["0000:02:00.0"],` + noFlags + `},{"pfNames":["ens0"],` + noFlags + `}]`),
		},
		{
			"policies of one resource with other flags have selectors of their own", node{
				two, []desired.PF{want(1, 8, "0-7 a"), want(2, 8, "0-7 b")},
				[]sriovv1.SriovNetworkNodePolicy{policy("a", pfNames("ens0"), priority(1)), policy("b", pfNames("ens1"), rdma)}, nil,
			},
			one(`[{"pfNames":["ens0"],` + noFlags + `},{"pfNames":["ens1"],"IsRdma":true,"NeedVhostNet":false}]`),
		},
		{
			"policies of one resource with other drivers have selectors of their own, and the driver is asked for", node{
				two, []desired.PF{want(1, 8, "0-7 a"), want(2, 8, "0-7 b")},
				[]sriovv1.SriovNetworkNodePolicy{policy("a", pfNames("ens0")), policy("b", pfNames("ens1"), vfio)}, nil,
			},
			one(`[{"drivers":["vfio-pci"],"pfNames":["ens1"],` + noFlags + `},{"pfNames":["ens0"],` + noFlags + `}]`),
		},
		{
			"ranges that touch become one", node{
				ens0, []desired.PF{want(1, 8, "0-1 a", "2-3 b")},
				[]sriovv1.SriovNetworkNodePolicy{policy("a", pfNames("ens0#0-1")), policy("b", pfNames("ens0#2-3"))}, nil,
			},
			one(`{"pfNames":["ens0#0-3"],` + noFlags + `}`),
		},
		{
			"a device id that only one policy asks for is not asked of VFs whose id is not known", node{
				[]hw.PF{pf(1, "ens0"), pf(2, "ens1", func(p *hw.PF) { p.DeviceID = "9999" })}, []desired.PF{want(1, 8, "0-7 a"), want(2, 8, "0-7 b")},
				[]sriovv1.SriovNetworkNodePolicy{policy("a", deviceID("158b"), pfNames("ens0")), policy("b", pfNames("ens1"))}, nil,
			},
			one(`[{"pfNames":["ens1"],` + noFlags + `},{"devices":["154c"],"pfNames":["ens0"],` + noFlags + `}]`),
		},
		{
			"a policy for 0 VFs does not get the device that another has in a virtual machine", node{
				[]hw.PF{pf(5, "eth0", func(p *hw.PF) { p.Virtual = true })}, []desired.PF{want(5, 1, "0-0 a")},
				[]sriovv1.SriovNetworkNodePolicy{policy("a", numVFs(1), vendor("8086")), policy("b", named("r0"), numVFs(0), vendor("8086"))}, nil,
			},
			one(`{"vendors":["8086"],` + noFlags + `}`),
		},
		{
			"a PF that has only an alternative name is named by its address when its policy is narrowed", node{
				[]hw.PF{pf(1, "", func(p *hw.PF) { p.AltNames = []string{"alt"} }), pf(2, "ens1")}, []desired.PF{want(1, 8, "0-7 a"), want(2, 8, "0-3 a", "4-7 b")},
				[]sriovv1.SriovNetworkNodePolicy{policy("a", pfNames("ens1", "alt"), numVFs(4)), policy("b", named("r2"), pfNames("ens1#4-7"))}, nil,
			},
			`{"resourceList":[{"resourceName":"r1","selectors":{"rootDevices":["0000:01:00.0","0000:02:00.0#0-3"],` + noFlags + `},"SelectorObj":null},` +
				`{"resourceName":"r2","selectors":{"pfNames":["ens1#4-7"],` + noFlags + `},"SelectorObj":null}]}`,
		},
		{
			"a PF without a netdev is named by its address when its policy is narrowed", node{
				[]hw.PF{pf(1, "")}, []desired.PF{want(1, 8, "0-3 a", "4-7 b")},
				[]sriovv1.SriovNetworkNodePolicy{policy("a", vendor("8086"), numVFs(4)), policy("b", named("r2"), roots("0000:01:00.0"))}, nil,
			},
			`{"resourceList":[{"resourceName":"r1","selectors":{"vendors":["8086"],"rootDevices":["0000:01:00.0#0-3"],` + noFlags + `},"SelectorObj":null},` +
				`{"resourceName":"r2","selectors":{"rootDevices":["0000:01:00.0#4-7"],` + noFlags + `},"SelectorObj":null}]}`,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := deviceplugin.Render(c.node.input(t))
			if diff := cmp.Diff(c.want, text(t, r)); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
			if len(r.Notes) > 0 {
				t.Errorf("notes: %v", r.Notes)
			}
		})
	}
}

func TestWhatThePluginCannotHaveIsNoted(t *testing.T) {
	two := []hw.PF{pf(1, "ens0"), pf(2, "ens1")}
	both := []desired.PF{want(1, 8, "0-7 a"), want(2, 8, "0-7 b")}
	exclude := func(s *spec) { s.ExcludeTopology = true }
	cases := []struct {
		name       string
		policies   []sriovv1.SriovNetworkNodePolicy
		want       string
		wantPolicy string
		wantReason reason.Reason
	}{
		{
			"excludeTopology of the higher priority holds for the resource",
			[]sriovv1.SriovNetworkNodePolicy{policy("a", pfNames("ens0"), priority(1)), policy("b", pfNames("ens1"), exclude)},
			one(`{"pfNames":["ens1","ens0"],` + noFlags + `}`), "b", reason.LostToPriority,
		},
		{
			"among equal priorities excludeTopology of the last name holds",
			[]sriovv1.SriovNetworkNodePolicy{policy("a", pfNames("ens0")), policy("b", pfNames("ens1"), exclude)},
			`{"resourceList":[{"resourceName":"r1","excludeTopology":true,"selectors":{"pfNames":["ens0","ens1"],` + noFlags + `},"SelectorObj":null}]}`,
			"a", reason.LostToName,
		},
		{
			"a resource name that would stop the plugin is left out alone",
			[]sriovv1.SriovNetworkNodePolicy{policy("a", pfNames("ens0"), named("bad/name")), policy("b", pfNames("ens1"))},
			one(`{"pfNames":["ens1"],` + noFlags + `}`), "a", reason.BadPolicy,
		},
		{
			"isRdma gives way to vdpaType, which would stop the plugin together with it",
			[]sriovv1.SriovNetworkNodePolicy{policy("a", pfNames("ens0"), rdma, func(s *spec) { s.VdpaType = "virtio" })},
			one(`{"pfNames":["ens0"],` + noFlags + `,"vdpaType":"virtio"}`), "a", reason.RDMAWithVDPA,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := deviceplugin.Render(node{two, both, c.policies, nil}.input(t))
			if diff := cmp.Diff(c.want, text(t, r)); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
			if len(r.Notes) != 1 || r.Notes[0].Policy != c.wantPolicy || r.Notes[0].Why.Reason != c.wantReason || r.Notes[0].Why.Detail == "" {
				t.Errorf("notes %v, want one on %s: %s", r.Notes, c.wantPolicy, c.wantReason)
			}
		})
	}
}

func TestWithoutLabelsEveryNodeSelectorMatches(t *testing.T) {
	n := node{has: []hw.PF{pf(1, "ens0")}, policies: []sriovv1.SriovNetworkNodePolicy{
		policy("a", numVFs(0), vendor("8086"), func(s *spec) { s.NodeSelector = map[string]string{"a": "b"} }),
	}}
	in := n.input(t)
	in.LabelsUnknown = true
	if got, want := text(t, deviceplugin.Render(in)), one(`{"vendors":["8086"],`+noFlags+`}`); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAPolicyNamedDefaultDoesNotCount(t *testing.T) {
	n := node{[]hw.PF{pf(1, "ens0")}, []desired.PF{want(1, 8, "0-7 default")}, []sriovv1.SriovNetworkNodePolicy{policy("default", pfNames("ens0"))}, nil}
	if r := deviceplugin.Render(n.input(t)); len(r.Config.Resources) > 0 {
		t.Errorf("got %s", text(t, r))
	}
}

// fleetPolicies are 21 policies of the kind that fleets have: one for each PF by
// name and ranges, and some by vendor.
func fleetPolicies() []sriovv1.SriovNetworkNodePolicy {
	var out []sriovv1.SriovNetworkNodePolicy
	for i := range 21 {
		name := fmt.Sprintf("policy-%02d", i)
		first := i % 5 * 8
		out = append(out, policy(name, named(fmt.Sprintf("resource_%02d", i)), numVFs(64), vendor("15b3"), deviceID("1017"),
			pfNames(fmt.Sprintf("ens%df0#%d-%d", i%4, first, first+7), fmt.Sprintf("ens%df1#%d-%d", i%4, first, first+7))))
	}
	return out
}

// fleetNode is a node with four dual-port NICs, as fleetPolicies make it.
func fleetNode(policies []sriovv1.SriovNetworkNodePolicy) node {
	n := node{policies: policies}
	for card := range 4 {
		for port := range 2 {
			bus := uint8(16*card + port)
			n.has = append(n.has, pf(bus, fmt.Sprintf("ens%df%d", card, port), mellanox))
			w := desired.PF{Addr: hw.PCIAddr{Bus: bus}, NumVFs: 64}
			for i := range policies {
				first := i % 5 * 8
				if i < 20 && i%4 == card {
					w.Groups = append(w.Groups, desired.Group{Policy: policies[i].Name, Range: hw.VFRange{First: first, Last: first + 7}})
				}
				if i == 20 && card == 0 {
					w.Groups = append(w.Groups, desired.Group{Policy: policies[i].Name, Range: hw.VFRange{First: 40, Last: 47}})
				}
			}
			n.should = append(n.should, w)
		}
	}
	return n
}

func TestTheOrderOfPoliciesChangesNothing(t *testing.T) {
	policies := fleetPolicies()
	n := fleetNode(policies)
	first := text(t, deviceplugin.Render(n.input(t)))
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		r.Shuffle(len(policies), func(i, j int) { policies[i], policies[j] = policies[j], policies[i] })
		n.policies = policies
		if again := text(t, deviceplugin.Render(n.input(t))); again != first {
			t.Fatalf("seed %d (-first +again):\n%s", seed, cmp.Diff(first, again))
		}
	}
}

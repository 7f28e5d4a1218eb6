// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package validate

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

type spec = sriovv1.SriovNetworkNodePolicySpec

// policy makes a policy that is right for ens1f0.
func policy(name string, changes ...func(*spec)) sriovv1.SriovNetworkNodePolicy {
	p := sriovv1.SriovNetworkNodePolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name},
		Spec: spec{
			ResourceName: "res_" + name, NumVfs: 4,
			NicSelector: sriovv1.SriovNetworkNicSelector{PfNames: []string{"ens1f0"}},
		},
	}
	for _, change := range changes {
		change(&p.Spec)
	}
	return p
}

func addr(s string) hw.PCIAddr {
	a, err := hw.ParsePCIAddr(s)
	if err != nil {
		panic(err)
	}
	return a
}

// node makes a node of the default pool with one ConnectX-5 and one E810.
func node(name string) Node {
	return Node{
		Node: nodestate.Node{Name: name, Labels: map[string]string{
			"kubernetes.io/os": "linux", "feature.node.kubernetes.io/network-sriov.capable": "true", "name": name,
		}},
		Inventory: hw.Inventory{PFs: []hw.PF{
			{
				Addr: addr("0000:5f:00.0"), VendorID: "15b3", DeviceID: "1017", Driver: "mlx5_core", Netdev: "ens1f0",
				AltNames: []string{"enp95s0f0"}, LinkType: hw.LinkEthernet, MTU: hw.Read(1500), TotalVFs: 16, NumVFs: 2,
			},
			{
				Addr: addr("0000:d8:00.0"), VendorID: "8086", DeviceID: "1592", Driver: "ice", Netdev: "ens2",
				MTU: hw.Read(1500), TotalVFs: 64, InUseBy: []string{"default route"},
			},
			{Addr: addr("0000:e0:00.0"), VendorID: "abcd", DeviceID: "0001", Driver: "odd", Netdev: "odd0", MTU: hw.Read(1500), TotalVFs: 8},
		}},
	}
}

// cluster is three nodes and no other policy.
func cluster(others ...sriovv1.SriovNetworkNodePolicy) Facts {
	return Facts{
		Namespace: "kube-system", NICs: catalog.Default(), Policies: others,
		Nodes: []Node{node("n1"), node("n2"), node("n3")},
	}
}

// told writes problems without the name of the object.
func told(problems []Problem) []string {
	var out []string
	for _, p := range problems {
		_, text, _ := strings.Cut(p.String(), ": ")
		out = append(out, text)
	}
	return out
}

func TestAGoodPolicyHasNoProblem(t *testing.T) {
	p := policy("a")
	for name, f := range map[string]Facts{"nothing is known": {}, "a cluster": cluster(), "a cluster that has the policy": cluster(p)} {
		t.Run(name, func(t *testing.T) {
			if got := Policy(&p, f); len(got) != 0 {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestD12ErrorsArePoliciesThatCanNeverWork(t *testing.T) {
	pfNames := func(names ...string) func(*spec) { return func(s *spec) { s.NicSelector.PfNames = names } }
	cases := map[string]struct {
		change func(*spec)
		want   string
	}{
		"no resource name":          {func(s *spec) { s.ResourceName = "" }, `error: spec.resourceName: "" is no resource name`},
		"a resource with a prefix":  {func(s *spec) { s.ResourceName = "mellanox.com/x" }, `error: spec.resourceName: "mellanox.com/x" is no resource name`},
		"a resource that ends in -": {func(s *spec) { s.ResourceName = "x-" }, `error: spec.resourceName`},
		"a name of 64 characters":   {func(s *spec) { s.ResourceName = strings.Repeat("x", 64) }, `error: spec.resourceName`},
		"an empty NIC selector":     {func(s *spec) { s.NicSelector = sriovv1.SriovNetworkNicSelector{} }, `error: spec.nicSelector: it is empty`},
		"one index for a range":     {pfNames("ens1f0#3"), `error: spec.nicSelector.pfNames[0]: "ens1f0#3"`},
		"two ranges in one entry":   {pfNames("ens1f0#1-2#3-3"), `error: spec.nicSelector.pfNames[0]`},
		"a range of letters":        {pfNames("ens1f1", "ens1f0#a-b"), `error: spec.nicSelector.pfNames[1]`},
		"a range backwards":         {pfNames("ens1f0#2-1"), `error: spec.nicSelector.pfNames[0]`},
		"a range past numVfs":       {pfNames("ens1f0#2-4"), `error: spec.nicSelector.pfNames[0]: "ens1f0#2-4" ends past the last VF`},
		"vfio-pci with RDMA":        {func(s *spec) { s.DeviceType, s.IsRdma = "vfio-pci", true }, `error: spec.isRdma`},
		"switchdev with IB":         {func(s *spec) { s.EswitchMode, s.LinkType = "switchdev", "ib" }, `error: spec.eSwitchMode`},
		"vDPA without switchdev":    {func(s *spec) { s.VdpaType = "vhost" }, `error: spec.vdpaType: vDPA needs eSwitchMode switchdev`},
		"vDPA with vfio-pci":        {func(s *spec) { s.VdpaType, s.EswitchMode, s.DeviceType = "vhost", "switchdev", "vfio-pci" }, `error: spec.vdpaType`},
		"a bridge in legacy mode":   {func(s *spec) { s.Bridge.OVS = &sriovv1.OVSConfig{} }, `error: spec.bridge`},
		"a bridge of others": {
			func(s *spec) {
				s.Bridge.OVS, s.EswitchMode, s.ExternallyManaged = &sriovv1.OVSConfig{}, "switchdev", true
			}, `error: spec.bridge`,
		},
		"a vendor that is a name": {func(s *spec) { s.NicSelector.Vendor = "Intel" }, `error: spec.nicSelector.vendor`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := policy("a", c.change)
			got := told(Policy(&p, cluster()))
			if len(got) == 0 || !strings.HasPrefix(got[0], c.want) {
				t.Errorf("got %q, want %q first", got, c.want)
			}
		})
	}
}

func TestD12WarningsAreWhatDependsOnOthers(t *testing.T) {
	only := func(name string) func(*spec) { return func(s *spec) { s.NicSelector.PfNames = []string{name} } }
	virtual := cluster()
	virtual.Nodes = virtual.Nodes[:1]
	virtual.Nodes[0].Inventory = hw.Inventory{PFs: []hw.PF{{
		Addr: addr("0000:00:05.0"), VendorID: "15b3", DeviceID: "1018", Driver: "mlx5_core", Netdev: "ens1f0", Virtual: true, TotalVFs: 1, NumVFs: 1,
	}}}
	cases := map[string]struct {
		policy sriovv1.SriovNetworkNodePolicy
		facts  Facts
		want   []string
	}{
		"no node matches": {
			policy("a", func(s *spec) { s.NodeSelector = map[string]string{"x": "y"} }), cluster(),
			[]string{"warning: spec.nodeSelector: no node matches at present; compare it with the labels of the nodes"},
		},
		"no PF matches": {
			policy("a", only("ens9")), cluster(),
			[]string{"warning: spec.nicSelector: no PF of the selected nodes matches at present; compare it with status.interfaces of the node states"},
		},
		"more VFs than the hardware has, told once for all nodes": {
			policy("a", func(s *spec) { s.NumVfs = 17 }), cluster(),
			[]string{"warning: spec.numVfs: 17 is more than the 16 VFs that the hardware offers (n1 ens1f0, n2 ens1f0, n3 ens1f0); lower it, or raise the firmware's limit"},
		},
		"a NIC that is not listed": {
			policy("a", only("odd0")), cluster(),
			[]string{"warning: spec.nicSelector: the NIC abcd 0001 is not in the list of supported NICs and is left alone (n1 odd0, n2 odd0, n3 odd0); add it to the ConfigMap supported-nic-ids, or set allowUnlistedNics"},
		},
		"a NIC that is not listed and allowed": {policy("a", only("odd0"), func(s *spec) { s.AllowUnlistedNics = true }), cluster(), nil},
		"a PF with the host's traffic": {
			policy("a", only("ens2"), func(s *spec) { s.NodeSelector = map[string]string{"name": "n2"} }), cluster(),
			[]string{"warning: spec.nicSelector: the PF carries traffic of the host (default route); steps that would interrupt it are refused (n2 ens2); choose another PF, or set allowInUse"},
		},
		"0 VFs": {policy("a", func(s *spec) { s.NumVfs = 0 }), Facts{}, []string{"warning: spec.numVfs: a policy that asks for 0 VFs adds nothing; set it, or delete the policy"}},
		"a vendor that is not listed": {
			policy("a", func(s *spec) { s.NicSelector.Vendor = "abcd" }), Facts{NICs: catalog.Default()},
			[]string{`warning: spec.nicSelector.vendor: no NIC of the vendor abcd is in the list of supported NICs; add "vendor device vfDevice" to the ConfigMap supported-nic-ids, or set allowUnlistedNics`},
		},
		"a device that is not listed for its vendor": {
			policy("a", func(s *spec) { s.NicSelector.Vendor, s.NicSelector.DeviceID = "15b3", "1572" }), Facts{NICs: catalog.Default()},
			[]string{`warning: spec.nicSelector.deviceID: 15b3 1572 is not in the list of supported NICs; add "vendor device vfDevice" to the ConfigMap supported-nic-ids, or set allowUnlistedNics`},
		},
		"a device that is not listed at all": {
			policy("a", func(s *spec) { s.NicSelector.DeviceID = "ffff" }), Facts{NICs: catalog.Default()},
			[]string{`warning: spec.nicSelector.deviceID: no vendor's device ffff is in the list of supported NICs; add "vendor device vfDevice" to the ConfigMap supported-nic-ids, or set allowUnlistedNics`},
		},
		"a device of any vendor": {policy("a", func(s *spec) { s.NicSelector.DeviceID = "1017" }), Facts{NICs: catalog.Default()}, nil},
		"a VF in a virtual machine": {
			policy("a", func(s *spec) { s.Mtu, s.DeviceType = 9000, "vfio-pci" }), virtual,
			[]string{
				"warning: spec.numVfs: 4 counts as 1: in a virtual machine the VF is the device (n1 ens1f0); set it to 1",
				"warning: spec.mtu: it has no effect: in a virtual machine the platform sets the MTU (n1 ens1f0); remove it",
				"warning: spec.deviceType: this NIC serves userspace with its kernel driver (n1 ens1f0); use netdevice",
			},
		},
		"an externally managed PF with fewer VFs and a smaller MTU": {
			policy("a", func(s *spec) {
				s.ExternallyManaged, s.Mtu, s.NodeSelector = true, 9000, map[string]string{"name": "n1"}
			}), cluster(),
			[]string{
				"warning: spec.numVfs: numVfs(4) is higher than the virtual functions allocated for the PF externally value(2) (n1 ens1f0); raise the number of VFs where the PF is managed, or lower numVfs",
				"warning: spec.mtu: 9000 is more than the MTU 1500 of the externally managed PF (n1 ens1f0); raise it where the PF is managed, or lower mtu",
			},
		},
		"another link type": {
			policy("a", func(s *spec) { s.LinkType, s.NodeSelector = "IB", map[string]string{"name": "n1"} }), cluster(),
			[]string{"warning: spec.linkType: the port speaks ETH at present, not IB (n1 ens1f0); change the port's type in the firmware, or linkType"},
		},
		"vDPA on a NIC that has none": {
			policy("a", only("ens2"), func(s *spec) {
				s.VdpaType, s.EswitchMode, s.AllowInUse, s.NodeSelector = "vhost", "switchdev", true, map[string]string{"name": "n1"}
			}), cluster(),
			[]string{"warning: spec.vdpaType: VFs of the driver ice are not known to become vDPA devices (n1 ens2); remove it, or select other NICs"},
		},
		"a root device that is no address": {
			policy("a", func(s *spec) { s.NicSelector.RootDevices = []string{"5f:00.0", "0000:5f:00.0"} }), cluster(),
			[]string{`warning: spec.nicSelector.rootDevices[0]: PCI address "5f:00.0": three parts separated by ':' are needed; it is written like 0000:5f:00.1; the entry matches nothing`},
		},
		"a network with other fields": {
			policy("a", func(s *spec) { s.NicSelector.NetFilter, s.EswitchMode, s.LinkType = "aws", "legacy", "IB" }), Facts{},
			[]string{
				`warning: spec.nicSelector.netFilter: "aws" has no key and value and so selects nothing; write it like openstack/NetworkID:<uuid>`,
				`warning: spec.nicSelector.netFilter: the other fields of nicSelector must match as well; remove them, if the network alone shall decide`,
				`warning: spec.nicSelector.netFilter: a NIC of a virtual deployment has no eSwitch to change; remove eSwitchMode and bridge`,
				`warning: spec.nicSelector.netFilter: the platform decides on the link type; remove linkType`,
			},
		},
		"another namespace": {
			func() sriovv1.SriovNetworkNodePolicy { p := policy("a"); p.Namespace = "default"; return p }(), Facts{Namespace: "kube-system"},
			[]string{"warning: metadata.namespace: only policies in the namespace kube-system count; create it there"},
		},
		"the name default": {
			policy("default"), cluster(), []string{"warning: metadata.name: a policy named default is always skipped; give it another name"},
		},
		"another policy with the same resource and another excludeTopology": {
			policy("a", func(s *spec) { s.ExcludeTopology = true }), Facts{Policies: []sriovv1.SriovNetworkNodePolicy{policy("b", func(s *spec) { s.ResourceName = "res_a" })}},
			[]string{"warning: spec.excludeTopology: excludeTopology[true] field conflicts with policy [b].ExcludeTopology[false] as they target the same resource[res_a]; set it alike in both, or give the resources different names"},
		},
		"two ranges for a PF that overlap by an alternative name": {
			policy("a", func(s *spec) {
				s.NicSelector.PfNames, s.NodeSelector = []string{"ens1f0#0-1", "enp95s0f0#1-2"}, map[string]string{"name": "n1"}
			}), cluster(), nil,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, told(Policy(&c.policy, c.facts))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOverlapsAreAWarningForBothSides(t *testing.T) {
	low := policy("low", func(s *spec) { s.NumVfs = 8; s.NodeSelector = map[string]string{"name": "n1"} })
	ten := 10
	high := policy("high", func(s *spec) {
		s.Priority = &ten
		s.NicSelector = sriovv1.SriovNetworkNicSelector{Vendor: "15b3"}
	})
	beside := policy("beside", func(s *spec) {
		s.NumVfs, s.Priority, s.NicSelector.PfNames = 12, &ten, []string{"enp95s0f0#8-11"}
	})
	fix := "; change a priority, or give the policies VF ranges that do not overlap"
	where := " (n1 ens1f0 (0000:5f:00.0))"
	want := []string{
		"warning: spec.nicSelector: VF group 0-7 loses to policy high: priority 10 is before 99" + where + fix,
		"warning: spec.numVfs: numVfs 8 loses to policy high: priority 10 is before 99" + where + fix,
	}
	got := told(Policy(&low, cluster(high)))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("for the loser (-want +got):\n%s", diff)
	}
	got = told(Policy(&high, cluster(low)))
	wantHigh := []string{
		"warning: spec.nicSelector: VF group 0-7 of policy low loses to this policy: priority 10 is before 99" + where + fix,
		"warning: spec.numVfs: numVfs 8 of policy low loses to this policy: priority 10 is before 99" + where + fix,
	}
	if diff := cmp.Diff(wantHigh, got); diff != "" {
		t.Errorf("for the winner (-want +got):\n%s", diff)
	}
	got = told(Policy(&high, cluster(beside)))
	wantBeside := []string{"warning: spec.numVfs: 4 becomes 12, because policy beside asks for it (n1 ens1f0 (0000:5f:00.0), n2 ens1f0 (0000:5f:00.0), n3 ens1f0 (0000:5f:00.0))"}
	if diff := cmp.Diff(wantBeside, got); diff != "" {
		t.Errorf("beside another (-want +got):\n%s", diff)
	}
	got = told(Policy(&beside, cluster(high)))
	wantRaising := []string{"warning: spec.numVfs: 12 raises that of policy high from 4 (n1 ens1f0 (0000:5f:00.0), n2 ens1f0 (0000:5f:00.0), n3 ens1f0 (0000:5f:00.0))"}
	if diff := cmp.Diff(wantRaising, got); diff != "" {
		t.Errorf("raising another (-want +got):\n%s", diff)
	}
}

func TestTheOldVersionOfThePolicyDoesNotCount(t *testing.T) {
	p := policy("a")
	old := policy("a", func(s *spec) { s.ExcludeTopology = true })
	if got := Policy(&p, cluster(old)); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestManyNodesAreCounted(t *testing.T) {
	f := cluster()
	for i := range 7 {
		f.Nodes = append(f.Nodes, node(fmt.Sprintf("x%d", i)))
	}
	p := policy("a", func(s *spec) { s.NumVfs = 17 })
	got := told(Policy(&p, f))
	if len(got) != 1 || !strings.Contains(got[0], "(n1 ens1f0, n2 ens1f0, n3 ens1f0 and 7 more)") {
		t.Errorf("got %q", got)
	}
}

func TestSriovNetwork(t *testing.T) {
	type netSpec = sriovv1.SriovNetworkSpec
	facts := Facts{Namespace: "kube-system", Policies: []sriovv1.SriovNetworkNodePolicy{policy("a")}}
	cases := map[string]struct {
		change func(*sriovv1.SriovNetwork)
		want   []string
	}{
		"a good one": {func(n *sriovv1.SriovNetwork) {
			n.Spec = netSpec{
				ResourceName: "res_a", NetworkNamespace: "x", IPAM: `{"type": "host-local"}`, Capabilities: `{"mac": true}`, Vlan: 4094, VlanQoS: 7,
				VlanProto: "802.1ad", SpoofChk: "on", Trust: "off", LinkState: "auto", LogLevel: "debug", MinTxRate: new(10), MaxTxRate: new(10),
				MetaPluginsConfig: `{"type": "tuning"}, {"type": "vrf", "vrfname": "blue"}`,
			}
		}, nil},
		"a maximum of 0 is no limit": {func(n *sriovv1.SriovNetwork) { n.Spec.MinTxRate, n.Spec.MaxTxRate = new(10), new(0) }, nil},
		"a namespace that only the operator's objects may name": {
			func(n *sriovv1.SriovNetwork) { n.Namespace, n.Spec.NetworkNamespace = "team", "kube-system" },
			[]string{"error: spec.networkNamespace: .Spec.NetworkNamespace field can't be specified if the resource is not in the kube-system namespace; create the object in kube-system, or remove networkNamespace"},
		},
		"no resource": {
			func(n *sriovv1.SriovNetwork) { n.Spec.ResourceName = "" }, []string{"error: spec.resourceName: it is empty; name the resource of a policy"},
		},
		"a resource that nobody offers": {
			func(n *sriovv1.SriovNetwork) { n.Spec.ResourceName = "x" },
			[]string{`warning: spec.resourceName: no policy offers the resource "x" at present; name the resource of a policy, without its prefix`},
		},
		"three faults in three texts are three errors with their places": {
			func(n *sriovv1.SriovNetwork) {
				n.Spec.IPAM, n.Spec.Capabilities, n.Spec.MetaPluginsConfig = "{\n  \"type\": }", "[]", `{"type": "a"},, {}`
			},
			[]string{
				`error: spec.capabilities: is not a JSON object (line 1, column 1)`,
				`error: spec.ipam: is not valid JSON: invalid character '}' looking for beginning of value (line 2, column 11)`,
				`error: spec.metaPlugins: is not valid JSON: invalid character ',' looking for beginning of value (line 1, column 15)`,
			},
		},
		"a minimum above the maximum": {
			func(n *sriovv1.SriovNetwork) { n.Spec.MinTxRate, n.Spec.MaxTxRate = new(11), new(10) },
			[]string{"error: spec.minTxRate: 11 is more than maxTxRate 10"},
		},
		"negative rates": {
			func(n *sriovv1.SriovNetwork) { n.Spec.MinTxRate, n.Spec.MaxTxRate = new(-1), new(-2) },
			[]string{"error: spec.minTxRate: -1 is negative", "error: spec.maxTxRate: -2 is negative"},
		},
		"values out of range": {
			func(n *sriovv1.SriovNetwork) {
				n.Spec.Vlan, n.Spec.VlanQoS, n.Spec.VlanProto, n.Spec.SpoofChk, n.Spec.Trust = 4095, 8, "q", "yes", "no"
				n.Spec.LinkState, n.Spec.LogLevel = "up", "trace"
			},
			[]string{
				"error: spec.vlan: 4095 is out of range; use 0 to 4094", "error: spec.vlanQoS: 8 is out of range; use 0 to 7",
				`error: spec.vlanProto: "q" is not known`, `error: spec.spoofChk: "yes" is not known; use on, off`, `error: spec.trust: "no" is not known`,
				`error: spec.linkState: "up" is not known; use auto, enable, disable`, `error: spec.logLevel: "trace" is not known`,
			},
		},
		"priority and protocol without a VLAN": {
			func(n *sriovv1.SriovNetwork) { n.Spec.VlanQoS, n.Spec.VlanProto = 3, "802.1AD" },
			[]string{"warning: spec.vlanQoS: 3 has no effect without a VLAN", "warning: spec.vlanProto: 802.1AD has no effect without a VLAN"},
		},
		"what has no effect through kube-ovn": {
			func(n *sriovv1.SriovNetwork) { n.Spec.KubeOVN, n.Spec.Vlan = &sriovv1.KubeOVNConfig{}, 5 },
			[]string{"warning: spec.vlan: it has no effect through kube-ovn"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			n := sriovv1.SriovNetwork{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "net"}, Spec: netSpec{ResourceName: "res_a"}}
			c.change(&n)
			expect(t, c.want, told(SriovNetwork(&n, facts)))
		})
	}
}

// expect compares the beginnings of what is told.
func expect(t *testing.T, want, got []string) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("got %d problems, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("problem %d is\n%s\nwant\n%s", i, got[i], want[i])
		}
	}
}

func TestIBAndOVSNetworks(t *testing.T) {
	ib := sriovv1.SriovIBNetwork{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "ib"}, Spec: sriovv1.SriovIBNetworkSpec{
		NetworkNamespace: "x", LinkState: "x", IPAM: "{",
	}}
	expect(t, []string{
		"error: spec.networkNamespace: .Spec.NetworkNamespace field", "error: spec.resourceName", "error: spec.ipam", "error: spec.linkState",
	}, told(SriovIBNetwork(&ib, Facts{Namespace: "kube-system"})))
	ovs := sriovv1.OVSNetwork{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "ovs"}, Spec: sriovv1.OVSNetworkSpec{
		ResourceName: "r", Vlan: 4096, Capabilities: "x",
		Trunk: []*sriovv1.TrunkConfig{
			{ID: new(uint(7))}, {MinID: new(uint(1)), MaxID: new(uint(4095))}, nil, {MinID: new(uint(3)), MaxID: new(uint(2))}, {MinID: new(uint(3))}, {}, {ID: new(uint(4096))},
		},
	}}
	expect(t, []string{
		"error: spec.capabilities", "error: spec.vlan: 4096 is out of range", "error: spec.trunk[3]: the range ends at 2 before it starts at 3",
		"error: spec.trunk[4]: a range needs both", "error: spec.trunk[6].id: 4096 is out of range", "warning: spec.trunk[5]: it names no VLAN",
	}, told(OVSNetwork(&ovs, Facts{})))
}

func TestPoolConfig(t *testing.T) {
	number := func(n int32) *intstr.IntOrString { return &intstr.IntOrString{Type: intstr.Int, IntVal: n} }
	text := func(s string) *intstr.IntOrString { return &intstr.IntOrString{Type: intstr.String, StrVal: s} }
	selects := func(name string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{"name": name}}
	}
	type poolSpec = sriovv1.SriovNetworkPoolConfigSpec
	all := cluster()
	all.Pools = []sriovv1.SriovNetworkPoolConfig{
		{ObjectMeta: metav1.ObjectMeta{Name: "everyone"}},
		{ObjectMeta: metav1.ObjectMeta{Name: "offload"}, Spec: poolSpec{OvsHardwareOffloadConfig: sriovv1.OvsHardwareOffloadConfig{Name: "worker"}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "pool"}},
	}
	cases := map[string]struct {
		spec  poolSpec
		facts Facts
		want  []string
	}{
		"a number":               {poolSpec{MaxUnavailable: number(2), RdmaMode: "exclusive", DisruptionScope: "Node"}, cluster(), nil},
		"a percentage":           {poolSpec{MaxUnavailable: text("100%")}, cluster(), nil},
		"with hardware offload":  {poolSpec{OvsHardwareOffloadConfig: sriovv1.OvsHardwareOffloadConfig{Name: "worker"}}, all, nil},
		"a negative number":      {poolSpec{MaxUnavailable: number(-1)}, Facts{}, []string{"error: spec.maxUnavailable: -1 is negative"}},
		"text":                   {poolSpec{MaxUnavailable: text("two")}, Facts{}, []string{`error: spec.maxUnavailable: "two" is neither`}},
		"a number as text":       {poolSpec{MaxUnavailable: text("2")}, Facts{}, []string{`error: spec.maxUnavailable: "2" is neither`}},
		"0 percent":              {poolSpec{MaxUnavailable: text("0%")}, Facts{}, []string{`error: spec.maxUnavailable: "0%" is neither`}},
		"101 percent":            {poolSpec{MaxUnavailable: text("101%")}, Facts{}, []string{`error: spec.maxUnavailable: "101%" is neither`}},
		"0 nodes":                {poolSpec{MaxUnavailable: number(0)}, Facts{}, []string{"warning: spec.maxUnavailable: with 0 no node is ever changed"}},
		"less than one node":     {poolSpec{MaxUnavailable: text("33%")}, cluster(), []string{"warning: spec.maxUnavailable: 33% of the 3 nodes at present is less than one node"}},
		"a third of three nodes": {poolSpec{MaxUnavailable: text("34%")}, cluster(), nil},
		"hardware offload and more": {
			poolSpec{MaxUnavailable: number(1), NodeSelector: selects("n1"), OvsHardwareOffloadConfig: sriovv1.OvsHardwareOffloadConfig{Name: "w"}}, Facts{},
			[]string{"error: spec.maxUnavailable: a pool with ovsHardwareOffloadConfig", "error: spec.nodeSelector: a pool with ovsHardwareOffloadConfig"},
		},
		"unknown words": {poolSpec{RdmaMode: "x", DisruptionScope: "y"}, Facts{}, []string{"error: spec.rdmaMode", "error: spec.disruptionScope"}},
		"a selector that is none": {
			poolSpec{NodeSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}}}, all,
			[]string{"error: spec.nodeSelector: it is no label selector"},
		},
		"nodes in another pool": {
			poolSpec{NodeSelector: selects("n2")}, all,
			[]string{"warning: spec.nodeSelector: nodes are in pool everyone, too, and a node may be in one pool only (n2)"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := sriovv1.SriovNetworkPoolConfig{ObjectMeta: metav1.ObjectMeta{Name: "pool"}, Spec: c.spec}
			expect(t, c.want, told(PoolConfig(&p, c.facts)))
		})
	}
}

func TestOperatorConfig(t *testing.T) {
	type opSpec = sriovv1.SriovOperatorConfigSpec
	busy := cluster()
	busy.Nodes[1].InProgress = true
	with := func(s opSpec) *sriovv1.SriovOperatorConfig {
		return &sriovv1.SriovOperatorConfig{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "default"}, Spec: s}
	}
	cases := map[string]struct {
		config, before *sriovv1.SriovOperatorConfig
		facts          Facts
		want           []string
	}{
		"a good one": {with(opSpec{
			LogLevel: 2, ConfigurationMode: "systemd", PodEvictionPolicy: "delete", ResourcePrefix: "mellanox.com",
			DisablePlugins: []sriovv1.PluginName{"mellanox"}, FeatureGates: map[string]bool{"parallelNicConfig": true},
		}), nil, cluster(), nil},
		"another name and namespace": {
			&sriovv1.SriovOperatorConfig{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "y"}}, nil, cluster(),
			[]string{"error: metadata.name: only the object named default is read", "error: metadata.namespace: only the object in the namespace kube-system"},
		},
		"values that are not known": {
			with(opSpec{LogLevel: 3, ConfigurationMode: "x", PodEvictionPolicy: "y", ResourcePrefix: "A/b", DisablePlugins: []sriovv1.PluginName{"intel"}}), nil, Facts{},
			[]string{
				"error: spec.logLevel", "error: spec.configurationMode", "error: spec.podEvictionPolicy", `error: spec.disablePlugins[0]: "intel"`, `error: spec.resourcePrefix: "A/b"`,
			},
		},
		"unknown features": {
			with(opSpec{FeatureGates: map[string]bool{"z": true, "b": false}}), nil, Facts{},
			[]string{"warning: spec.featureGates[b]", "warning: spec.featureGates[z]"},
		},
		"drain is switched off while nothing happens": {with(opSpec{DisableDrain: true}), with(opSpec{}), cluster(), []string{"warning: spec.disableDrain: nodes are changed without"}},
		"drain is switched off while a node is changed": {
			with(opSpec{DisableDrain: true}), with(opSpec{}), busy, []string{"error: spec.disableDrain: node n2 is being changed"},
		},
		"drain was off before, and a node is changed": {with(opSpec{DisableDrain: true}), with(opSpec{DisableDrain: true}), busy, []string{"warning: spec.disableDrain"}},
		"drain is off from the beginning":             {with(opSpec{DisableDrain: true}), nil, busy, []string{"warning: spec.disableDrain"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { expect(t, c.want, told(OperatorConfig(c.config, c.before, c.facts))) })
	}
}

func TestAProblemIsJSONWithWords(t *testing.T) {
	p := policy("a", func(s *spec) { s.NumVfs = 0 })
	text, err := json.Marshal(Policy(&p, Facts{}))
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"severity":"warning","kind":"SriovNetworkNodePolicy","namespace":"kube-system","name":"a","field":"spec.numVfs","reason":"NoVFsAsked","cause":"a policy that asks for 0 VFs adds nothing","fix":"set it, or delete the policy"}]`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add("a", "res", "0000:5f:00.0", "ens1f0#0-3", "p#3", "15b3", "1017", "aws/NetworkID:1", 4)
	f.Fuzz(func(t *testing.T, name, res, root, pf1, pf2, vendor, device, filter string, numVFs int) {
		p := policy(name, func(s *spec) {
			s.ResourceName, s.NumVfs = res, numVFs
			s.NicSelector = sriovv1.SriovNetworkNicSelector{Vendor: vendor, DeviceID: device, PfNames: []string{pf1, pf2}, NetFilter: filter}
			if root != "" {
				s.NicSelector.RootDevices = []string{root}
			}
		})
		for _, problem := range Policy(&p, cluster(policy("other"))) {
			if problem.Field == "" || problem.Cause == "" || problem.Kind == "" {
				t.Errorf("%+v", problem)
			}
		}
	})
}

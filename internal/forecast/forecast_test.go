// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package forecast

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/claims"
	"github.com/kubeovn/sriov-network-operator/internal/fleet"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

type spec = sriovv1.SriovNetworkNodePolicySpec

// policy asks for four VFs of ens1f0, unless it is changed.
func policy(name string, change func(*spec)) sriovv1.SriovNetworkNodePolicy {
	p := sriovv1.SriovNetworkNodePolicy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec{
		ResourceName: "net", NumVfs: 4, NicSelector: sriovv1.SriovNetworkNicSelector{PfNames: []string{"ens1f0"}},
	}}
	if change != nil {
		change(&p.Spec)
	}
	return p
}

// objects are those of a cluster with these policies.
func objects(policies ...sriovv1.SriovNetworkNodePolicy) fleet.Objects {
	return fleet.Objects{Policies: policies}
}

// nic is a PF with VFs, as a daemon reports it.
func nic(name, pci, driver string, vfs int) sriovv1.InterfaceExt {
	n := sriovv1.InterfaceExt{
		Name: name, PciAddress: pci, Driver: "mlx5_core", Vendor: "15b3", DeviceID: "1017", TotalVfs: 8, NumVfs: vfs,
		Mtu: 1500, LinkType: "ETH", LinkAdminState: "up", EswitchMode: "legacy", Mac: "08:c0:eb:f4:85:ab",
	}
	for i := range vfs {
		vf := sriovv1.VirtualFunction{VfID: i, PciAddress: strings.TrimSuffix(pci, "0") + string(rune('2'+i)), Driver: driver, Vendor: "15b3", DeviceID: "1018"}
		if driver == "mlx5_core" {
			vf.Name, vf.Mtu = name+"v"+string(rune('0'+i)), 1500
		}
		n.VFs = append(n.VFs, vf)
	}
	return n
}

// node is a node that is as the policy asks.
func node(nics ...sriovv1.InterfaceExt) Node {
	if len(nics) == 0 {
		nics = []sriovv1.InterfaceExt{nic("ens1f0", "0000:d8:00.0", "mlx5_core", 4)}
	}
	return Node{
		Node: nodestate.Node{Name: "n", Labels: map[string]string{sriovv1.LabelOS: "linux", sriovv1.LabelSriovCapable: "true"}},
		State: &sriovv1.SriovNetworkNodeState{
			ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: sriovv1.SriovNetworkNodeStateStatus{Interfaces: nics},
		},
	}
}

func look(t *testing.T, before, after fleet.Objects, n Node) Outlook {
	t.Helper()
	c := Change{Before: fleet.New(before, claims.Claims{}), After: fleet.New(after, claims.Claims{})}
	c.Undrained = after.Config != nil && after.Config.Spec.DisableDrain
	out, listed, err := c.Look(n)
	if err != nil || !listed {
		t.Fatalf("listed %t, error %v", listed, err)
	}
	return out
}

func TestWhatAChangeDoesToANode(t *testing.T) {
	present := objects(policy("p", nil))
	more := policy("p", func(s *spec) { s.NumVfs = 8 })
	inPool := objects(more)
	inPool.Pools = []sriovv1.SriovNetworkPoolConfig{{Spec: sriovv1.SriovNetworkPoolConfigSpec{DisruptionScope: sriovv1.DisruptionScopeNode}}}
	undrained, elsewhere := objects(more), objects(more)
	undrained.Config = &sriovv1.SriovOperatorConfig{Spec: sriovv1.SriovOperatorConfigSpec{DisableDrain: true}}
	elsewhere.Config = &sriovv1.SriovOperatorConfig{Spec: sriovv1.SriovOperatorConfigSpec{ConfigDaemonNodeSelector: map[string]string{"other": "true"}}}
	raised := objects(policy("p", func(s *spec) { s.Mtu = 9000 }))
	jumbo := node(func() sriovv1.InterfaceExt {
		n := nic("ens1f0", "0000:d8:00.0", "mlx5_core", 4)
		n.Mtu = 9000
		return n
	}())
	modeless := node(func() sriovv1.InterfaceExt {
		n := nic("ens1f0", "0000:d8:00.0", "mlx5_core", 4)
		n.EswitchMode, n.Driver = "", "igb"
		return n
	}())
	exclusive := objects(policy("p", nil))
	exclusive.Pools = []sriovv1.SriovNetworkPoolConfig{{Spec: sriovv1.SriovNetworkPoolConfigSpec{RdmaMode: sriovv1.RdmaModeExclusive}}}
	rdma := func(mode sriovv1.RdmaMode) Node {
		n := node()
		n.State.Status.System.RdmaMode = mode
		return n
	}
	for name, c := range map[string]struct {
		before, after fleet.Objects
		node          Node
		want          Effect
		why, doubt    string
		steps         int
		offers        bool
	}{
		"the same policies change nothing":               {present, present, node(), Unchanged, "", "", 0, false},
		"another name of the resource is for the plugin": {present, objects(policy("p", func(s *spec) { s.ResourceName = "x" })), node(), None, "", "", 0, true},
		"a higher MTU pauses the link":                   {present, raised, node(), Link, "", "", 2, false},
		"an MTU that is not asked for any more":          {raised, present, jumbo, Link, "", "which MTU the PF's owner had set", 1, false},
		"another number takes all VFs":                   {present, objects(more), node(), Pods, "", "", 4, false},
		"a pool says that the whole node is drained":     {present, inPool, node(), Drain, "", "", 4, false},
		"without drains pods lose VFs while they run":    {present, undrained, node(), Pods, "", "disableDrain is set", 4, false},
		"a node that is left keeps its VFs":              {present, elsewhere, node(), Unchanged, "would not look after", "", 0, false},
		"a node that has not reported":                   {present, objects(more), Node{Node: node().Node}, Unknown, "has not reported", "", 0, false},
		"vfio-pci needs what the state does not tell": {
			present, objects(policy("p", func(s *spec) { s.DeviceType = "vfio-pci" })), node(), Pods, "", "whether the IOMMU is on", 1, false,
		},
		"a VF on vfio-pci proves the IOMMU": {
			present, objects(policy("p", func(s *spec) { s.DeviceType = "vfio-pci" })),
			node(nic("ens1f0", "0000:d8:00.0", "mlx5_core", 4), nic("ens1f1", "0000:d9:00.0", "vfio-pci", 2)), Pods, "", "", 1, false,
		},
		"without a policy the PF is given back": {present, objects(), node(), Pods, "", "before the operator first changed it", 1, true},
		"switchdev on a NIC that names no mode": {
			present, objects(policy("p", func(s *spec) { s.EswitchMode = "switchdev" })), modeless, Pods, "", "whether ens1f0 has an eSwitch", 3, false,
		},
		"another RDMA mode takes a restart":                    {present, exclusive, rdma(sriovv1.RdmaModeShared), Reboot, "", "", 1, false},
		"an RDMA mode that the node has already takes nothing": {present, exclusive, rdma(sriovv1.RdmaModeExclusive), Unchanged, "needs nothing for it", "", 0, false},
		"a policy for another PF leaves this one out, whatever it still needs": {
			objects(more), objects(more, policy("q", func(s *spec) { s.NicSelector.PfNames, s.ResourceName = []string{"ens1f1"}, "q" })),
			node(nic("ens1f0", "0000:d8:00.0", "mlx5_core", 4), nic("ens1f1", "0000:d9:00.0", "", 0)), None, "", "", 3, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			out := look(t, c.before, c.after, c.node)
			steps := 0
			for range out.Plan.Steps() {
				steps++
			}
			if out.Effect != c.want || steps != c.steps || out.Offers != c.offers || !strings.Contains(out.Why, c.why) {
				t.Errorf("%s in %d steps, offers %t: %q; want %s in %d, %t\n%+v", out.Effect, steps, out.Offers, out.Why, c.want, c.steps, c.offers, out.Plan)
			}
			if doubts := strings.Join(out.Doubts, "\n"); !strings.Contains(doubts, c.doubt) || (c.doubt == "") != (doubts == "") {
				t.Errorf("doubts %q, want %q", doubts, c.doubt)
			}
		})
	}
}

func TestAWishThatCannotBeMetIsBlockedAndChangesNothing(t *testing.T) {
	out := look(t, objects(policy("p", nil)), objects(policy("p", func(s *spec) { s.NumVfs = 99 })), node())
	if out.Effect != Unchanged || len(out.Plan.Blocked) != 1 {
		t.Errorf("%s, blocked %v", out.Effect, out.Plan.Blocked)
	}
	groups, err := Gather([]Outlook{out})
	if err != nil {
		t.Fatal(err)
	}
	if f := Sum(groups); f.Blocked != 1 || f.Changes() {
		t.Errorf("%d blocked, changes %t", f.Blocked, f.Changes())
	}
}

func TestNodesThatDifferInAddressesAreOneGroup(t *testing.T) {
	before, after := objects(policy("p", nil)), objects(policy("p", func(s *spec) { s.NumVfs = 8 }))
	var all []Outlook
	for _, name := range []string{"c", "a", "b"} {
		n := node()
		n.Name, n.State.Name = name, name
		n.State.Status.Interfaces[0].Mac = "08:c0:eb:f4:85:0" + name
		all = append(all, look(t, before, after, n))
	}
	idle := node(nic("ens9", "0000:0a:00.0", "", 0))
	idle.Name = "idle"
	all = append(all, look(t, before, after, idle))
	groups, err := Gather(all)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, g := range groups {
		got = append(got, g.Effect.String()+" "+strings.Join(g.Nodes, ","))
	}
	if diff := cmp.Diff([]string{"pods a,b,c", "unchanged idle"}, got); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[Effect]int{Pods: 3, Unchanged: 1}, Sum(groups).Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

// pod is on the node, asks for so many VFs of net, and has them if they are named.
func pod(name string, vfs int64, devices ...string) corev1.Pod {
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "d", Name: name}, Spec: corev1.PodSpec{NodeName: "n"}}
	if vfs > 0 {
		p.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{
			Limits: corev1.ResourceList{"x.com/net": *resource.NewQuantity(vfs, resource.DecimalSI)},
		}}}
	}
	var entries []string
	for _, d := range devices {
		entries = append(entries, `{"device-info":{"type":"pci","pci":{"pci-address":"`+d+`"}}}`)
	}
	if len(entries) > 0 {
		p.Annotations = map[string]string{networkStatus: "[" + strings.Join(entries, ",") + "]"}
	}
	return p
}

func TestWhoHoldsWhatIsTaken(t *testing.T) {
	present := objects(policy("p", nil))
	some := objects(policy("p", func(s *spec) { s.DeviceType = "vfio-pci"; s.NicSelector.PfNames = []string{"ens1f0#2-3"} }))
	all := objects(policy("p", func(s *spec) { s.NumVfs = 8 }))
	drained := objects(policy("p", func(s *spec) { s.DeviceType = "vfio-pci"; s.NicSelector.PfNames = []string{"ens1f0#2-3"} }))
	drained.Pools = []sriovv1.SriovNetworkPoolConfig{{Spec: sriovv1.SriovNetworkPoolConfigSpec{DisruptionScope: sriovv1.DisruptionScopeNode}}}
	const kept, lost = "0000:d8:00.2", "0000:d8:00.4"
	for name, c := range map[string]struct {
		after    fleet.Objects
		pod      corev1.Pod
		assigned string
		want     []Holder
	}{
		"a pod whose networks name the VF":                    {some, pod("a", 1, lost), "", []Holder{{VFs: []string{lost}, Certain: true, Asks: []string{"x.com/net"}}}},
		"a pod whose networks name another VF":                {some, pod("a", 1, kept), "", nil},
		"a pod that the daemon names":                         {some, pod("a", 0), "d/a", []Holder{{VFs: []string{lost}, Certain: true}}},
		"a pod that may have another VF":                      {some, pod("a", 1), "", []Holder{{Asks: []string{"x.com/net"}}}},
		"a pod of which one VF is known, and the other not":   {some, pod("a", 2, kept), "", []Holder{{Asks: []string{"x.com/net"}}}},
		"all VFs of the resource are taken, so its pods lose": {all, pod("a", 1), "", []Holder{{Certain: true, Asks: []string{"x.com/net"}}}},
		"a pod without VFs":                                   {all, pod("a", 0), "", nil},
		"a drain takes VFs that the change leaves":            {drained, pod("a", 1, kept), "", []Holder{{VFs: []string{kept}, Certain: true, Asks: []string{"x.com/net"}}}},
		"a pod that has ended": {all, func() corev1.Pod {
			p := pod("a", 1, lost)
			p.Status.Phase = corev1.PodSucceeded
			return p
		}(), "", nil},
		"an annotation that cannot be read": {all, func() corev1.Pod {
			p := pod("a", 1)
			p.Annotations = map[string]string{networkStatus: "{"}
			return p
		}(), "", []Holder{{Certain: true, Asks: []string{"x.com/net"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			n := node()
			n.State.Status.Interfaces[0].VFs[2].Assigned = c.assigned
			got := look(t, present, c.after, n).Holders(n.State, []corev1.Pod{c.pod, {Spec: corev1.PodSpec{NodeName: "other"}}}, "x.com")
			for i := range c.want {
				c.want[i].Node, c.want[i].Namespace, c.want[i].Name = "n", "d", "a"
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/test/fleet"
)

// judge is laws with a clock that the test moves.
type judge struct {
	*fleet.Laws
	now time.Time
}

func newJudge() *judge {
	j := &judge{now: time.Unix(0, 0)}
	j.Laws = fleet.NewLaws(fleet.Terms{Limit: 2, Turn: 10 * time.Second, Idle: time.Second, Now: func() time.Time { return j.now }})
	return j
}

// is shows a node that asks for something and holds something.
func (j *judge) is(name, asks, held string) {
	j.State(state(name, asks, held))
}

// comeAndGo gives a number of nodes a turn of five seconds, one after the other, while one waits all the time.
func (j *judge) comeAndGo(turns int) {
	j.is("waits", asks, idle)
	for range turns {
		j.is("comes and goes", asks, draining)
		j.now = j.now.Add(5 * time.Second)
		j.is("comes and goes", asks, isComplete)
		j.is("comes and goes", idle, idle)
	}
	j.is("waits", idle, idle)
}

func state(name, asks, held string) *sriovv1.SriovNetworkNodeState {
	return &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{
		sriovv1.AnnotationDesiredState: asks, sriovv1.AnnotationCurrentState: held,
	}}}
}

func node(name string, ready corev1.ConditionStatus, cordoned bool) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{Unschedulable: cordoned},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}},
	}
}

const (
	idle, asks           = sriovv1.DrainIdle, sriovv1.DrainRequired
	draining, isComplete = sriovv1.Draining, sriovv1.DrainComplete
)

func TestLawsAreBroken(t *testing.T) {
	for name, test := range map[string]struct {
		story func(*judge)
		want  string // empty for no breach
	}{
		"two of two nodes are out, and a third has its turn after one": {func(j *judge) {
			j.is("a", asks, draining)
			j.is("b", asks, isComplete)
			j.is("a", idle, idle)
			j.is("c", asks, draining)
		}, ""},
		"three nodes have their turn": {func(j *judge) {
			j.is("a", asks, draining)
			j.is("b", asks, isComplete)
			j.is("c", asks, draining)
		}, "3 nodes have their turn, of 2"},
		"three nodes are closed to pods, each in another way": {func(j *judge) {
			j.Node(node("a", corev1.ConditionTrue, true))
			j.Node(node("b", corev1.ConditionFalse, false))
			tainted := node("c", corev1.ConditionTrue, false)
			tainted.Spec.Taints = []corev1.Taint{{Key: sriovv1.TaintDraining}}
			j.Node(tainted)
		}, "3 nodes are cordoned, tainted or not ready, of 2"},
		"three nodes are closed, one after the other": {func(j *judge) {
			for _, name := range []string{"a", "b", "c"} {
				j.Node(node(name, corev1.ConditionTrue, true))
				j.Node(node(name, corev1.ConditionTrue, false))
			}
		}, ""},
		"three machines reboot":           {func(j *judge) { j.Down("a"); j.Down("b"); j.Down("c") }, "3 machines reboot at the same time, of 2"},
		"a machine reboots after another": {func(j *judge) { j.Down("a"); j.Down("b"); j.Up("a"); j.Down("c") }, ""},
		"a node keeps its turn while others come and go": {func(j *judge) {
			j.is("a", asks, draining)
			j.comeAndGo(4)
		}, "node a keeps its turn although others wait"},
		"a node keeps its turn, and so do all others": {func(j *judge) {
			j.is("a", asks, draining)
			j.is("b", asks, draining)
			j.is("c", asks, idle)
			j.now = j.now.Add(time.Hour)
			j.is("b", asks, isComplete)
		}, ""},
		"a node keeps its turn while nobody waits": {func(j *judge) {
			j.is("a", asks, draining)
			j.now = j.now.Add(time.Hour)
			j.is("b", asks, idle)
			j.is("b", asks, draining)
		}, ""},
		"a turn is free while others come and go": {func(j *judge) {
			j.comeAndGo(4)
		}, "a turn is free for longer than 1s although nodes wait"},
		"a turn is free until it is given away": {func(j *judge) {
			for range 4 {
				j.comeAndGo(1)
				j.is("a", asks, draining)
				j.is("b", asks, draining)
				j.is("a", idle, idle)
				j.is("b", idle, idle)
			}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJudge()
			test.story(j)
			want := []string{test.want}
			if test.want == "" {
				want = nil
			}
			if got := j.Seen().Breaches; !slices.Equal(got, want) {
				t.Errorf("breaches %q, want %q", got, want)
			}
		})
	}
}

func TestWhoLeavesUnjustly(t *testing.T) {
	yes := true
	pod := func(name string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}}
	}
	agent := pod("agent")
	agent.OwnerReferences = []metav1.OwnerReference{{Kind: "DaemonSet", Name: "agents", Controller: &yes}}
	for name, test := range map[string]struct {
		pod        *corev1.Pod
		asks, held string
		taken      bool
		want       string
	}{
		"a pod of the plan":                             {pod("named"), asks, draining, true, ""},
		"a pod of the plan whose VF is as it should be": {pod("named"), asks, draining, false, "nothing that it holds has to change"},
		"another pod":                                   {pod("other"), asks, draining, true, "the node's plan does not name it"},
		"a pod of a node that has no turn":              {pod("named"), asks, idle, true, `the node is "Idle"`},
		"any pod before a reboot":                       {pod("other"), sriovv1.RebootRequired, draining, false, ""},
		"a DaemonSet's pod before a reboot":             {agent, sriovv1.RebootRequired, draining, false, "it is a DaemonSet's"},
	} {
		t.Run(name, func(t *testing.T) {
			j, s := newJudge(), state("node", test.asks, test.held)
			s.Status.Plan = &sriovv1.NodePlan{AffectedPods: []sriovv1.AffectedPod{{Namespace: "ns", Name: "named"}}}
			j.Leaves(test.pod, s, test.taken)
			got := strings.Join(j.Seen().Breaches, "\n")
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("breaches %q, want %q", got, test.want)
			}
		})
	}
}

func TestWhatDiffers(t *testing.T) {
	vfs := func(drivers ...string) []sriovv1.VirtualFunction {
		var out []sriovv1.VirtualFunction
		for i, d := range drivers {
			out = append(out, sriovv1.VirtualFunction{VfID: i, Driver: d})
		}
		return out
	}
	spec := []sriovv1.Interface{{PciAddress: fleet.FirstPort, NumVfs: 2, VfGroups: []sriovv1.VfGroup{
		{VfRange: "0-0", DeviceType: sriovv1.DeviceTypeNetdevice}, {VfRange: "1-1", DeviceType: sriovv1.DeviceTypeVfioPci},
	}}}
	for name, test := range map[string]struct {
		is   []sriovv1.InterfaceExt
		want string
	}{
		"nothing":                        {[]sriovv1.InterfaceExt{{PciAddress: fleet.FirstPort, NumVfs: 2, VFs: vfs("mlx5_core", "vfio-pci")}, {PciAddress: fleet.SecondPort}}, ""},
		"a VF fewer":                     {[]sriovv1.InterfaceExt{{PciAddress: fleet.FirstPort, NumVfs: 1, VFs: vfs("mlx5_core")}}, "has 1 VFs and shows 1 of 2"},
		"a VF that is not shown":         {[]sriovv1.InterfaceExt{{PciAddress: fleet.FirstPort, NumVfs: 2, VFs: vfs("mlx5_core")}}, "has 2 VFs and shows 1 of 2"},
		"the wrong driver":               {[]sriovv1.InterfaceExt{{PciAddress: fleet.FirstPort, NumVfs: 2, VFs: vfs("mlx5_core", "mlx5_core")}}, `has VF 1 on driver "mlx5_core"`},
		"a VF without a driver":          {[]sriovv1.InterfaceExt{{PciAddress: fleet.FirstPort, NumVfs: 2, VFs: vfs("", "vfio-pci")}}, `has VF 0 on driver ""`},
		"VFs that nobody asks for":       {[]sriovv1.InterfaceExt{{PciAddress: fleet.FirstPort, NumVfs: 2, VFs: vfs("mlx5_core", "vfio-pci")}, {PciAddress: fleet.SecondPort, NumVfs: 1}}, "has 1 VFs and shows 0 of 0"},
		"a PF that is asked for is away": {nil, "is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &sriovv1.SriovNetworkNodeState{Spec: sriovv1.SriovNetworkNodeStateSpec{Interfaces: spec}}
			s.Status.Interfaces = test.is
			if got := fleet.Differs(s); (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("differs %q, want %q", got, test.want)
			}
		})
	}
}

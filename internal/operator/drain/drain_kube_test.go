// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package drain_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/operator/drain"
	"github.com/kubeovn/sriov-network-operator/test/kube"
	"github.com/kubeovn/sriov-network-operator/test/kube/proxy"
)

// TestTheProtocol is the table of the drain protocol: what a daemon asks for, what was
// granted, and what becomes of both.
func TestTheProtocol(t *testing.T) {
	const (
		idle, drains, reboots = sriovv1.DrainIdle, sriovv1.DrainRequired, sriovv1.RebootRequired
		draining, complete    = sriovv1.Draining, sriovv1.DrainComplete
		absent, ours          = "", "cordoned by us tainted"
	)
	r := newOperator(t)
	r.pool("free", nil)
	rows := []struct {
		name, request, held  string
		cordoned             bool
		wantRequest, wantNow string
		wantGate             string
	}{
		{name: "nothing-known", request: absent, held: absent, wantRequest: idle, wantNow: idle},
		{name: "no-request", request: absent, held: idle, wantRequest: idle, wantNow: idle},
		{name: "no-answer", request: idle, held: absent, wantRequest: idle, wantNow: idle},
		{name: "rest", request: idle, held: idle, wantRequest: idle, wantNow: idle},
		{name: "left-draining", request: idle, held: draining, cordoned: true, wantRequest: idle, wantNow: idle},
		{name: "done", request: idle, held: complete, cordoned: true, wantRequest: idle, wantNow: idle},
		{name: "drain", request: drains, held: idle, wantRequest: drains, wantNow: complete, wantGate: ours},
		{name: "reboot", request: reboots, held: idle, wantRequest: reboots, wantNow: complete, wantGate: ours},
		{name: "drain-at-once", request: drains, held: absent, wantRequest: drains, wantNow: complete, wantGate: ours},
		{name: "draining", request: drains, held: draining, cordoned: true, wantRequest: drains, wantNow: complete, wantGate: ours},
		{name: "draining-to-reboot", request: reboots, held: draining, wantRequest: reboots, wantNow: complete, wantGate: ours},
		{name: "drained", request: drains, held: complete, wantRequest: drains, wantNow: complete},
		{name: "drained-to-reboot", request: reboots, held: complete, wantRequest: reboots, wantNow: complete},
		{name: "not-a-word", request: "Drain", held: idle, wantRequest: "Drain", wantNow: idle},
		{name: "not-a-word-drained", request: "Drain", held: complete, wantRequest: "Drain", wantNow: complete},
	}
	for _, row := range rows {
		r.node(row.name, in("free"), func(n *corev1.Node, s *sriovv1.SriovNetworkNodeState) {
			s.Annotations = map[string]string{}
			s.Status.Plan = &sriovv1.NodePlan{Disrupts: sriovv1.DisruptionPods}
			if row.request != absent {
				n.Annotations[sriovv1.AnnotationNodeDrain] = row.request
			}
			if row.held != absent {
				s.Annotations[sriovv1.AnnotationCurrentState] = row.held
			}
			if row.cordoned {
				n.Spec.Unschedulable, n.Annotations[sriovv1.AnnotationCordoned] = true, sriovv1.AnnotationTrue
				n.Spec.Taints = []corev1.Taint{{Key: sriovv1.TaintDraining, Effect: corev1.TaintEffectNoSchedule}}
			}
		})
	}
	foreign := r.node("of-other-software", in("free"), func(n *corev1.Node, s *sriovv1.SriovNetworkNodeState) {
		n.Annotations[sriovv1.AnnotationNodeDrain] = drains
		s.Annotations = map[string]string{sriovv1.AnnotationUseExternalDrainer: sriovv1.AnnotationTrue}
	})
	for _, row := range rows {
		r.await("row "+row.name, func() string {
			node, state := r.look(r.ns + "-" + row.name)
			return cmp.Diff([]string{row.wantRequest, row.wantNow, row.wantGate}, []string{
				node.Annotations[sriovv1.AnnotationNodeDrain], state.Annotations[sriovv1.AnnotationCurrentState], gate(node),
			})
		})
	}
	if err := r.proxy.Quiet(t.Context(), time.Second); err != nil {
		t.Fatal(err)
	}
	for _, w := range r.writes() {
		if strings.HasSuffix(w, r.ns+"-rest") || strings.HasSuffix(w, foreign) {
			t.Errorf("the operator did %s, want that node left alone", w)
		}
	}
	if _, state := r.look(foreign); len(state.Annotations) != 1 {
		t.Errorf("the state of other software's node has %v", state.Annotations)
	}
}

func TestADrainTakesAFewWrites(t *testing.T) {
	r := newOperator(t)
	node := r.node("a")
	r.awaitHeld(node, sriovv1.DrainIdle)
	if err := r.proxy.Quiet(t.Context(), time.Second); err != nil {
		t.Fatal(err)
	}
	r.proxy.Reset()
	r.ask(node, sriovv1.DrainRequired)
	r.awaitHeld(node, sriovv1.DrainComplete)
	r.ask(node, sriovv1.DrainIdle)
	r.awaitHeld(node, sriovv1.DrainIdle)
	if err := r.proxy.Quiet(t.Context(), 1500*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"update configmaps/ " + sriovv1.ConfigMapDrainSlots,
		"patch sriovnetworknodestates/ " + node, // Draining
		"patch nodes/ " + node,                  // cordon
		"patch sriovnetworknodestates/ " + node, // DrainComplete
		"patch nodes/ " + node,                  // uncordon
		"patch sriovnetworknodestates/ " + node, // Idle
		"update configmaps/ " + sriovv1.ConfigMapDrainSlots,
	}
	if diff := cmp.Diff(want, r.writes()); diff != "" {
		t.Errorf("writes of one drain (-want +got):\n%s", diff)
	}
}

func TestWhoLeaves(t *testing.T) {
	tests := map[string]struct {
		request string
		scope   sriovv1.DisruptionScope
		plan    bool
		stay    []string
	}{
		"the holders of what goes, and nobody else":        {sriovv1.DrainRequired, sriovv1.DisruptionScopeAffectedPods, true, []string{"a-namesake", "a-plain", "agent", "other-vf"}},
		"all holders of VFs, in a pool with scope Node":    {sriovv1.DrainRequired, sriovv1.DisruptionScopeNode, true, []string{"a-plain"}},
		"all holders of VFs, when no plan says who":        {sriovv1.DrainRequired, sriovv1.DisruptionScopeAffectedPods, false, []string{"a-plain"}},
		"everybody but pods of DaemonSets before a reboot": {sriovv1.RebootRequired, sriovv1.DisruptionScopeAffectedPods, true, []string{"agent"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := newOperator(t)
			r.pool("p", atMost(1), func(p *sriovv1.SriovNetworkPoolConfig) { p.Spec.DisruptionScope = test.scope })
			node, elsewhere := r.node("a", in("p")), r.node("b", in("p"))
			affected := r.pod(node, "affected")
			namesake := r.pod(node, "a-namesake")
			namesake.UID = "of-the-one-before"
			r.pod(node, "other-vf")
			r.pod(node, "a-plain", plain)
			agent := r.daemonSet(node)
			r.pod(elsewhere, "on-another-node")
			if test.plan {
				r.ask(node, test.request, affected, namesake)
			} else {
				r.annotate(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}, sriovv1.AnnotationNodeDrain, test.request)
			}
			r.awaitHeld(node, sriovv1.DrainComplete)
			want := append([]string{"on-another-node"}, test.stay...)
			if i := slices.Index(want, "agent"); i >= 0 {
				want[i] = agent.Name
			}
			slices.Sort(want)
			if diff := cmp.Diff(want, r.alive()); diff != "" {
				t.Errorf("pods that stay (-want +got):\n%s", diff)
			}
		})
	}
}

func TestANodeIsFreeOnlyOnceItsPodsAreGone(t *testing.T) {
	r := newOperator(t)
	node := r.node("a", withoutKubelet)
	slow := r.pod(node, "slow")
	r.ask(node, sriovv1.DrainRequired, slow)
	r.awaitMessage(node, "waits for pods to end", r.ns+"/slow")
	if err := r.proxy.Quiet(t.Context(), 2*time.Second); err != nil {
		t.Fatal(err)
	}
	if n, state := r.look(node); state.Annotations[sriovv1.AnnotationCurrentState] != sriovv1.Draining || gate(n) != "cordoned by us tainted" {
		t.Fatalf("while a pod ends the node is %q, %s", state.Annotations[sriovv1.AnnotationCurrentState], gate(n))
	}
	r.remove(slow)
	r.awaitHeld(node, sriovv1.DrainComplete)
	if _, state := r.look(node); state.Annotations[sriovv1.AnnotationDrainMessage] != "" {
		t.Errorf("a node that is free says %q", state.Annotations[sriovv1.AnnotationDrainMessage])
	}
}

// guard makes a PodDisruptionBudget that lets none of an app's pods go, and waits until
// it is in force.
func (r *rig) guard(app string) *policyv1.PodDisruptionBudget {
	r.t.Helper()
	all := intstr.FromString("100%")
	budget := &policyv1.PodDisruptionBudget{ObjectMeta: r.meta("keep-" + app), Spec: policyv1.PodDisruptionBudgetSpec{
		MinAvailable: &all, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}},
	}}
	r.create(budget)
	r.await("the budget", func() string {
		if err := r.api.Get(r.t.Context(), client.ObjectKeyFromObject(budget), budget); err != nil {
			return err.Error()
		}
		if budget.Status.ObservedGeneration != budget.Generation {
			return "not looked at by its controller"
		}
		return ""
	})
	return budget
}

func TestADrainThatABudgetBlocksGivesItsTurnToAnotherNode(t *testing.T) {
	r := newOperator(t, func(o *drain.Options) { o.Deadline = 3 * time.Second })
	r.pool("p", atMost(1))
	first, second := r.node("a", in("p")), r.node("b", in("p"))
	kept := r.pod(first, "kept")
	budget := r.guard("kept")
	r.ask(first, sriovv1.DrainRequired, kept)
	r.awaitMessage(first, "pod "+r.ns+"/kept", "keep-kept")
	r.awaitPool("p", sriovv1.ReasonDrainBlocked, "node "+first, "pod "+r.ns+"/kept", "keep-kept")
	if _, state := r.look(first); state.Annotations[sriovv1.AnnotationCurrentState] != sriovv1.Draining {
		t.Errorf("while nobody waits the node is %q, want it to go on", state.Annotations[sriovv1.AnnotationCurrentState])
	}
	r.ask(second, sriovv1.DrainRequired)
	r.awaitHeld(second, sriovv1.DrainComplete)
	r.awaitMessage(first, "waits for its turn", "its last turn ended after 3s", "pod "+r.ns+"/kept", "keep-kept")
	n, state := r.look(first)
	if state.Annotations[sriovv1.AnnotationCurrentState] != sriovv1.DrainIdle || gate(n) != "" {
		t.Errorf("the node that gave its turn back is %q, %s", state.Annotations[sriovv1.AnnotationCurrentState], gate(n))
	}
	if !slices.Contains(r.alive(), "kept") {
		t.Error("the pod that the budget keeps is gone")
	}
	r.awaitPool("p", sriovv1.ReasonDrainBlocked, "node "+first, "keep-kept")
	// Its turn comes again, and without the budget the pod leaves.
	r.remove(budget)
	r.ask(second, sriovv1.DrainIdle)
	r.awaitHeld(first, sriovv1.DrainComplete)
	r.awaitPool("p", sriovv1.ReasonNodesTakeTurns, "1 of 2 nodes out", first+" (being changed)")
}

func TestD18WithPolicyDeleteNoBudgetHoldsUpADrain(t *testing.T) {
	r := newOperator(t)
	edit(r, &sriovv1.SriovOperatorConfig{ObjectMeta: r.meta(sriovv1.DefaultConfigName)}, func(c *sriovv1.SriovOperatorConfig) {
		c.Spec.PodEvictionPolicy = sriovv1.PodEvictionPolicyDelete
	})
	node := r.node("a")
	kept := r.pod(node, "kept")
	r.guard("kept")
	r.ask(node, sriovv1.DrainRequired, kept)
	r.awaitHeld(node, sriovv1.DrainComplete)
	if slices.Contains(r.alive(), "kept") {
		t.Error("the pod is still there")
	}
}

func TestD18AForcedEvictionLeavesPodsASecond(t *testing.T) {
	r := newOperator(t)
	edit(r, &sriovv1.SriovOperatorConfig{ObjectMeta: r.meta(sriovv1.DefaultConfigName)}, func(c *sriovv1.SriovOperatorConfig) {
		c.Spec.PodEvictionForce = true
	})
	node := r.node("a", withoutKubelet)
	p := r.pod(node, "slow")
	r.ask(node, sriovv1.DrainRequired, p)
	r.await("the pod", func() string {
		if err := r.api.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
			return err.Error()
		}
		if p.DeletionGracePeriodSeconds == nil || *p.DeletionGracePeriodSeconds != 1 {
			return "not asked to leave within a second"
		}
		return ""
	})
	if _, state := r.look(node); state.Annotations[sriovv1.AnnotationCurrentState] != sriovv1.Draining {
		t.Errorf("the node is %q while the pod runs", state.Annotations[sriovv1.AnnotationCurrentState])
	}
}

func TestACordonOfSomebodyElseIsNotUndone(t *testing.T) {
	r := newOperator(t)
	node := r.node("a", func(n *corev1.Node, _ *sriovv1.SriovNetworkNodeState) { n.Spec.Unschedulable = true })
	r.ask(node, sriovv1.DrainRequired)
	r.awaitHeld(node, sriovv1.DrainComplete)
	if n, _ := r.look(node); gate(n) != "cordoned tainted" {
		t.Errorf("drained, the node is %q", gate(n))
	}
	r.ask(node, sriovv1.DrainIdle)
	r.awaitHeld(node, sriovv1.DrainIdle)
	if n, _ := r.look(node); gate(n) != "cordoned" {
		t.Errorf("put back, the node is %q, want the cordon to stay", gate(n))
	}
}

func TestNodesThatAreOutForOtherReasonsCount(t *testing.T) {
	r := newOperator(t)
	r.pool("p", atMost(1))
	broken := r.node("broken", in("p"), withoutKubelet, func(n *corev1.Node, _ *sriovv1.SriovNetworkNodeState) {
		n.Status.Conditions[0].Status = corev1.ConditionFalse
	})
	node := r.node("a", in("p"))
	r.ask(node, sriovv1.DrainRequired)
	r.awaitMessage(node, "waits for its turn; of the 2 nodes of pool p at most 1 may be out")
	r.awaitPool("p", sriovv1.ReasonNodesTakeTurns, broken+" (not ready)", "1 waiting, "+node+" next")
	r.remove(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: broken}})
	r.awaitHeld(node, sriovv1.DrainComplete)
}

func TestANodeInTwoPoolsWaitsAndTheOthersGoOn(t *testing.T) {
	r := newOperator(t)
	r.pool("p", atMost(1))
	r.pool("q", atMost(1))
	both, other := r.node("both", in("p", "q")), r.node("other", in("p"))
	r.ask(both, sriovv1.DrainRequired)
	r.ask(other, sriovv1.DrainRequired)
	r.awaitHeld(other, sriovv1.DrainComplete)
	r.awaitMessage(both, "the pools p and q")
	for _, pool := range []string{"p", "q"} {
		r.awaitPool(pool, sriovv1.ReasonNodeInTwoPools, "node "+both+" is in the pools p and q")
	}
	edit(r, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: both}}, func(n *corev1.Node) { delete(n.Labels, "p") })
	r.awaitHeld(both, sriovv1.DrainComplete)
	r.awaitPool("p", sriovv1.ReasonNodesTakeTurns)
	r.awaitPool("q", sriovv1.ReasonNodesTakeTurns)
}

func TestAPoolThatLetsNoNodeGoSaysSo(t *testing.T) {
	r := newOperator(t)
	r.pool("p", atMost(0))
	node := r.node("a", in("p"))
	r.ask(node, sriovv1.DrainRequired)
	r.awaitMessage(node, "maxUnavailable of pool p is 0")
	r.awaitPool("p", sriovv1.ReasonNoNodeMayGo, "1 waiting")
	edit(r, &sriovv1.SriovNetworkPoolConfig{ObjectMeta: r.meta("p")}, func(p *sriovv1.SriovNetworkPoolConfig) {
		p.Spec.MaxUnavailable = atMost(1)
	})
	r.awaitHeld(node, sriovv1.DrainComplete)
}

func TestASelectorThatCannotBeReadHoldsUpNoOtherPool(t *testing.T) {
	r := newOperator(t)
	r.pool("bad", atMost(1), func(p *sriovv1.SriovNetworkPoolConfig) {
		p.Spec.NodeSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "rack", Operator: "Near"}}}
	})
	r.pool("p", atMost(1))
	node := r.node("a", in("p"))
	r.ask(node, sriovv1.DrainRequired)
	r.awaitHeld(node, sriovv1.DrainComplete)
	r.awaitPool("bad", sriovv1.ReasonBadNodeSelector, "spec.nodeSelector", "Near")
}

func TestWithoutDrainsRebootsStillTakeTurns(t *testing.T) {
	r := newOperator(t)
	edit(r, &sriovv1.SriovOperatorConfig{ObjectMeta: r.meta(sriovv1.DefaultConfigName)}, func(c *sriovv1.SriovOperatorConfig) {
		c.Spec.DisableDrain = true
	})
	first, second := r.node("a"), r.node("b")
	r.pod(first, "stays")
	r.ask(first, sriovv1.RebootRequired)
	r.awaitHeld(first, sriovv1.DrainComplete)
	r.ask(second, sriovv1.RebootRequired)
	r.awaitMessage(second, "waits for its turn")
	if n, _ := r.look(first); gate(n) != "" || !slices.Contains(r.alive(), "stays") {
		t.Errorf("the node is %q and has the pods %v, want nobody disturbed", gate(n), r.alive())
	}
	r.ask(first, sriovv1.DrainIdle)
	r.awaitHeld(second, sriovv1.DrainComplete)
}

// daemonSet makes a DaemonSet whose pods hold VFs, for one node, and returns its pod.
func (r *rig) daemonSet(node string) *corev1.Pod {
	r.t.Helper()
	labels := map[string]string{"app": "agent"}
	r.create(&appsv1.DaemonSet{ObjectMeta: r.meta("agent"), Spec: appsv1.DaemonSetSpec{
		Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
			NodeSelector: map[string]string{corev1.LabelHostname: node}, Containers: podOn(r.ns, "", "agent").Spec.Containers,
		}},
	}})
	r.await("the pod of the DaemonSet", func() string {
		if p := r.agents(); len(p) != 1 || p[0].Status.Phase != corev1.PodRunning {
			return fmt.Sprintf("%d pods, or it does not run", len(p))
		}
		return ""
	})
	return &r.agents()[0]
}

// agents are the pods of the DaemonSet.
func (r *rig) agents() []corev1.Pod {
	r.t.Helper()
	var list corev1.PodList
	if err := r.api.List(r.t.Context(), &list, client.InNamespace(r.ns), client.MatchingLabels{"app": "agent"}); err != nil {
		r.t.Fatal(err)
	}
	return list.Items
}

func TestADaemonSetPutsNoPodOnANodeThatIsDrained(t *testing.T) {
	r := newOperator(t)
	node := r.node("a")
	was := r.daemonSet(node)
	r.ask(node, sriovv1.DrainRequired, was)
	r.awaitHeld(node, sriovv1.DrainComplete)
	// The controller of DaemonSets has had its say once it has counted.
	r.await("the DaemonSet's count", func() string {
		var set appsv1.DaemonSet
		if err := r.api.Get(t.Context(), client.ObjectKey{Namespace: r.ns, Name: "agent"}, &set); err != nil {
			return err.Error()
		}
		if set.Status.DesiredNumberScheduled != 0 || set.Status.CurrentNumberScheduled != 0 {
			return fmt.Sprintf("%d wanted, %d there", set.Status.DesiredNumberScheduled, set.Status.CurrentNumberScheduled)
		}
		return ""
	})
	if p := r.agents(); len(p) != 0 {
		t.Errorf("the node is drained and has %d pods of the DaemonSet", len(p))
	}
	r.ask(node, sriovv1.DrainIdle)
	r.await("the pod of the DaemonSet after the drain", func() string {
		if p := r.agents(); len(p) != 1 || p[0].UID == was.UID {
			return fmt.Sprintf("%d pods", len(p))
		}
		return ""
	})
}

func TestALeaderGoesOnWhereTheOneBeforeItStopped(t *testing.T) {
	r := newRig(t, plane.Cluster(t))
	_, stop := r.start()
	r.pool("p", atMost(1))
	first, second := r.node("a", in("p"), withoutKubelet), r.node("b", in("p"))
	slow := r.pod(first, "slow")
	r.ask(first, sriovv1.DrainRequired, slow)
	r.awaitMessage(first, "slow")
	r.ask(second, sriovv1.DrainRequired)
	r.awaitMessage(second, "waits for its turn")
	_, state := r.look(first)
	since := state.Annotations[sriovv1.AnnotationDrainSince]
	stop()
	r.remove(slow) // while nobody looks
	r.start()
	r.awaitHeld(first, sriovv1.DrainComplete)
	if since == "" {
		t.Error("it is not written down when the drain began")
	}
	if _, state := r.look(second); state.Annotations[sriovv1.AnnotationCurrentState] != sriovv1.DrainIdle {
		t.Errorf("the second node is %q while the first has its turn", state.Annotations[sriovv1.AnnotationCurrentState])
	}
	r.ask(first, sriovv1.DrainIdle)
	r.awaitHeld(second, sriovv1.DrainComplete)
}

// TestATurnThatWasGrantedAndNotWrittenCounts stops a leader between its two writes.
func TestATurnThatWasGrantedAndNotWrittenCounts(t *testing.T) {
	r := newRig(t, plane.Cluster(t))
	hostile, stop := r.start()
	r.pool("p", atMost(1))
	first, second := r.node("a", in("p")), r.node("b", in("p"))
	r.awaitHeld(first, sriovv1.DrainIdle)
	r.awaitHeld(second, sriovv1.DrainIdle)
	hostile.Script(proxy.Rule{Match: proxy.On("sriovnetworknodestates", "patch"), Fault: proxy.Answer{Code: 500}})
	r.ask(first, sriovv1.DrainRequired)
	r.await("the slot", func() string {
		var slots corev1.ConfigMap
		if err := r.api.Get(t.Context(), client.ObjectKey{Namespace: r.ns, Name: sriovv1.ConfigMapDrainSlots}, &slots); err != nil {
			return err.Error()
		}
		if pool, ok := slots.Data[first]; !ok || pool != "p" {
			return fmt.Sprintf("%v", slots.Data)
		}
		return ""
	})
	stop()
	// The second asks for longer, by what it says: only the slot holds it back.
	r.annotate(r.stateOf(second), sriovv1.AnnotationDrainSince, time.Now().Add(-time.Hour).Format(time.RFC3339Nano))
	r.ask(second, sriovv1.DrainRequired)
	r.start()
	r.awaitHeld(first, sriovv1.DrainComplete)
	r.awaitMessage(second, "waits for its turn")
}

func TestASlotIsFreeOnlyOnceItsNodeIsBackHoweverLateTheCacheIs(t *testing.T) {
	r := newRig(t, plane.Cluster(t))
	r.pool("p", atMost(1))
	idle := func(n *corev1.Node, s *sriovv1.SriovNetworkNodeState) {
		n.Annotations[sriovv1.AnnotationNodeDrain] = sriovv1.DrainIdle
		s.Annotations = map[string]string{sriovv1.AnnotationCurrentState: sriovv1.DrainIdle}
	}
	first, second := r.node("a", in("p"), idle), r.node("b", in("p"), idle)
	// The operator learns of requests at once, and of what it has granted late.
	r.rules = []proxy.Rule{{Match: proxy.On("sriovnetworknodestates", "watch"), Fault: proxy.Delay{By: 4 * time.Second}}}
	r.start()
	r.ask(first, sriovv1.DrainRequired)
	r.awaitHeld(first, sriovv1.DrainComplete)
	r.ask(second, sriovv1.DrainRequired)
	r.ask(first, sriovv1.DrainIdle)
	r.awaitHeld(second, sriovv1.DrainComplete)
	if n, state := r.look(first); state.Annotations[sriovv1.AnnotationCurrentState] != sriovv1.DrainIdle || gate(n) != "" {
		t.Errorf("the second node is free and the first is %q, %s", state.Annotations[sriovv1.AnnotationCurrentState], gate(n))
	}
}

func TestTheOnlyNodeIsRestartedWithoutADrain(t *testing.T) {
	r := newRig(t, kube.Start(t))
	r.start()
	node := r.node("only")
	p := r.pod(node, "p")
	r.pod(node, "q", plain)
	r.ask(node, sriovv1.RebootRequired)
	r.awaitHeld(node, sriovv1.DrainComplete)
	if n, _ := r.look(node); gate(n) != "" || len(r.alive()) != 2 {
		t.Errorf("the node is %q and has the pods %v, want nobody disturbed", gate(n), r.alive())
	}
	r.ask(node, sriovv1.DrainIdle)
	r.awaitHeld(node, sriovv1.DrainIdle)
	r.ask(node, sriovv1.DrainRequired, p)
	r.await("the pod", func() string {
		if alive := r.alive(); len(alive) != 1 {
			return fmt.Sprintf("still with %v", alive)
		}
		return ""
	})
	if n, _ := r.look(node); gate(n) != "cordoned by us tainted" {
		t.Errorf("drained, the only node is %q", gate(n))
	}
}

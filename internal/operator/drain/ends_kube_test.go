// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package drain_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/operator/drain"
)

// nodeNamed is a node for an edit.
func nodeNamed(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// TestATurnEndsWithItsNodeOrItsNodeState: whose turn it is goes away, and the next has it.
func TestATurnEndsWithItsNodeOrItsNodeState(t *testing.T) {
	tests := map[string]struct {
		held string
		slow bool
		goes func(r *rig, node string)
		gate bool
	}{
		"the node state of a node that drains":           {sriovv1.Draining, true, func(r *rig, node string) { r.remove(r.stateOf(node)) }, true},
		"the node state of a node that is being changed": {sriovv1.DrainComplete, false, func(r *rig, node string) { r.remove(r.stateOf(node)) }, true},
		"a node that drains":                             {sriovv1.Draining, true, func(r *rig, node string) { r.remove(nodeNamed(node)) }, false},
		"a node that is being changed":                   {sriovv1.DrainComplete, false, func(r *rig, node string) { r.remove(nodeNamed(node)) }, false},
	}
	for name, test := range tests {
		for _, pool := range []string{"p", ""} {
			t.Run(name+" in "+map[string]string{"p": "a pool", "": "no pool"}[pool], func(t *testing.T) {
				r := newOperator(t)
				edits := []func(*corev1.Node, *sriovv1.SriovNetworkNodeState){withoutKubelet}
				if pool != "" {
					r.pool(pool, atMost(1))
					edits = append(edits, in(pool))
				}
				first, second := r.node("a", edits...), r.node("b", edits...)
				if test.slow {
					r.ask(first, sriovv1.DrainRequired, r.pod(first, "slow"))
				} else {
					r.ask(first, sriovv1.DrainRequired)
				}
				r.awaitHeld(first, test.held)
				r.ask(second, sriovv1.DrainRequired)
				r.awaitMessage(second, "waits for its turn")
				test.goes(r, first)
				r.awaitHeld(second, sriovv1.DrainComplete)
				if !test.gate {
					return
				}
				r.await("the node without a node state", func() string {
					var n corev1.Node
					if err := r.api.Get(t.Context(), client.ObjectKey{Name: first}, &n); err != nil {
						return err.Error()
					}
					return gate(&n)
				})
			})
		}
	}
}

func TestANodeThatComesBackWithANewNodeStateTakesItsTurnAgain(t *testing.T) {
	r := newOperator(t)
	r.pool("p", atMost(1))
	first, second := r.node("a", in("p")), r.node("b", in("p"))
	r.ask(first, sriovv1.DrainRequired)
	r.awaitHeld(first, sriovv1.DrainComplete)
	r.ask(second, sriovv1.DrainRequired)
	r.remove(r.stateOf(first))
	r.awaitHeld(second, sriovv1.DrainComplete)
	r.create(r.stateOf(first)) // and its daemon still asks
	r.awaitMessage(first, "waits for its turn")
	r.ask(second, sriovv1.DrainIdle)
	r.awaitHeld(first, sriovv1.DrainComplete)
}

func TestACordonAfterSomebodyEndedOursIsNotUndone(t *testing.T) {
	r := newOperator(t)
	node := r.node("a")
	r.ask(node, sriovv1.DrainRequired)
	r.awaitHeld(node, sriovv1.DrainComplete)
	cordon := func(yes bool, want string) {
		edit(r, nodeNamed(node), func(n *corev1.Node) { n.Spec.Unschedulable = yes })
		r.await("the gate", func() string {
			n, _ := r.look(node)
			return cmp.Diff(want, gate(n))
		})
	}
	cordon(false, "tainted")
	cordon(true, "cordoned tainted")
	r.ask(node, sriovv1.DrainIdle)
	r.awaitHeld(node, sriovv1.DrainIdle)
	if n, _ := r.look(node); gate(n) != "cordoned" {
		t.Errorf("put back, the node is %q, want the cordon of somebody else to stay", gate(n))
	}
}

func TestWhoseCordonItIsOutlivesTheOperator(t *testing.T) {
	r := newRig(t, plane.Cluster(t))
	_, stop := r.start()
	r.pool("p", nil)
	theirs := r.node("theirs", in("p"), func(n *corev1.Node, _ *sriovv1.SriovNetworkNodeState) { n.Spec.Unschedulable = true })
	ours := r.node("ours", in("p"))
	for _, node := range []string{theirs, ours} {
		r.ask(node, sriovv1.DrainRequired)
		r.awaitHeld(node, sriovv1.DrainComplete)
	}
	stop()
	r.start()
	for node, want := range map[string]string{theirs: "cordoned", ours: ""} {
		r.ask(node, sriovv1.DrainIdle)
		r.awaitHeld(node, sriovv1.DrainIdle)
		if n, _ := r.look(node); gate(n) != want {
			t.Errorf("put back by the next operator, node %s is %q, want %q", node, gate(n), want)
		}
	}
}

func TestNodesThatSomebodyElseCordonedCount(t *testing.T) {
	r := newOperator(t)
	r.pool("p", atMost(1))
	theirs := r.node("theirs", in("p"), func(n *corev1.Node, _ *sriovv1.SriovNetworkNodeState) { n.Spec.Unschedulable = true })
	node := r.node("a", in("p"))
	r.ask(node, sriovv1.DrainRequired)
	r.awaitMessage(node, "waits for its turn")
	r.awaitPool("p", sriovv1.ReasonNodesTakeTurns, theirs+" (cordoned by somebody else)", node+" next")
	edit(r, nodeNamed(theirs), func(n *corev1.Node) { n.Spec.Unschedulable = false })
	r.awaitHeld(node, sriovv1.DrainComplete)
}

func TestAPodThatDoesNotEndIsNamedAlthoughNobodyWaits(t *testing.T) {
	r := newOperator(t, func(o *drain.Options) { o.Deadline = 2 * time.Second })
	r.pool("p", atMost(1))
	node := r.node("a", in("p"))
	held := r.pod(node, "held", func(p *corev1.Pod) { p.Finalizers = []string{"example.com/held"} })
	r.ask(node, sriovv1.DrainRequired, held)
	r.awaitPool("p", sriovv1.ReasonDrainBlocked, "node "+node+": waits for pods to end: "+r.ns+"/held")
	edit(r, held, func(p *corev1.Pod) { p.Finalizers = nil })
	r.awaitHeld(node, sriovv1.DrainComplete)
	r.awaitPool("p", sriovv1.ReasonNodesTakeTurns, node+" (being changed)")
}

func TestANodeThatIsNotBackIsNamed(t *testing.T) {
	r := newOperator(t, func(o *drain.Options) { o.Deadline = time.Second })
	r.pool("p", atMost(1))
	node := r.node("a", in("p"))
	r.ask(node, sriovv1.DrainRequired)
	r.awaitHeld(node, sriovv1.DrainComplete)
	r.awaitPool("p", sriovv1.ReasonNodeNotBack, "node "+node+" is being changed since ", "whether its daemon runs")
	r.ask(node, sriovv1.DrainIdle)
	r.awaitPool("p", sriovv1.ReasonNodesTakeTurns, "0 of 1 node out")
}

func TestAStaticPodThatHoldsAVFIsNamed(t *testing.T) {
	r := newOperator(t)
	node := r.node("a", withoutKubelet)
	static := r.pod(node, "static", func(p *corev1.Pod) {
		p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "mirror"}
	})
	r.ask(node, sriovv1.DrainRequired, static)
	r.awaitMessage(node, "pod "+r.ns+"/static: it is a static pod; move its file away on the node")
	if alive := r.alive(); !slices.Contains(alive, "static") {
		t.Errorf("the static pod was asked to leave; there are %v", alive)
	}
	r.remove(static) // as the kubelet does once the file is gone
	r.awaitHeld(node, sriovv1.DrainComplete)
}

// claim makes a resource claim that was allocated a device of a driver, for a pod.
func (r *rig) claim(name, driver string) {
	r.t.Helper()
	exactly := &resourcev1.ExactDeviceRequest{DeviceClassName: "vf", AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: 1}
	claim := &resourcev1.ResourceClaim{ObjectMeta: r.meta(name), Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{
		Requests: []resourcev1.DeviceRequest{{Name: "vf", Exactly: exactly}},
	}}}
	r.create(claim)
	claim.Status = resourcev1.ResourceClaimStatus{
		Allocation: &resourcev1.AllocationResult{Devices: resourcev1.DeviceAllocationResult{
			Results: []resourcev1.DeviceRequestAllocationResult{{Request: "vf", Driver: driver, Pool: "a", Device: "vf-0"}},
		}},
		ReservedFor: []resourcev1.ResourceClaimConsumerReference{{Resource: "pods", Name: name, UID: "of-the-pod"}},
	}
	if err := r.api.Status().Update(r.t.Context(), claim); err != nil {
		r.t.Fatal(err)
	}
}

// TestWhoHoldsAVFByAClaimLeaves is of a node whose plan does not say who holds what.
func TestWhoHoldsAVFByAClaimLeaves(t *testing.T) {
	r := newOperator(t)
	node := r.node("a")
	for name, driver := range map[string]string{"vf": "sriovnetwork.k8snetworkplumbingwg.io", "gpu": "gpu.example.com"} {
		r.claim(name, driver)
		r.pod(node, name, plain, func(p *corev1.Pod) {
			p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "device", ResourceClaimName: &name}}
		})
	}
	r.pod(node, "of-a-claim-that-is-gone", plain, func(p *corev1.Pod) {
		gone := "gone"
		p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "device", ResourceClaimName: &gone}}
	})
	r.annotate(nodeNamed(node), sriovv1.AnnotationNodeDrain, sriovv1.DrainRequired)
	r.awaitHeld(node, sriovv1.DrainComplete)
	if diff := cmp.Diff([]string{"gpu", "of-a-claim-that-is-gone"}, r.alive()); diff != "" {
		t.Errorf("pods that stay (-want +got):\n%s", diff)
	}
}

func TestANodeWithoutItsExternalDrainerIsTakenOver(t *testing.T) {
	r := newOperator(t)
	node := r.node("a", func(_ *corev1.Node, s *sriovv1.SriovNetworkNodeState) {
		s.Annotations = map[string]string{sriovv1.AnnotationUseExternalDrainer: sriovv1.AnnotationTrue}
	})
	p := r.pod(node, "p")
	r.ask(node, sriovv1.DrainRequired, p)
	if err := r.proxy.Quiet(t.Context(), time.Second); err != nil {
		t.Fatal(err)
	}
	if n, state := r.look(node); gate(n) != "" || state.Annotations[sriovv1.AnnotationCurrentState] != "" {
		t.Fatalf("the node of other software is %q, %q", gate(n), state.Annotations[sriovv1.AnnotationCurrentState])
	}
	r.annotate(r.stateOf(node), sriovv1.AnnotationUseExternalDrainer, "")
	r.awaitHeld(node, sriovv1.DrainComplete)
	if alive := r.alive(); len(alive) != 0 {
		t.Errorf("drained, the node has the pods %v", alive)
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package drain

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/rollout"
)

// noon is when the tests happen.
func noon() time.Time { return time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC) }

// pod makes a pod on a node, edited.
func pod(name string, edits ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name + "-1")},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main"}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning},
	}
	for _, edit := range edits {
		edit(p)
	}
	return p
}

func vfs(name, count string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceName(name): resource.MustParse(count)}
}

func asking(name, count string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Requests = vfs(name, count) }
}

func daemonSet(p *corev1.Pod) {
	yes := true
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "ds", Controller: &yes}}
}

func mirror(p *corev1.Pod) {
	p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "hash"}
}

func ended(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }

func claiming(p *corev1.Pod) {
	name := "p-vf"
	p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "vf"}}
	p.Status.ResourceClaimStatuses = []corev1.PodResourceClaimStatus{{Name: "vf", ResourceClaimName: &name}}
}

func TestWhoHasToLeave(t *testing.T) {
	const prefix = "openshift.io"
	affected := []sriovv1.AffectedPod{{Namespace: "default", Name: "p", UID: "p-1"}}
	nobody := []sriovv1.AffectedPod{}
	some := errand{prefix: prefix, scope: sriovv1.DisruptionScopeAffectedPods, affected: affected}
	none := errand{prefix: prefix, scope: sriovv1.DisruptionScopeAffectedPods, affected: nobody}
	unsaid := errand{prefix: prefix, scope: sriovv1.DisruptionScopeAffectedPods}
	node := errand{prefix: prefix, scope: sriovv1.DisruptionScopeNode, affected: nobody, claims: map[string]bool{"default/p-vf": true}}
	reboot := errand{prefix: prefix, reboot: true}
	tests := map[string]struct {
		errand errand
		pod    *corev1.Pod
		leaves bool
	}{
		"a pod of the plan":                                     {some, pod("p"), true},
		"a pod of the plan of a DaemonSet":                      {some, pod("p", daemonSet), true},
		"a pod of the plan that has ended holds nothing":        {some, pod("p", ended), false},
		"its successor with the same name":                      {some, pod("p", func(p *corev1.Pod) { p.UID = "p-2" }), false},
		"one of the same name in another namespace":             {some, pod("p", func(p *corev1.Pod) { p.Namespace = "other" }), false},
		"a pod that holds a VF which stays":                     {some, pod("q", asking("openshift.io/vf", "1")), false},
		"nobody, when the plan affects nobody":                  {none, pod("q", asking("openshift.io/vf", "1")), false},
		"a holder of any VF, when no plan says who is affected": {unsaid, pod("q", asking("openshift.io/vf", "1")), true},
		"a pod without a VF, when no plan says who is affected": {unsaid, pod("q"), false},
		"a holder of any VF, with scope Node":                   {node, pod("q", asking("openshift.io/vf", "1")), true},
		"one that asks for none of it":                          {node, pod("q", asking("openshift.io/vf", "0")), false},
		"a prefix that only begins alike is another":            {node, pod("q", asking("openshift.io.example/vf", "1")), false},
		"one that has only a limit":                             {node, pod("q", func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Limits = vfs("openshift.io/vf", "1") }), true},
		"one whose init container asks": {node, pod("q", func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: vfs("openshift.io/vf", "1")}}}
		}), true},
		"one whose ephemeral container asks": {node, pod("q", func(p *corev1.Pod) {
			p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Resources: corev1.ResourceRequirements{Requests: vfs("openshift.io/vf", "1")}}}}
		}), true},
		"one that asks as a whole": {node, pod("q", func(p *corev1.Pod) {
			p.Spec.Resources = &corev1.ResourceRequirements{Limits: vfs("openshift.io/vf", "1")}
		}), true},
		"one whose claim holds a VF":                               {node, pod("q", claiming), true},
		"one whose claim of the same name is of another namespace": {node, pod("q", claiming, func(p *corev1.Pod) { p.Namespace = "other" }), false},
		"a holder of a DaemonSet, with scope Node":                 {node, pod("q", daemonSet, asking("openshift.io/vf", "1")), true},
		"everybody before a reboot":                                {reboot, pod("q"), true},
		"before a reboot no pod of a DaemonSet":                    {reboot, pod("q", daemonSet, asking("openshift.io/vf", "1")), false},
		"before a reboot no static pod":                            {reboot, pod("q", mirror), false},
		"before a reboot no pod that has ended":                    {reboot, pod("q", ended), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.errand.concerns(test.pod); got != test.leaves {
				t.Errorf("leaves: %v, want %v", got, test.leaves)
			}
		})
	}
}

func TestAPodComesBackWhenItsDaemonSetToleratesTheTaint(t *testing.T) {
	tolerant := func(tolerations ...corev1.Toleration) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.Tolerations = tolerations }
	}
	everything := corev1.Toleration{Operator: corev1.TolerationOpExists}
	made := func(after time.Duration) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(noon().Add(after)) }
	}
	tests := map[string]struct {
		pod  *corev1.Pod
		want bool
	}{
		"a pod that was there before the drain":          {pod("p", daemonSet, tolerant(everything), made(-time.Second)), false},
		"one that came during the drain":                 {pod("p", daemonSet, tolerant(everything), made(time.Second)), true},
		"one that tolerates our taint by name":           {pod("p", daemonSet, tolerant(corev1.Toleration{Key: sriovv1.TaintDraining, Operator: corev1.TolerationOpExists}), made(time.Second)), true},
		"one that tolerates only what ends pods":         {pod("p", daemonSet, tolerant(corev1.Toleration{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}), made(time.Second)), false},
		"one that tolerates only a cordon":               {pod("p", daemonSet, tolerant(corev1.Toleration{Key: corev1.TaintNodeUnschedulable, Operator: corev1.TolerationOpExists}), made(time.Second)), false},
		"one of no DaemonSet that was put there by hand": {pod("p", tolerant(everything), made(time.Second)), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := returns(test.pod, noon()); got != test.want {
				t.Errorf("comes back: %v, want %v", got, test.want)
			}
		})
	}
}

func TestLimitsAreReadAsTheSchemaMeansThem(t *testing.T) {
	of := func(v intstr.IntOrString) *intstr.IntOrString { return &v }
	for _, test := range []struct {
		in   *intstr.IntOrString
		want string
	}{
		{nil, "unlimited"},
		{of(intstr.FromInt32(0)), "0"},
		{of(intstr.FromInt32(3)), "3"},
		{of(intstr.FromInt32(-1)), "0"},
		{of(intstr.FromString("1%")), "1%"},
		{of(intstr.FromString("007%")), "7%"},
		{of(intstr.FromString("100%")), "100%"},
		{of(intstr.FromString("0%")), "1"},
		{of(intstr.FromString("many")), "1"},
	} {
		if got := limitOf(test.in).String(); got != test.want {
			t.Errorf("%v: got %s, want %s", test.in, got, test.want)
		}
	}
}

func TestWhatIsLeftIsSaidWithWhatIsInTheWay(t *testing.T) {
	var left remainder
	left.add("ns/z", sent, "")
	left.add("ns/y", ending, "")
	left.add("ns/x", gone, "")
	if want := "waits for pods to end: ns/y, ns/z"; left.String() != want || left.obstacle(false) != "" || left.obstacle(true) != want {
		t.Errorf("got %q, in the way %q and late %q, want %q and nothing, late the same", left.String(), left.obstacle(false), left.obstacle(true), want)
	}
	left.add("ns/a", refused, "The disruption budget web needs 2 healthy pods and has 2 currently.")
	const obstacle = "pod ns/a: The disruption budget web needs 2 healthy pods and has 2 currently"
	if want := obstacle + "; waits for pods to end: ns/y, ns/z"; left.String() != want || left.obstacle(false) != obstacle || left.obstacle(true) != want {
		t.Errorf("got %q, in the way %q, want %q", left.String(), left.obstacle(false), want)
	}
	for i := range 7 {
		left.add(fmt.Sprintf("ns/b%d", i), refused, "no")
	}
	if got := left.obstacle(false); !strings.HasSuffix(got, "pod ns/b3: no and 3 more") {
		t.Errorf("got %q, want five and how many more", got)
	}
}

func TestWhatAPoolIsTold(t *testing.T) {
	outage := func(node string, why rollout.Why) rollout.Outage { return rollout.Outage{Node: node, Why: why} }
	of := func(limit int, out []rollout.Outage, waiting ...string) view {
		return view{Report: rollout.Report{Pool: rollout.Pool{Name: "p"}, Nodes: 9, Limit: limit, Limited: true, Out: out, Waiting: waiting}}
	}
	free := of(0, nil)
	free.Limited = false
	bad := of(1, nil)
	bad.bad = errors.New(`"Near" is not a valid label selector operator`)
	shared := of(1, nil, "a")
	shared.Shared = []rollout.Shared{{Node: "a", Pools: []string{"p", "q"}}}
	tests := map[string]struct {
		view      view
		obstacles map[string]string
		reason    string
		message   string
	}{
		"all is well": {of(2, nil), nil, sriovv1.ReasonNodesTakeTurns, "0 of 9 nodes out, at most 2 at a time"},
		"no limit":    {free, nil, sriovv1.ReasonNodesTakeTurns, "0 of 9 nodes out, without a limit"},
		"nodes are out": {
			of(2, []rollout.Outage{outage("a", rollout.IsDraining), outage("b", rollout.IsCordoned)}, "d", "c"), nil,
			sriovv1.ReasonNodesTakeTurns, "2 of 9 nodes out, at most 2 at a time: a (draining), b (cordoned by somebody else); 2 waiting, d next",
		},
		"a drain is blocked": {
			of(1, []rollout.Outage{outage("a", rollout.IsDraining)}), map[string]string{"a": "pod ns/x: The disruption budget web needs 1 healthy pods and has 1 currently"},
			sriovv1.ReasonDrainBlocked, "node a: pod ns/x: The disruption budget web needs 1 healthy pods and has 1 currently; 1 of 9 nodes out, at most 1 at a time: a (draining)",
		},
		"a node is not back": {
			of(1, []rollout.Outage{{Node: "a", Why: rollout.IsChanged, Since: noon(), Overdue: true}}, "b"), nil,
			sriovv1.ReasonNodeNotBack, "node a is being changed since 2026-01-01T12:00:00Z; see the conditions of the node state, and whether its daemon runs; " +
				"1 of 9 nodes out, at most 1 at a time: a (being changed); 1 waiting, b next",
		},
		"nothing may go and nobody wants to": {of(0, nil), nil, sriovv1.ReasonNodesTakeTurns, "0 of 9 nodes out, at most 0 at a time"},
		"nothing may go and a node waits": {
			of(0, nil, "a"), nil, sriovv1.ReasonNoNodeMayGo, "maxUnavailable is 0, so no node goes; 0 of 9 nodes out, at most 0 at a time; 1 waiting, a next",
		},
		"the selector cannot be read": {
			bad, nil, sriovv1.ReasonBadNodeSelector, `spec.nodeSelector cannot be read, so the pool has no nodes: "Near" is not a valid label selector operator`,
		},
		"a node is in two pools": {
			shared, nil, sriovv1.ReasonNodeInTwoPools, "node a is in the pools p and q; a node may be in one pool and waits until it is; change nodeSelector of the others",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			reason, message := judge(test.view, test.obstacles)
			if diff := cmp.Diff([]string{test.reason, test.message}, []string{reason, message}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

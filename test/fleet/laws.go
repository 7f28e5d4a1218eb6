// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// Terms are what a rollout is held to.
type Terms struct {
	// Limit is how many nodes may be out at a time.
	Limit int
	// Turn is how long a node may keep its turn while another waits for one, and Idle how
	// long a turn may be free meanwhile. On a machine that is busy everything takes longer,
	// so it must also be that other nodes had their turn meanwhile: see patience.
	Turn, Idle time.Duration
	// Now is the clock.
	Now func() time.Time
}

// patience is how many times each of the other turns must have been given to another node
// before it is a breach that one is kept, or free.
const patience = 2

// Laws look at a cluster's nodes, one change after the other, and note which promises of a rollout are broken:
//
//   - no more nodes are out than may be: in the operator's words (current-state), in the scheduler's (cordoned, tainted
//     or not ready) and in the machines' (rebooting), each counted by itself, because there is no order between changes
//     of different kinds of objects;
//   - a node keeps its turn for long only while nobody else waits for one, and no turn is free for long while somebody
//     waits;
//   - only a node that has its turn loses pods, and of those only the ones whose VFs its plan takes;
//   - no node has Succeeded that is not as its spec says, in its status and on its machine.
type Laws struct {
	terms Terms
	mu    sync.Mutex
	// held, waits and closed are what was seen last of each node; down are the machines that reboot.
	held   map[string]turn
	waits  map[string]bool
	closed map[string]bool
	down   map[string]bool
	// wanted is since when there are nodes that wait for a turn; zero while there are none.
	wanted time.Time
	// free is since when a turn is free that somebody waits for; the zero value while none is.
	free turn
	seen Seen
	told map[string]bool
}

// Seen is what was seen of a rollout.
type Seen struct {
	// Breaches are the promises that were broken, each once.
	Breaches []string
	// Out is how many nodes were out at most, and Turns how many turns there were.
	Out, Turns int
	// Kept is the longest that a node kept its turn while others waited, and Free the longest that there was always a
	// turn free.
	Kept, Free time.Duration
}

// turn is since when a node has its turn, and how many turns there were before; the zero value is none.
type turn struct {
	is     bool
	since  time.Time
	number int
}

// NewLaws returns laws that have seen nothing.
func NewLaws(t Terms) *Laws {
	return &Laws{
		terms: t, held: map[string]turn{}, waits: map[string]bool{}, closed: map[string]bool{}, down: map[string]bool{}, told: map[string]bool{},
	}
}

// Seen is what was seen so far.
func (l *Laws) Seen() Seen {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.seen
	out.Breaches = slices.Clone(out.Breaches)
	return out
}

// Breach notes a broken promise.
func (l *Laws) Breach(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.breach(format, args...)
}

func (l *Laws) breach(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !l.told[text] {
		l.told[text] = true
		l.seen.Breaches = append(l.seen.Breaches, text)
	}
}

// States looks at all node states at once, where changes were missed.
func (l *Laws) States(all []sriovv1.SriovNetworkNodeState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range all {
		l.note(&all[i])
	}
	l.weigh()
}

// State looks at a node state that changed.
func (l *Laws) State(s *sriovv1.SriovNetworkNodeState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(s)
	l.weigh()
}

func (l *Laws) note(s *sriovv1.SriovNetworkNodeState) {
	had, has := l.held[s.Name], out(s)
	switch {
	case has && !had.is:
		l.seen.Turns++
		l.held[s.Name] = l.begin()
	case !has:
		delete(l.held, s.Name)
	}
	asked := s.Annotations[sriovv1.AnnotationDesiredState]
	l.waits[s.Name] = !has && (asked == sriovv1.DrainRequired || asked == sriovv1.RebootRequired)
}

// out reports whether a node has its turn.
func out(s *sriovv1.SriovNetworkNodeState) bool {
	held := s.Annotations[sriovv1.AnnotationCurrentState]
	return held == sriovv1.Draining || held == sriovv1.DrainComplete
}

// begin is a turn that begins now.
func (l *Laws) begin() turn { return turn{is: true, since: l.terms.Now(), number: l.seen.Turns} }

// others reports whether other nodes had their turn so often meanwhile that more time is no excuse.
func (l *Laws) others(t turn) bool { return l.seen.Turns-t.number >= patience*l.terms.Limit }

// weigh counts the turns and how long they last.
func (l *Laws) weigh() {
	now, waiting := l.terms.Now(), count(l.waits)
	l.seen.Out = max(l.seen.Out, len(l.held))
	if len(l.held) > l.terms.Limit {
		l.breach("%d nodes have their turn, of %d", len(l.held), l.terms.Limit)
	}
	switch {
	case waiting == 0:
		l.wanted, l.free = time.Time{}, turn{}
		return
	case l.wanted.IsZero():
		l.wanted = now
	}
	for name, t := range l.held {
		kept := now.Sub(later(t.since, l.wanted))
		l.seen.Kept = max(l.seen.Kept, kept)
		if kept > l.terms.Turn && l.others(t) {
			l.breach("node %s keeps its turn although others wait", name)
		}
	}
	l.weighFree(now)
}

// weighFree counts for how long there has been a free turn that somebody waits for.
func (l *Laws) weighFree(now time.Time) {
	switch {
	case len(l.held) >= l.terms.Limit:
		l.free = turn{}
		return
	case !l.free.is:
		l.free = l.begin()
	}
	free := now.Sub(l.free.since)
	l.seen.Free = max(l.seen.Free, free)
	if free > l.terms.Idle && l.others(l.free) {
		l.breach("a turn is free for longer than %v although nodes wait", l.terms.Idle)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func count(set map[string]bool) int {
	n := 0
	for _, is := range set {
		if is {
			n++
		}
	}
	return n
}

// Nodes looks at all nodes at once, where changes were missed.
func (l *Laws) Nodes(all []corev1.Node) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range all {
		l.closed[all[i].Name] = closed(&all[i])
	}
	l.countClosed()
}

// Node looks at a node that changed.
func (l *Laws) Node(n *corev1.Node) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed[n.Name] = closed(n)
	l.countClosed()
}

func (l *Laws) countClosed() {
	if n := count(l.closed); n > l.terms.Limit {
		l.breach("%d nodes are cordoned, tainted or not ready, of %d", n, l.terms.Limit)
	}
}

// closed reports whether a node takes no new pods.
func closed(n *corev1.Node) bool {
	ready := slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
	tainted := slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == sriovv1.TaintDraining })
	return n.Spec.Unschedulable || tainted || !ready
}

// Down notes that a machine begins to reboot.
func (l *Laws) Down(node string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down[node] = true
	if n := count(l.down); n > l.terms.Limit {
		l.breach("%d machines reboot at the same time, of %d", n, l.terms.Limit)
	}
}

// Up notes that a machine has rebooted.
func (l *Laws) Up(node string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down[node] = false
}

// Leaves looks at a pod that was just made to leave its node, whose state is as it is now in the API; taken says
// whether the node's machine has still to change what the pod's VFs belong to.
func (l *Laws) Leaves(pod *corev1.Pod, s *sriovv1.SriovNetworkNodeState, taken bool) {
	if why := unjust(pod, s, taken); why != "" {
		l.Breach("pod %s was made to leave %s: %s", pod.Name, s.Name, why)
	}
}

// unjust is why a pod should not have had to leave; empty if it had to.
func unjust(pod *corev1.Pod, s *sriovv1.SriovNetworkNodeState, taken bool) string {
	owner := metav1.GetControllerOf(pod)
	plan := cmp.Or(s.Status.Plan, &sriovv1.NodePlan{})
	switch {
	case s.Annotations[sriovv1.AnnotationCurrentState] != sriovv1.Draining:
		return fmt.Sprintf("the node is %q", s.Annotations[sriovv1.AnnotationCurrentState])
	case owner != nil && owner.Kind == "DaemonSet":
		return "it is a DaemonSet's, and would be back at once"
	case s.Annotations[sriovv1.AnnotationDesiredState] == sriovv1.RebootRequired:
		return ""
	case !slices.ContainsFunc(plan.AffectedPods, func(p sriovv1.AffectedPod) bool { return p.Namespace == pod.Namespace && p.Name == pod.Name }):
		return "the node's plan does not name it"
	case !taken:
		return "nothing that it holds has to change"
	}
	return ""
}

// Differs says in what a node differs from what its spec asks for, by its status; empty if in nothing.
func Differs(s *sriovv1.SriovNetworkNodeState) string {
	asked := map[string]sriovv1.Interface{}
	for _, want := range s.Spec.Interfaces {
		asked[want.PciAddress] = want
	}
	var all []string
	for i := range s.Status.Interfaces {
		is := &s.Status.Interfaces[i]
		if why := differs(asked[is.PciAddress], is); why != "" {
			all = append(all, is.PciAddress+" "+why)
		}
		delete(asked, is.PciAddress)
	}
	for pf := range asked {
		all = append(all, pf+" is not there")
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// differs says in what a PF differs from what is asked for; without a wish it has no VFs.
func differs(want sriovv1.Interface, is *sriovv1.InterfaceExt) string {
	if is.NumVfs != want.NumVfs || len(is.VFs) != want.NumVfs {
		return fmt.Sprintf("has %d VFs and shows %d of %d", is.NumVfs, len(is.VFs), want.NumVfs)
	}
	for _, vf := range is.VFs {
		if driver := driverOf(want, vf.VfID); (vf.Driver == vfioPCI) != (driver == vfioPCI) || vf.Driver == "" {
			return fmt.Sprintf("has VF %d on driver %q", vf.VfID, vf.Driver)
		}
	}
	return ""
}

const vfioPCI = "vfio-pci"

// driverOf is vfio-pci where a VF is to have that; all other drivers are the kernel's own choice.
func driverOf(want sriovv1.Interface, vf int) string {
	for _, g := range want.VfGroups {
		var first, last int
		if _, err := fmt.Sscanf(g.VfRange, "%d-%d", &first, &last); err == nil && first <= vf && vf <= last && g.DeviceType == sriovv1.DeviceTypeVfioPci {
			return vfioPCI
		}
	}
	return ""
}

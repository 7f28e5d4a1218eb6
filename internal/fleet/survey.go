// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
	"github.com/kubeovn/sriov-network-operator/internal/wire"
)

// Survey is how far a cluster is, by what its objects report.
type Survey struct {
	// Nodes are those that the operator looks after, and those that have a node
	// state, sorted by name.
	Nodes []NodeReport `json:"nodes"`
	// Policies are sorted by name.
	Policies []PolicyReport `json:"policies"`
}

// NodeReport is how far a node is.
type NodeReport struct {
	Name     string   `json:"name"`
	Standing Standing `json:"standing"`
	// PFs is how many PFs the node has, VFs how many VFs, and Wanted how many VFs it
	// should have.
	PFs    int `json:"pfs"`
	VFs    int `json:"vfs"`
	Wanted int `json:"wanted"`
	// Drain is what was granted of a drain: Draining or DrainComplete; empty when
	// there is none.
	Drain string `json:"drain,omitempty"`
	// Plan is what is being done to the node; nil when nothing is.
	Plan *Progress `json:"plan,omitempty"`
	// Reason is one word for why the node is not as desired, and Why the sentences;
	// empty when it is.
	Reason string `json:"reason,omitempty"`
	Why    string `json:"why,omitempty"`
	// Fix is what to do, where Why does not say it.
	Fix string `json:"fix,omitempty"`
	// Boot says what went wrong when the node's VFs were made at its last boot, and what
	// to do; empty when nothing did.
	Boot string `json:"boot,omitempty"`
}

// Progress is how far a plan is.
type Progress struct {
	Disrupts sriovv1.Disruption `json:"disrupts"`
	Done     int                `json:"done"`
	Steps    int                `json:"steps"`
	// PF and Does are the step that is being carried out, or that failed, or else the
	// next one; empty when all are done.
	PF    string            `json:"pf,omitempty"`
	Does  string            `json:"does,omitempty"`
	State sriovv1.StepState `json:"state,omitempty"`
	// Pods have to leave first.
	Pods []sriovv1.AffectedPod `json:"pods,omitempty"`
}

// PolicyReport is what became of a policy.
type PolicyReport struct {
	Name     string   `json:"name"`
	Priority int      `json:"priority"`
	Resource string   `json:"resource"`
	NumVFs   int      `json:"numVfs"`
	Standing Standing `json:"standing"`
	// Nodes, PFs, Synced and Failed are what the policy's status counts.
	Nodes  int `json:"nodes"`
	PFs    int `json:"pfs"`
	Synced int `json:"synced"`
	Failed int `json:"failed"`
	// Reason and Why are those of its condition Ready.
	Reason string `json:"reason,omitempty"`
	Why    string `json:"why,omitempty"`
	// Lost says what the policy lost to others; empty when nothing.
	Lost string `json:"lost,omitempty"`
}

// Reasons of a report that no condition gives.
const (
	// NoNodeState: the operator has made no node state of the node yet.
	NoNodeState = "NoNodeState"
	// NotReported: the node's daemon has not reported yet.
	NotReported = "NotReported"
	// SpecNotWritten: the operator has not written yet what the node should be by now.
	SpecNotWritten = "SpecNotWritten"
	// SpecNotSeen: the node's daemon has not seen the present spec yet.
	SpecNotSeen = "SpecNotSeen"
	// NodeGone: the cluster has no such node, or the operator does not look after it.
	NodeGone = "NodeGone"
	// NotLookedAt: the operator has not looked at the present policy yet.
	NotLookedAt = "NotLookedAt"
)

// Members are the nodes of a cluster for Look.
type Members struct {
	// Nodes are all nodes of the cluster; Unknown says that they may not be read, and
	// then the node states alone count.
	Nodes   []nodestate.Node
	Unknown bool
	States  []sriovv1.SriovNetworkNodeState
	// Whole says that the rules are made from all that the operator renders from: a node
	// whose spec is another than they make it is then on its way.
	Whole bool
}

// Look surveys a cluster.
func (r *Rules) Look(m Members, policies []sriovv1.SriovNetworkNodePolicy) Survey {
	var s Survey
	states := map[string]*sriovv1.SriovNetworkNodeState{}
	for i := range m.States {
		states[m.States[i].Name] = &m.States[i]
	}
	for _, n := range m.Nodes {
		if !r.Lists(n.Labels) {
			continue
		}
		report := nodeReport(n.Name, states[n.Name])
		if m.Whole && r.outdated(n, states[n.Name]) {
			report.Standing, report.Reason = Pending, SpecNotWritten
			report.Why = "the operator has not written yet what policies, sriov-configmap and pools ask of the node now"
			report.Fix = "if it lasts, see whether the operator runs"
		}
		s.Nodes = append(s.Nodes, report)
		delete(states, n.Name)
	}
	for name, state := range states {
		report := nodeReport(name, state)
		if !m.Unknown {
			report.Standing, report.Reason = Pending, NodeGone
			report.Why = "the cluster has no such node, or the operator does not look after it any more; its state is kept for a while"
		}
		s.Nodes = append(s.Nodes, report)
	}
	slices.SortFunc(s.Nodes, func(a, b NodeReport) int { return cmp.Compare(a.Name, b.Name) })
	for i := range policies {
		s.Policies = append(s.Policies, policyReport(&policies[i]))
	}
	slices.SortFunc(s.Policies, func(a, b PolicyReport) int { return cmp.Compare(a.Name, b.Name) })
	return s
}

// outdated reports whether the node's spec is another than the operator will write, as far
// as that is known.
func (r *Rules) outdated(n nodestate.Node, state *sriovv1.SriovNetworkNodeState) bool {
	if state == nil {
		return false
	}
	want, err := r.Render(n, state)
	return err == nil && !equality.Semantic.DeepEqual(want.Spec, state.Spec)
}

// Standing is the whole: Failed when something will not become as desired by itself,
// Pending when something is on its way. Node states that nobody needs do not count.
func (s Survey) Standing() Standing {
	worst := Synced
	note := func(one Standing) {
		switch {
		case one == Failed:
			worst = Failed
		case one == Pending && worst == Synced:
			worst = Pending
		}
	}
	for i := range s.Nodes {
		if s.Nodes[i].Reason != NodeGone {
			note(s.Nodes[i].Standing)
		}
	}
	for i := range s.Policies {
		note(s.Policies[i].Standing)
	}
	return worst
}

// Moving reports whether something is on its way, whatever else has failed.
func (s Survey) Moving() bool {
	return slices.ContainsFunc(s.Nodes, func(n NodeReport) bool { return n.Standing == Pending && n.Reason != NodeGone }) ||
		slices.ContainsFunc(s.Policies, func(p PolicyReport) bool { return p.Standing == Pending })
}

func nodeReport(name string, state *sriovv1.SriovNetworkNodeState) NodeReport {
	if state == nil {
		return NodeReport{Name: name, Reason: NoNodeState, Why: "the operator has made no node state of it yet",
			Fix: "see whether the operator runs"}
	}
	n := NodeReport{Name: name, Standing: StandingOf(state), PFs: len(state.Status.Interfaces), Plan: progress(state.Status.Plan)}
	for i := range state.Status.Interfaces {
		n.VFs += state.Status.Interfaces[i].NumVfs
	}
	for i := range state.Spec.Interfaces {
		n.Wanted += state.Spec.Interfaces[i].NumVfs
	}
	if granted := state.Annotations[sriovv1.AnnotationCurrentState]; granted != sriovv1.DrainIdle {
		n.Drain = granted
	}
	if boot := meta.FindStatusCondition(state.Status.Conditions, sriovv1.ConditionRestoredAtBoot); boot != nil && boot.Status == metav1.ConditionFalse {
		n.Boot = boot.Message
	}
	if n.Standing != Synced {
		n.Reason, n.Why = whyNot(state)
		if state.Status.LastSyncError == "" {
			n.Fix = reason.Reason(n.Reason).Fix()
		}
	}
	return n
}

// whyNot is why a node is not as desired, from what says most to what says least.
func whyNot(state *sriovv1.SriovNetworkNodeState) (string, string) {
	conditions := state.Status.Conditions
	ready := meta.FindStatusCondition(conditions, sriovv1.ConditionReady)
	word := ""
	if ready != nil && ready.Status == metav1.ConditionFalse {
		word = ready.Reason
	}
	switch {
	case StandingOf(state) == Failed:
		why := state.Status.LastSyncError
		if why == "" && ready != nil {
			why = ready.Message
		}
		return cmp.Or(word, string(sriovv1.SyncStatusFailed)), cmp.Or(why, "its daemon gives no reason")
	case state.Status.SyncStatus == "" && state.Status.ObservedGeneration == 0:
		return NotReported, "its daemon has not reported yet"
	case state.Status.ObservedGeneration != 0 && state.Status.ObservedGeneration != state.Generation:
		return SpecNotSeen, "its daemon has not seen the present spec yet"
	}
	if waits := state.Annotations[sriovv1.AnnotationDrainMessage]; waits != "" {
		return sriovv1.ConditionDraining, waits
	}
	for _, kind := range []string{sriovv1.ConditionDraining, sriovv1.ConditionProgressing} {
		if c := meta.FindStatusCondition(conditions, kind); c != nil && c.Status == metav1.ConditionTrue {
			return c.Reason, c.Message
		}
	}
	if word != "" {
		return word, ready.Message
	}
	return string(sriovv1.SyncStatusInProgress), "the node is being changed, or waits for its turn"
}

func progress(p *sriovv1.NodePlan) *Progress {
	if p == nil {
		return nil
	}
	out := &Progress{Disrupts: p.Disrupts, Steps: len(p.Steps), Pods: p.AffectedPods}
	rank := map[sriovv1.StepState]int{sriovv1.StepFailed: 1, sriovv1.StepRunning: 2, sriovv1.StepPending: 3}
	best := 0
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.State == sriovv1.StepDone {
			out.Done++
		}
		if r := rank[s.State]; r > 0 && (best == 0 || r < best) {
			best = r
			out.PF, out.Does, out.State = s.PciAddress, s.Does, s.State
		}
	}
	return out
}

// reasonInProgress is the reason of a policy's condition Ready while nodes are on
// their way.
const reasonInProgress = "InProgress"

func policyReport(p *sriovv1.SriovNetworkNodePolicy) PolicyReport {
	count := func(n *int) int {
		if n == nil {
			return 0
		}
		return *n
	}
	s := &p.Status
	out := PolicyReport{
		Name: p.Name, Priority: nodestate.Priority(p), Resource: p.Spec.ResourceName, NumVFs: p.Spec.NumVfs,
		Nodes: count(s.MatchedNodeCount), PFs: count(s.MatchedPFCount), Synced: count(s.SyncedNodeCount), Failed: count(s.FailedNodeCount),
	}
	ready := meta.FindStatusCondition(s.Conditions, sriovv1.ConditionReady)
	switch {
	case ready == nil || ready.ObservedGeneration != p.Generation:
		out.Reason, out.Why = NotLookedAt, "the operator has not looked at it yet"
		return out
	case ready.Status == metav1.ConditionTrue:
		out.Standing = Synced
	case ready.Reason != reasonInProgress:
		out.Standing = Failed
	}
	out.Reason, out.Why = ready.Reason, ready.Message
	if lost := meta.FindStatusCondition(s.Conditions, sriovv1.ConditionConflicted); lost != nil && lost.Status == metav1.ConditionTrue {
		out.Lost = lost.Message
	}
	return out
}

// Reach is on how many nodes, and on how many of their PFs, a policy selects something.
func (r *Rules) Reach(m Members, p *sriovv1.SriovNetworkNodePolicy) (nodes, pfs int) {
	alone := nodestate.Compile([]sriovv1.SriovNetworkNodePolicy{*p}, nodestate.Options{NodeSelector: r.NodeSelector, Catalog: r.NICs})
	states := map[string]*sriovv1.SriovNetworkNodeState{}
	for i := range m.States {
		states[m.States[i].Name] = &m.States[i]
	}
	for _, n := range m.Nodes {
		var inventory hw.Inventory
		if s := states[n.Name]; s != nil {
			inventory = wire.Inventory(s.Status)
		}
		what := alone.Render(n, inventory, "").Trace.Policies[0]
		if what.Reason != reason.NodeNotSelected && what.Reason != reason.NodeNotListed {
			nodes++
			pfs += what.SelectedPFs
		}
	}
	return nodes, pfs
}

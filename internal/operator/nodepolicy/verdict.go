// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodepolicy

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/operator/speech"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

// verdict is what the status of a policy says.
type verdict struct {
	nodes, pfs, synced, failed, losses int
	// readyReason and readyText are those of the condition Ready, which is true with
	// ReasonAllNodesSynced alone; conflict is the message of Conflicted, empty when there
	// is none.
	readyReason, readyText string
	conflict               string
}

func (v verdict) ready() bool { return v.readyReason == sriovv1.ReasonAllNodesSynced }

// judge is the verdict about a policy that became what the tally says.
func judge(policy *sriovv1.SriovNetworkNodePolicy, t tally) verdict {
	v := verdict{nodes: t.nodes, pfs: t.pfs, synced: t.synced, failed: t.failed, losses: t.losses}
	v.readyReason, v.readyText = readiness(policy, t)
	if t.losses > 0 {
		v.conflict = strings.Join(t.sentences, "; ")
		if more := t.losses - len(t.sentences); more > 0 {
			v.conflict += fmt.Sprintf("; and %d more", more)
		}
	}
	return v
}

// readiness is reason and message of the condition Ready. The first that holds counts.
func readiness(policy *sriovv1.SriovNetworkNodePolicy, t tally) (string, string) {
	problems := nodestate.Check(policy)
	switch {
	case policy.Name == sriovv1.DefaultPolicyName:
		return told(reason.DeprecatedDefault)
	case len(problems) > 0:
		var all []string
		for _, p := range problems[:min(len(problems), maxSentences)] {
			all = append(all, "spec."+p.String())
		}
		if more := len(problems) - len(all); more > 0 {
			all = append(all, fmt.Sprintf("and %d more", more))
		}
		return string(reason.BadPolicy), strings.Join(all, "; ")
	case equality.Semantic.DeepEqual(policy.Spec.NicSelector, sriovv1.SriovNetworkNicSelector{}):
		return told(reason.EmptySelector)
	case t.nodes == 0:
		return string(reason.NodeNotSelected), "no node that the operator looks after has the labels of nodeSelector"
	case t.failed > 0:
		return sriovv1.ReasonNodesFailed, fmt.Sprintf("%d of %d nodes failed; %s", t.failed, t.nodes, t.failure)
	case t.lost > 0:
		return sriovv1.ReasonLostToOthers, fmt.Sprintf("nothing of the policy stands on %d of %d nodes; %s", t.lost, t.nodes, t.lostTo)
	case t.synced < t.nodes:
		return sriovv1.ReasonInProgress, fmt.Sprintf("%d of %d nodes are as desired", t.synced, t.nodes)
	case t.pfs == 0:
		return told(reason.NoPFMatches)
	case t.idle > 0:
		return sriovv1.ReasonAllNodesSynced, fmt.Sprintf("%d nodes are as desired; on %d of them no PF matches nicSelector", t.nodes, t.idle)
	}
	return sriovv1.ReasonAllNodesSynced, fmt.Sprintf("%d nodes are as desired", t.nodes)
}

// told is a reason with its own sentences as message.
func told(r reason.Reason) (string, string) {
	return string(r), strings.TrimSpace(r.Sentence() + " " + r.Fix())
}

// overruled reports whether the policy selects PFs of the node and nothing of it stands.
func (p share) overruled() bool {
	return p.pfs > 0 && p.reason != reason.Won && p.reason != reason.Merged
}

// status is the policy's status with the verdict in it. Conditions keep their time while
// their status is the same.
func (v verdict) status(policy *sriovv1.SriovNetworkNodePolicy, now metav1.Time) sriovv1.SriovNetworkNodePolicyStatus {
	out := *policy.Status.DeepCopy()
	out.ObservedGeneration = policy.Generation
	out.MatchedNodeCount, out.MatchedPFCount = &v.nodes, &v.pfs
	out.SyncedNodeCount, out.FailedNodeCount = &v.synced, &v.failed
	ready := metav1.Condition{
		Type: sriovv1.ConditionReady, Status: metav1.ConditionFalse, Reason: v.readyReason, Message: speech.Message(v.readyText),
		ObservedGeneration: policy.Generation, LastTransitionTime: now,
	}
	if v.ready() {
		ready.Status = metav1.ConditionTrue
	}
	conflicted := metav1.Condition{
		Type: sriovv1.ConditionConflicted, Status: metav1.ConditionFalse, Reason: sriovv1.ReasonNoConflict,
		Message: "everything that the policy asks for stands", ObservedGeneration: policy.Generation, LastTransitionTime: now,
	}
	if v.conflict != "" {
		conflicted.Status, conflicted.Reason, conflicted.Message = metav1.ConditionTrue, sriovv1.ReasonLostToOthers, speech.Message(v.conflict)
	}
	meta.SetStatusCondition(&out.Conditions, ready)
	meta.SetStatusCondition(&out.Conditions, conflicted)
	return out
}

// announcement is an event about a policy.
type announcement struct{ reason, text string }

// announcements are what is new and wrong in a status, so that what stays wrong is told
// once.
func announcements(was, is sriovv1.SriovNetworkNodePolicyStatus) []announcement {
	var out []announcement
	ready, conflicted := meta.FindStatusCondition(is.Conditions, sriovv1.ConditionReady), meta.FindStatusCondition(is.Conditions, sriovv1.ConditionConflicted)
	if ready.Reason == string(reason.BadPolicy) && news(was, ready) {
		out = append(out, announcement{ready.Reason, ready.Message})
	}
	if conflicted.Status == metav1.ConditionTrue && news(was, conflicted) {
		out = append(out, announcement{sriovv1.ConditionConflicted, conflicted.Message})
	}
	return out
}

// news reports whether a condition said something else before.
func news(was sriovv1.SriovNetworkNodePolicyStatus, is *metav1.Condition) bool {
	before := meta.FindStatusCondition(was.Conditions, is.Type)
	return before == nil || before.Status != is.Status || before.Reason != is.Reason || before.Message != is.Message
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodepolicy

import (
	"k8s.io/apimachinery/pkg/api/equality"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/fleet"
	"github.com/kubeovn/sriov-network-operator/internal/operator/speech"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

// rendering is what one node should be, and what became of the policies on it.
type rendering struct {
	fleet.Rendering

	summary summary
}

// render is what a listed node should be. state is what the API has of it; nil when
// there is none.
func (b *basis) render(node nodestate.Node, state *sriovv1.SriovNetworkNodeState) (rendering, error) {
	made, err := b.Render(node, state)
	r := rendering{Rendering: made}
	sync := pending
	if state != nil && made.Kept != fleet.NoInventory && equality.Semantic.DeepEqual(made.Spec, state.Spec) {
		sync = fleet.StandingOf(state)
	}
	r.summary = b.summarize(node, made.Trace, sync)
	if sync == failed && made.Kept == "" {
		r.summary.cause = speech.Clip(state.Status.LastSyncError, maxCause)
	}
	return r, err
}

// standing is how far a node is.
type standing = fleet.Standing

// The standings of a node.
const (
	pending = fleet.Pending
	synced  = fleet.Synced
	failed  = fleet.Failed
)

// summary is what became of the policies on one node, for their status.
type summary struct {
	standing standing
	// cause is why the node failed; empty when it did not.
	cause string
	// shares are by the names of policy objects that select the node.
	shares map[string]share
}

// share is what one policy has on a node.
type share struct {
	// pfs is how many PFs of the node it selects.
	pfs    int
	reason reason.Reason
	// losses is how many of its wishes do not stand; sentences tell the first of them.
	losses    int
	sentences []string
}

// maxSentences is how many sentences about conflicts are kept of a node, and told
// of a policy.
const maxSentences = 3

// maxCause is how much is kept of why a node failed, in bytes.
const maxCause = 512

func (b *basis) summarize(node nodestate.Node, trace nodestate.Trace, s standing) summary {
	out := summary{standing: s, shares: map[string]share{}}
	for name, p := range b.policies {
		if _, missing := p.nodes.Missing(node.Labels); !missing {
			out.shares[name] = share{}
		}
	}
	for i := range trace.Policies {
		t := &trace.Policies[i]
		s, selected := out.shares[t.Policy]
		if !selected || t.Source != nodestate.FromObject {
			continue
		}
		s.pfs, s.reason = t.SelectedPFs, t.Reason
		conflicts := trace.Conflicts(t.Policy)
		s.losses = len(conflicts)
		for _, sentence := range conflicts[:min(len(conflicts), maxSentences)] {
			s.sentences = append(s.sentences, "node "+node.Name+": "+sentence)
		}
		out.shares[t.Policy] = s
	}
	return out
}

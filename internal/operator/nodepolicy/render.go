// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodepolicy

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/claims"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
	"github.com/kubeovn/sriov-network-operator/internal/render/deviceplugin"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
	"github.com/kubeovn/sriov-network-operator/internal/wire"
)

// rendering is what one node should be.
type rendering struct {
	spec sriovv1.SriovNetworkNodeStateSpec
	// plugin is the device plugin's configuration; empty when the present one is to
	// stay as it is.
	plugin  string
	summary summary
	// poolErr is why the node's pool is not known; its RDMA mode then stays.
	poolErr error
}

// render is what a listed node should be. state is what the API has of it; nil when
// there is none. A node whose inventory is not known keeps what it has, and so does one
// whose claim is broken when what was in force before was never seen.
func (b *basis) render(node nodestate.Node, state *sriovv1.SriovNetworkNodeState) (rendering, error) {
	mode, poolErr := rdmaMode(b.pools, node.Labels)
	if poolErr != nil && state != nil {
		mode = hw.RDMAMode(state.Spec.System.RdmaMode)
	}
	r := rendering{poolErr: poolErr}
	if state == nil {
		r.spec.System.RdmaMode = sriovv1.RdmaMode(mode)
		r.summary = b.summarize(node, nodestate.Trace{}, pending)
		return r, nil
	}
	claim := b.claims.Of(node.Name)
	inventory := wire.Inventory(state.Status)
	entries := claim.Policies()
	result := b.compiled.With(entries).Render(node, inventory, mode)
	if len(state.Status.Interfaces) == 0 || claim.Standing == claims.Unknown {
		r.spec = state.Spec
		sync := syncOf(state)
		if len(state.Status.Interfaces) == 0 {
			sync = pending
		}
		r.summary = b.summarize(node, result.Trace, sync)
		return r, nil
	}
	want := hold(result, state.Spec, mode)
	r.spec = wire.Spec(want)
	sync := pending
	if equality.Semantic.DeepEqual(r.spec, state.Spec) {
		sync = syncOf(state)
	}
	r.summary = b.summarize(node, result.Trace, sync)
	if sync == failed {
		r.summary.cause = shorten(state.Status.LastSyncError)
	}
	plugin := deviceplugin.Render(deviceplugin.Input{
		Policies: b.plugin.With(entries), Labels: node.Labels, Inventory: inventory, Desired: want, NICs: b.nics,
	})
	var err error
	r.plugin, err = plugin.Config.JSON()
	return r, err
}

// hold is the desired node with the PFs that are to be left as they are: those on which
// nothing stands because an entry may be mistaken about the type of the NIC.
func hold(result nodestate.Result, present sriovv1.SriovNetworkNodeStateSpec, mode hw.RDMAMode) desired.Node {
	held := result.Trace.Held()
	if len(held) == 0 {
		return result.Desired
	}
	was, _ := wire.Desired(present)
	pfs := result.Desired.PFs()
	for _, pf := range was.PFs() {
		if slices.Contains(held, pf.Addr) {
			pfs = append(pfs, pf)
		}
	}
	want, _ := desired.New(pfs, mode)
	return want
}

// standing is how far a node is.
type standing uint8

// The standings of a node.
const (
	// pending: the node is not yet as desired.
	pending standing = iota
	// synced: the node is as desired.
	synced
	// failed: the node is not as desired and will not become so by itself.
	failed
)

// String is the standing in one word.
func (s standing) String() string {
	switch s {
	case pending:
		return "pending"
	case synced:
		return "synced"
	case failed:
		return "failed"
	}
	return "unknown"
}

// syncOf is how far a node is by what its daemon reports about the present spec. A
// daemon that reports no generation is believed.
func syncOf(state *sriovv1.SriovNetworkNodeState) standing {
	if g := state.Status.ObservedGeneration; g != 0 && g != state.Generation {
		return pending
	}
	switch state.Status.SyncStatus {
	case sriovv1.SyncStatusSucceeded:
		return synced
	case sriovv1.SyncStatusFailed:
		return failed
	case sriovv1.SyncStatusInProgress:
	}
	return pending
}

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

func shorten(text string) string {
	if len(text) <= maxCause {
		return text
	}
	return text[:maxCause] + "…"
}

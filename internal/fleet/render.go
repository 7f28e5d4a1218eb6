// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"slices"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/claims"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/render/deviceplugin"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
	"github.com/kubeovn/sriov-network-operator/internal/wire"
)

// Rendering is what one node should be.
type Rendering struct {
	// Spec is that of its node state, and Desired the same parsed.
	Spec    sriovv1.SriovNetworkNodeStateSpec
	Desired desired.Node
	// Trace says who won; with Kept it says who would have.
	Trace nodestate.Trace
	// Plugin is the device plugin's configuration; empty when the present one is to
	// stay as it is.
	Plugin string
	// Kept says why the node keeps the spec that it has; empty when it does not.
	Kept Kept
	// PoolErr is why the node's pool is not known; its RDMA mode then stays.
	PoolErr error
}

// Kept is why a node keeps the spec that it has, whatever the rules say.
type Kept string

// Why a node keeps its spec.
const (
	// NoInventory: what the node has is not known yet.
	NoInventory Kept = "NoInventory"
	// ClaimUnknown: the node's key in a ConfigMap is broken, and what was in force
	// before it broke was never seen.
	ClaimUnknown Kept = "ClaimUnknown"
)

// Render is what a listed node should be. state is what the API has of it; nil when
// there is none.
func (r *Rules) Render(node nodestate.Node, state *sriovv1.SriovNetworkNodeState) (Rendering, error) {
	in, poolErr := poolOf(r.pools, node.Labels)
	mode := in.mode
	if poolErr != nil && state != nil {
		mode = hw.RDMAMode(state.Spec.System.RdmaMode)
	}
	out := Rendering{PoolErr: poolErr}
	if state == nil {
		out.Desired, _ = desired.New(nil, mode)
		out.Spec.System.RdmaMode = sriovv1.RdmaMode(mode)
		return out, nil
	}
	claim := r.Claims.Of(node.Name)
	inventory := wire.Inventory(state.Status)
	entries := claim.Policies()
	result := r.compiled.With(entries).Render(node, inventory, mode)
	out.Trace = result.Trace
	switch {
	case len(state.Status.Interfaces) == 0:
		out.Kept = NoInventory
	case claim.Standing == claims.Unknown:
		out.Kept = ClaimUnknown
	}
	if out.Kept != "" {
		out.Spec = state.Spec
		out.Desired, _ = wire.Desired(state.Spec)
		return out, nil
	}
	out.Desired = hold(result, state.Spec, mode)
	out.Spec = wire.Spec(out.Desired)
	plugin := deviceplugin.Render(deviceplugin.Input{
		Policies: r.plugin.With(entries), Labels: node.Labels, LabelsUnknown: node.LabelsUnknown,
		Inventory: inventory, Desired: out.Desired, NICs: r.NICs,
	})
	var err error
	out.Plugin, err = plugin.Config.JSON()
	return out, err
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

// Standing is how far a node is.
type Standing uint8

// The standings of a node.
const (
	// Pending: the node is not yet as desired.
	Pending Standing = iota
	// Synced: the node is as desired.
	Synced
	// Failed: the node is not as desired and will not become so by itself.
	Failed
)

// String is the standing in one word.
func (s Standing) String() string {
	switch s {
	case Pending:
		return "pending"
	case Synced:
		return "synced"
	case Failed:
		return "failed"
	}
	return "unknown"
}

// StandingOf is how far a node is by what its daemon reports about the present spec. A
// daemon that reports no generation is believed.
func StandingOf(state *sriovv1.SriovNetworkNodeState) Standing {
	if g := state.Status.ObservedGeneration; g != 0 && g != state.Generation {
		return Pending
	}
	switch state.Status.SyncStatus {
	case sriovv1.SyncStatusSucceeded:
		return Synced
	case sriovv1.SyncStatusFailed:
		return Failed
	case sriovv1.SyncStatusInProgress:
	}
	return Pending
}

// MarshalText makes the standing a word in JSON.
func (s Standing) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

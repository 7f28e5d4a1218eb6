// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package forecast

import (
	"fmt"
	"reflect"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/disruption"
	"github.com/kubeovn/sriov-network-operator/internal/fleet"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

// Effect is what a change does to a node. A higher one includes the lower ones.
type Effect uint8

// The effects, in order.
const (
	// Unchanged: the node stays as it is.
	Unchanged Effect = iota
	// Unknown: what the node has is not known, so neither is what would happen.
	Unknown
	// None: something is done that nobody notices.
	None
	// Link: a PF's own traffic may pause.
	Link
	// Pods: the pods that hold some of the VFs must leave.
	Pods
	// Drain: all pods that hold any VF of the node must leave.
	Drain
	// Reboot: everybody must leave, and the node restarts.
	Reboot
)

// String is the word that people and JSON read.
func (e Effect) String() string {
	switch e {
	case Unchanged:
		return "unchanged"
	case Unknown:
		return "unknown"
	case None:
		return "none"
	case Link:
		return "link"
	case Pods:
		return "pods"
	case Drain:
		return "drain"
	case Reboot:
		return "reboot"
	}
	return fmt.Sprintf("Effect(%d)", uint8(e))
}

// MarshalText makes the effect a word in JSON.
func (e Effect) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// Change is what the cluster's objects are, and what they would be.
type Change struct {
	Before, After *fleet.Rules
	// Undrained says that nodes are changed without making pods leave first.
	Undrained bool
}

// Node is a node as the API has it.
type Node struct {
	nodestate.Node

	// State is its node state; nil when there is none.
	State *sriovv1.SriovNetworkNodeState
}

// Outlook is what would happen to one node.
type Outlook struct {
	Node   string `json:"-"`
	Effect Effect `json:"disturbs"`
	// Plan is what would happen to the PFs that the change is about. What the node
	// alone can know is not in it: kernel modules, udev rules, the ledger, addresses.
	Plan plan.Plan `json:"plan,omitzero"`
	// Doubts are sentences about what matters and is not known.
	Doubts []string `json:"doubts,omitempty"`
	// Offers says that the device plugin would offer other resources than now.
	Offers bool `json:"offersChange,omitempty"`
	// Why says why the effect is Unchanged or Unknown; empty when nothing of the node
	// is asked for differently.
	Why string `json:"why,omitempty"`

	// takes are the VFs that are taken from whoever holds them, and was is what the node
	// should be at present.
	takes []hw.VFRef
	was   desired.Node
}

// Look says what would happen to a node. It is false for one that the operator looks
// after neither before nor after the change.
func (c Change) Look(n Node) (Outlook, bool, error) {
	out := Outlook{Node: n.Name}
	was, is := c.Before.Lists(n.Labels), c.After.Lists(n.Labels)
	switch {
	case !was && !is:
		return out, false, nil
	case !is:
		out.Why = "the operator would not look after the node any more; its VFs stay as they are"
		return out, true, nil
	case n.State == nil || len(n.State.Status.Interfaces) == 0:
		out.Effect, out.Why = Unknown, "its daemon has not reported what it has"
		return out, true, nil
	}
	before, err := c.Before.Render(n.Node, n.State)
	if err != nil {
		return out, true, fmt.Errorf("render node %s as it is: %w", n.Name, err)
	}
	after, err := c.After.Render(n.Node, n.State)
	if err != nil {
		return out, true, fmt.Errorf("render node %s as it would be: %w", n.Name, err)
	}
	if after.Kept == fleet.ClaimUnknown {
		out.Why = "its key in a ConfigMap is broken, and it keeps what it has until that is mended"
		return out, true, nil
	}
	out.was = before.Desired
	out.Offers = before.Plugin != after.Plugin
	differing := differ(before.Desired, after.Desired)
	if len(differing) == 0 && before.Desired.RDMAMode() == after.Desired.RDMAMode() {
		if out.Offers {
			out.Effect = None
		}
		return out, true, nil
	}
	c.plan(&out, n, after.Desired, differing)
	return out, true, nil
}

// differ are the PFs of which something else is asked for.
func differ(before, after desired.Node) map[hw.PCIAddr]bool {
	out := map[hw.PCIAddr]bool{}
	for _, pf := range after.PFs() {
		was, ok := before.PF(pf.Addr)
		if !ok || !reflect.DeepEqual(was, pf) {
			out[pf.Addr] = true
		}
	}
	for _, pf := range before.PFs() {
		if _, ok := after.PF(pf.Addr); !ok {
			out[pf.Addr] = true
		}
	}
	return out
}

// plan plans the PFs that differ.
func (c Change) plan(out *Outlook, n Node, want desired.Node, differing map[hw.PCIAddr]bool) {
	o := observe(n.State.Status, out.was, c.After.NICs)
	made := plan.Compute(want, o.inventory, o.memory, c.After.NICs)
	out.Plan = visible(made, func(pf hw.PCIAddr) bool {
		if pf.IsZero() {
			return out.was.RDMAMode() != want.RDMAMode()
		}
		return differing[pf]
	})
	out.Doubts = o.doubts(out.Plan, want, differing)
	out.takes = out.Plan.Takes()
	out.Effect = effect(out.Plan.Class())
	if out.Plan.Empty() && !out.Offers {
		out.Effect = Unchanged
		if len(out.Plan.Blocked) == 0 {
			out.Why = "what is asked for differs, and the machine needs nothing for it"
		}
	}
	if out.Effect != Pods {
		return
	}
	scope, err := c.After.Scope(n.Labels)
	switch {
	case err != nil:
		out.Doubts = append(out.Doubts, fmt.Sprintf("which pods have to leave: %v", err))
	case c.Undrained:
		out.Doubts = append(out.Doubts, "disableDrain is set: pods are not asked to leave, and lose their VFs while they run")
	case scope == sriovv1.DisruptionScopeNode:
		out.Effect = Drain
	}
}

func effect(c disruption.Class) Effect {
	switch c {
	case disruption.None:
		return None
	case disruption.Link:
		return Link
	case disruption.Pods:
		return Pods
	case disruption.Reboot:
		return Reboot
	}
	return Unknown
}

// visible is what can be said of a plan from afar: the steps on the PFs that are meant,
// without what the node alone knows.
func visible(p plan.Plan, meant func(hw.PCIAddr) bool) plan.Plan {
	out := p
	out.Before, out.After, out.Lanes = told(p.Before), told(p.After), nil
	for _, l := range p.Lanes {
		steps := told(l.Steps)
		if meant(l.PF) && len(steps) > 0 {
			out.Lanes = append(out.Lanes, plan.Lane{PF: l.PF, Name: l.Name, Steps: steps})
		}
	}
	out.Blocked, out.Notices = about(p.Blocked, meant), about(p.Notices, meant)
	return out
}

func about(all []plan.Blocker, meant func(hw.PCIAddr) bool) []plan.Blocker {
	var out []plan.Blocker
	for _, b := range all {
		if meant(b.PF) {
			out = append(out, b)
		}
	}
	return out
}

// told leaves out the steps that only the node knows the need of, and addresses.
func told(steps []plan.Step) []plan.Step {
	var out []plan.Step
	for _, s := range steps {
		switch do := s.Do.(type) {
		case plan.LoadModule, plan.WriteFile, plan.RemoveFile, plan.ReloadUdev, plan.Claim, plan.Release, plan.SetAutoprobe:
			continue
		case plan.SetAdminMACs:
			macs := make([]plan.VFMAC, len(do.MACs))
			for i, m := range do.MACs {
				macs[i].VF = m.VF
			}
			s.Do = plan.SetAdminMACs{PF: do.PF, MACs: macs}
		case plan.SetGUIDs:
			guids := make([]plan.VFGUID, len(do.GUIDs))
			for i, g := range do.GUIDs {
				guids[i].VF = g.VF
			}
			s.Do = plan.SetGUIDs{PF: do.PF, GUIDs: guids}
		default:
		}
		out = append(out, s)
	}
	return out
}

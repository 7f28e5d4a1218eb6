// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package converge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/discover"
	"github.com/kubeovn/sriov-network-operator/internal/execute"
	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/ledger"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

// Observation is a machine, looked at once, and what is remembered of it.
type Observation struct {
	Inventory hw.Inventory
	Memory    plan.Memory
	// Torn are the records that could not be read.
	Torn []ledger.Torn
}

// Look looks at the machine. It changes nothing. A PF that a lifeline runs over is
// in use by the host.
func Look(ctx context.Context, r host.Reader, nics catalog.Table, lifelines ...hw.Lifeline) (Observation, error) {
	l, err := ledger.Open(r.Files, nil)
	if err != nil {
		return Observation{}, err
	}
	for _, torn := range l.Torn() {
		// A record that this user may not read is not torn.
		if errors.Is(torn.Err, fs.ErrPermission) {
			return Observation{}, fmt.Errorf("read what was configured of %s before: %w; root may", torn.PF, torn.Err)
		}
	}
	inv, err := discover.Machine(ctx, r, nics, lifelines...)
	if err != nil {
		return Observation{}, fmt.Errorf("discover: %w", err)
	}
	return Observation{Inventory: l.Complete(inv), Memory: l.Memory(), Torn: l.Torn()}, nil
}

// Wish is what is asked for of a machine.
type Wish struct {
	Policies nodestate.Compiled
	Node     nodestate.Node
	// RDMAMode is the mode of the node's pool; empty leaves it alone.
	RDMAMode hw.RDMAMode
	// Uncertain says that some policies could not be read. A PF that was
	// configured and that no other policy asks for is then left alone: the policy
	// that cannot be read may be the one that asks for it.
	Uncertain bool
}

// Outlook is what would happen to a machine, and why.
type Outlook struct {
	Observation
	Desired desired.Node
	Trace   nodestate.Trace
	Plan    plan.Plan
	// Spared are the PFs that would be given back if the wish were not uncertain,
	// or if no entry had been refused for their type; sorted.
	Spared []hw.PCIAddr
}

// Foresee says what would happen.
func Foresee(w Wish, o Observation, nics catalog.Table) Outlook {
	rendered := w.Policies.Render(w.Node, o.Inventory, w.RDMAMode)
	out := Outlook{Observation: o, Desired: rendered.Desired, Trace: rendered.Trace}
	held := rendered.Trace.Held()
	if w.Uncertain || len(held) > 0 {
		o, out.Spared = certain(o, func(addr hw.PCIAddr) bool {
			_, asked := rendered.Desired.PF(addr)
			return !asked && (w.Uncertain || slices.Contains(held, addr))
		})
	}
	out.Plan = Plan(rendered.Desired, o, nics)
	if w.Uncertain || len(held) > 0 {
		out.Plan = sparingNode(out.Plan)
	}
	return out
}

// sparingNode leaves out what concerns the node and comes of all wishes together.
func sparingNode(p plan.Plan) plan.Plan {
	ofNode := func(s plan.Step) bool {
		switch do := s.Do.(type) {
		case plan.WriteFile:
			return slices.Contains(hw.NodeFiles(), do.Path)
		case plan.RemoveFile:
			return slices.Contains(hw.NodeFiles(), do.Path)
		case plan.SetKernelArgs:
			return len(do.Remove) > 0
		case plan.RecordBoot:
			return len(do.Lacking) > 0
		default:
			return false
		}
	}
	p.Before, p.After = slices.DeleteFunc(p.Before, ofNode), slices.DeleteFunc(p.After, ofNode)
	return p
}

// Follow says what would happen to a machine that should become the desired node. A PF
// that was configured, that the node does not name and that is spared is left alone.
func Follow(want desired.Node, o Observation, nics catalog.Table, spare func(hw.PCIAddr) bool) Outlook {
	out := Outlook{Observation: o, Desired: want}
	o, out.Spared = certain(o, func(addr hw.PCIAddr) bool {
		_, asked := want.PF(addr)
		return !asked && spare(addr)
	})
	out.Plan = Plan(want, o, nics)
	return out
}

// Plan plans how the machine becomes the desired node.
func Plan(want desired.Node, o Observation, nics catalog.Table) plan.Plan {
	p := plan.Compute(want, o.Inventory, o.Memory, nics)
	for _, torn := range o.Torn {
		p.Notices = append(p.Notices, plan.Blocker{PF: torn.PF, Why: reason.Because(reason.LedgerTorn, "%v", torn.Err)})
	}
	return p
}

// certain leaves out what is remembered of the PFs that are spared, and their
// rules. It names those that were remembered.
func certain(o Observation, spared func(hw.PCIAddr) bool) (Observation, []hw.PCIAddr) {
	var out []hw.PCIAddr
	o.Memory = maps.Clone(o.Memory)
	maps.DeleteFunc(o.Memory, func(addr hw.PCIAddr, _ plan.Record) bool {
		if spared(addr) {
			out = append(out, addr)
			return true
		}
		return false
	})
	o.Inventory.OwnedFiles = maps.Clone(o.Inventory.OwnedFiles)
	maps.DeleteFunc(o.Inventory.OwnedFiles, func(name, _ string) bool {
		addr, ours := hw.OwnedRule(path.Base(name))
		return ours && spared(addr)
	})
	slices.SortFunc(out, hw.PCIAddr.Compare)
	return o, out
}

// Execute carries a plan out. Its error joins all failures, each an
// *execute.StepError.
func Execute(ctx context.Context, h host.Host, p plan.Plan, o execute.Options) error {
	l, err := ledger.Open(h.Files, h.Conf)
	if err != nil {
		return err
	}
	return execute.Run(ctx, h, l, p, o)
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/cli/manifest"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
	"github.com/kubeovn/sriov-network-operator/internal/validate"
	"github.com/kubeovn/sriov-network-operator/internal/wire"
)

func (a *app) validateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate -f FILE",
		Short: "Say what is wrong with objects, where, and how to mend it",
		Long: `Say what is wrong with objects, where, and how to mend it. All problems are said,
not the first alone. No machine and no cluster is asked.

Policies and pools are held against each other, and against the SriovNetworkNodeState
objects in the files, if there are any.

Exit codes: 0 nothing is wrong, though there may be warnings; 1 something is.`,
		Example: a.example(`
%[1]s validate -f policy.yaml
%[1]s validate -f policies/ -f networks/
cat *.yaml | %[1]s validate -f -`),
		Args: cobra.NoArgs,
	}
	a.fileFlags(cmd)
	a.nodeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		in, err := a.load()
		if err != nil {
			return err
		}
		facts := a.facts(in, cmd.Flags().Changed("namespace"))
		for _, o := range in.set.Objects {
			a.judge(in, o, facts)
		}
		return in.verdict()
	}
	return cmd
}

// facts are what the files tell besides the object that is looked at.
func (a *app) facts(in *input, namespaceKnown bool) validate.Facts {
	f := validate.Facts{NICs: in.nics, Policies: in.policies}
	if namespaceKnown {
		f.Namespace = a.global.namespace
	}
	if in.config != nil {
		f.NodeSelector = in.config.Spec.ConfigDaemonNodeSelector
	}
	for _, p := range manifest.Of[*sriovv1.SriovNetworkPoolConfig](in.set) {
		f.Pools = append(f.Pools, *p)
	}
	for _, s := range manifest.Of[*sriovv1.SriovNetworkNodeState](in.set) {
		node := nodestate.Node{Name: s.Name, LabelsUnknown: true}
		if s.Name == in.node.Name {
			node = in.node
		}
		f.Nodes = append(f.Nodes, validate.Node{
			Node: node, Inventory: wire.Inventory(s.Status), InProgress: s.Status.SyncStatus == sriovv1.SyncStatusInProgress,
		})
	}
	return f
}

// judge prints what is wrong with one object.
func (a *app) judge(in *input, o manifest.Object, f validate.Facts) {
	for _, p := range problemsOf(o.Value, f) {
		found := o.Problem(p.Field, p.Cause, p.Fix)
		switch p.Severity {
		case validate.Error:
			a.complain("%v", found)
			in.bad++
		case validate.Warning:
			a.warn("%v", found)
		}
	}
	if o.Name == "" {
		a.complain("%v", o.Problem("metadata.name", "is missing", "name the object"))
		in.bad++
	}
}

func problemsOf(o runtime.Object, f validate.Facts) []validate.Problem {
	switch v := o.(type) {
	case *sriovv1.SriovNetworkNodePolicy:
		return validate.Policy(v, f)
	case *sriovv1.SriovNetwork:
		return validate.SriovNetwork(v, f)
	case *sriovv1.SriovIBNetwork:
		return validate.SriovIBNetwork(v, f)
	case *sriovv1.OVSNetwork:
		return validate.OVSNetwork(v, f)
	case *sriovv1.SriovNetworkPoolConfig:
		return validate.PoolConfig(v, f)
	case *sriovv1.SriovOperatorConfig:
		return validate.OperatorConfig(v, nil, f)
	case *sriovv1.SriovNetworkNodeState:
		return nodeState(v)
	}
	return nil
}

// nodeState is what cannot be read of a node state. It is the operator's to
// write, so that this is for what was written by hand.
func nodeState(s *sriovv1.SriovNetworkNodeState) []validate.Problem {
	var out []validate.Problem
	_, bad := wire.Desired(s.Spec)
	for _, p := range bad {
		out = append(out, validate.Problem{Severity: validate.Error, Field: p.Field, Cause: p.Cause})
	}
	for _, text := range wire.Inventory(s.Status).Problems {
		out = append(out, validate.Problem{Severity: validate.Error, Field: "status", Cause: text})
	}
	return out
}

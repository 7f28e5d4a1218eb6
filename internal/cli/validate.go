// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/cli/manifest"
	"github.com/kubeovn/sriov-network-operator/internal/fleet"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
	"github.com/kubeovn/sriov-network-operator/internal/validate"
	"github.com/kubeovn/sriov-network-operator/internal/wire"
)

func (a *app) validateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate -f FILE",
		Short: "Say what is wrong with objects, where, and how to mend it",
		Long: `Say what is wrong with objects, where, and how to mend it. All problems are said,
not the first alone. No machine is asked, and no cluster, unless you choose one.

Policies and pools are held against each other, and against the SriovNetworkNodeState
objects in the files, if there are any. With --cluster they are held against the
cluster, as it would be with them: its nodes and their NICs, its policies, pools and
list of NICs; and it is said how many nodes and PFs each policy matches. Nothing is
written, not even on trial.

Exit codes: 0 nothing is wrong, though there may be warnings; 1 something is.`,
		Example: a.example(`
%[1]s validate -f policy.yaml
%[1]s validate -f policies/ -f networks/
%[1]s validate -f policy.yaml --cluster
cat *.yaml | %[1]s validate -f -`),
		Args: cobra.NoArgs,
	}
	a.fileFlags(cmd)
	a.nodeFlags(cmd)
	a.orCluster(cmd, "node")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if a.remote() {
			return a.validateCluster(cmd.Context())
		}
		in, err := a.load()
		if err != nil {
			return err
		}
		facts := a.facts(in, cmd.Flags().Changed("namespace"))
		for _, o := range in.set.Objects {
			a.judge(in, o, nil, facts)
		}
		return in.verdict()
	}
	return cmd
}

// validateCluster holds the files against the cluster.
func (a *app) validateCluster(ctx context.Context) error {
	in, err := a.load()
	if err != nil {
		return err
	}
	_, o, err := a.ask(ctx, "", true)
	if err != nil {
		return err
	}
	after, _, err := a.overlay(in, &o, nil)
	if err != nil {
		return err
	}
	rules := fleet.New(after, a.rules(&o).Claims)
	facts := a.clusterFacts(&o, after, rules)
	for _, object := range in.set.Objects {
		placed(object.Value, a.global.namespace)
		a.judge(in, object, o.Config, facts)
		if p, ok := object.Value.(*sriovv1.SriovNetworkNodePolicy); ok && len(nodestate.Check(p)) == 0 {
			nodes, pfs := rules.Reach(a.members(&o), p)
			a.note("policy %s matches %d nodes and %d of their PFs at present", p.Name, nodes, pfs)
		}
	}
	return in.verdict()
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

// judge prints what is wrong with one object. before are the operator's settings at
// present; nil when they are not known.
func (a *app) judge(in *input, o manifest.Object, before *sriovv1.SriovOperatorConfig, f validate.Facts) {
	problems := problemsOf(o.Value, before, f)
	a.refuse(in, o, problems)
	for _, p := range problems {
		if p.Severity == validate.Warning {
			a.warn("%v", o.Problem(p.Field, p.Cause, p.Fix))
		}
	}
	if o.Name == "" {
		a.complain("%v", o.Problem("metadata.name", "is missing", "name the object"))
		in.bad++
	}
}

// refuse prints the errors among an object's problems, and reports whether there are any.
func (a *app) refuse(in *input, o manifest.Object, problems []validate.Problem) bool {
	refused := false
	for _, p := range problems {
		if p.Severity == validate.Error {
			a.complain("%v", o.Problem(p.Field, p.Cause, p.Fix))
			in.bad++
			refused = true
		}
	}
	return refused
}

func problemsOf(o runtime.Object, before *sriovv1.SriovOperatorConfig, f validate.Facts) []validate.Problem {
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
		return validate.OperatorConfig(v, before, f)
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

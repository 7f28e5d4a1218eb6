// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kubeovn/sriov-network-operator/internal/cli/cluster"
	"github.com/kubeovn/sriov-network-operator/internal/fleet"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
	"github.com/kubeovn/sriov-network-operator/internal/show"
)

func (a *app) statusCommand() *cobra.Command {
	watch := false
	cmd := &cobra.Command{
		Use:   "status [NODE]",
		Short: "Say how far the nodes and policies of a cluster are, and what is missing",
		Long: `Say how far the nodes and policies of a cluster are, what is being done, and why
what is missing is missing, with what to do about it. Nothing is changed.

A node is synced when it is as desired; pending while it is changed, waits for its
turn, or has not reported; failed when it will not become as desired by itself. So
is a policy, with all the nodes that it selects. Nodes of which the same is to be
said share a line; -o wide has a line for each. With the name of a node, all there
is to say of that node; then the exit code is about it alone.

With --watch it goes on: a line for each node and policy whose state changes, until
nothing is pending any more.

Exit codes: 0 all is synced; 2 something is pending, and nothing has failed; 1
something has failed, or an error.`,
		Example: a.example(`
%[1]s status
%[1]s status node1 -o wide
%[1]s status --watch && echo "all nodes are as desired"
%[1]s status -o json | jq -r '.nodes[] | select(.standing != "synced") | .name'`),
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.complete(nodeNames),
	}
	a.clusterFlags(cmd)
	a.namespaceFlag(cmd)
	a.outputFlag(cmd, asTable, asWide, asJSON, asYAML)
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "go on until nothing is pending any more")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if watch {
			return a.watch(cmd.Context(), args)
		}
		_, o, s, err := a.survey(cmd.Context(), args)
		if err != nil {
			return err
		}
		if err := a.printSurvey(&o, s, args); err != nil {
			return err
		}
		return verdictOf(about(s, args))
	}
	return cmd
}

// survey asks the cluster and surveys it: all of it, or what is about one node.
func (a *app) survey(ctx context.Context, nodes []string) (theCluster, cluster.Objects, fleet.Survey, error) {
	only := ""
	if len(nodes) > 0 {
		only = nodes[0]
	}
	c, o, err := a.ask(ctx, only, false)
	if err != nil {
		return nil, o, fleet.Survey{}, err
	}
	rules := a.rules(&o)
	s := rules.Look(a.members(&o), o.Policies)
	if only == "" {
		return c, o, s, nil
	}
	if err := known(&o, nodes); err != nil {
		return nil, o, s, err
	}
	i := slices.IndexFunc(s.Nodes, func(n fleet.NodeReport) bool { return n.Name == only })
	if i < 0 {
		return nil, o, s, notListed(rules, &o, only)
	}
	s.Nodes = s.Nodes[i : i+1]
	s.Policies, err = onNode(rules, &o, s.Policies, only)
	return c, o, s, err
}

// notListed is the error about a node that the operator does not look after.
func notListed(rules *fleet.Rules, o *cluster.Objects, name string) error {
	node, _ := o.Node(name)
	for _, key := range sortedKeys(rules.NodeSelector) {
		if value := rules.NodeSelector[key]; node.Labels[key] != value {
			return fmt.Errorf("node %s: the operator does not look after it: it wants the label %s=%s; set the label, or configDaemonNodeSelector of the SriovOperatorConfig", name, key, value)
		}
	}
	return fmt.Errorf("node %s: the operator does not look after it", name)
}

// onNode are the policies that select a node.
func onNode(rules *fleet.Rules, o *cluster.Objects, all []fleet.PolicyReport, name string) ([]fleet.PolicyReport, error) {
	state := o.State(name)
	if state == nil {
		return nil, nil
	}
	node, found := o.Node(name)
	if !found {
		node = nodestate.Node{Name: name, LabelsUnknown: true}
	}
	r, err := rules.Render(node, state)
	if err != nil {
		return nil, err
	}
	var out []fleet.PolicyReport
	for _, p := range all {
		selects := func(t nodestate.PolicyTrace) bool {
			return t.Policy == p.Name && t.Source == nodestate.FromObject && t.Reason != reason.NodeNotSelected && t.Reason != reason.NodeNotListed
		}
		if slices.ContainsFunc(r.Trace.Policies, selects) {
			out = append(out, p)
		}
	}
	return out, nil
}

func (a *app) printSurvey(o *cluster.Objects, s fleet.Survey, nodes []string) error {
	wide := a.global.output == asWide
	switch {
	case a.global.output == asJSON || a.global.output == asYAML:
		return a.object(s)
	case len(nodes) > 0 && wide:
		return a.print(show.NodeReport(s.Nodes[0], o.State(nodes[0]), show.NodeStateWide) + show.Policies(s))
	case len(nodes) > 0:
		return a.print(show.NodeReport(s.Nodes[0], o.State(nodes[0]), show.NodeState) + show.Policies(s))
	case wide:
		return a.print(show.SurveyWide(s))
	}
	return a.print(show.Survey(s))
}

// about is what decides: with the name of a node, that node alone.
func about(s fleet.Survey, nodes []string) fleet.Survey {
	if len(nodes) > 0 {
		s.Policies = nil
	}
	return s
}

// verdictOf is what the exit code is made of.
func verdictOf(s fleet.Survey) error {
	switch s.Standing() {
	case fleet.Failed:
		return errSaid
	case fleet.Pending:
		return errChanges
	case fleet.Synced:
	}
	return nil
}

// watch prints the survey, and then what changes, until nothing is pending or the user
// has seen enough; the verdict is about what was seen last.
func (a *app) watch(ctx context.Context, nodes []string) error {
	if a.global.output != asTable && a.global.output != asWide {
		return errors.New("status --watch prints for people; leave out -o, or ask again and again")
	}
	if len(a.global.cluster.snapshot) > 0 {
		return errors.New("status --watch: files do not change by themselves; leave out --snapshot")
	}
	c, o, s, err := a.survey(ctx, nodes)
	if err != nil {
		return err
	}
	if err := a.printSurvey(&o, s, nodes); err != nil {
		return err
	}
	live, ok := c.(*cluster.Live)
	for ok && about(s, nodes).Moving() {
		if s, err = a.next(ctx, live, s, nodes); err != nil && ctx.Err() == nil {
			return err
		}
		ok = ctx.Err() == nil
	}
	return verdictOf(about(s, nodes))
}

// next waits until the survey is another one, and prints what has changed.
func (a *app) next(ctx context.Context, live *cluster.Live, was fleet.Survey, nodes []string) (fleet.Survey, error) {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	// One is enough to look again, however many have come meanwhile.
	changed := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- live.Watch(watching, func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
	}()
	for {
		select {
		case <-ctx.Done():
			return was, ctx.Err()
		case err := <-ended:
			return was, err // and the caller watches again
		case <-changed:
		}
		_, _, is, err := a.survey(ctx, nodes)
		if err != nil {
			return was, err
		}
		if err := a.print(show.Changed(was, is)); err != nil {
			return was, err
		}
		if was = is; !about(is, nodes).Moving() {
			return is, nil
		}
	}
}

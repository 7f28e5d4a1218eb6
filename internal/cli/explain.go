// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/kubeovn/sriov-network-operator/internal/claims"
	"github.com/kubeovn/sriov-network-operator/internal/cli/cluster"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
	"github.com/kubeovn/sriov-network-operator/internal/show"
	"github.com/kubeovn/sriov-network-operator/internal/wire"
)

func (a *app) explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain NODE[/PF]",
		Short: "Say who won each PF, VF group and field of a node, who lost, and why",
		Long: `Say who won each PF, VF group and field of a node, who lost, and why: policies, and
entries of sriov-configmap. It is computed by the code that the operator renders
node states with, from what the cluster has now. Nothing is changed.

A PF is named by its netdev, an alternative name, or its PCI address.

Exit codes: 0 explained; 1 an error.`,
		Example: a.example(`
%[1]s explain node1
%[1]s explain node1/ens1f0
%[1]s explain node1/0000:d8:00.0 -o json`),
		Args:              a.oneNode,
		ValidArgsFunction: a.complete(nodesAndPFs),
	}
	a.clusterFlags(cmd)
	a.namespaceFlag(cmd)
	a.outputFlag(cmd, asText, asJSON, asYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, pf, _ := strings.Cut(args[0], "/")
		_, o, err := a.ask(cmd.Context(), name, true)
		if err != nil {
			return err
		}
		e, err := a.explanation(&o, name, pf)
		if err != nil {
			return err
		}
		if a.global.output != asText {
			return a.object(e)
		}
		return a.print(show.Explanation(e))
	}
	return cmd
}

// explanation is why a node is to be what it is to be. With the name of a PF, of that PF
// alone.
func (a *app) explanation(o *cluster.Objects, name, pf string) (show.Why, error) {
	if err := known(o, []string{name}); err != nil {
		return show.Why{}, err
	}
	rules := a.rules(o)
	node, _ := o.Node(name)
	if !rules.Lists(node.Labels) {
		return show.Why{}, notListed(rules, o, name)
	}
	state := o.State(name)
	if state == nil {
		return show.Why{}, fmt.Errorf("node %s: there is no node state of it, so what it has is not known; see whether the operator runs", name)
	}
	r, err := rules.Render(node, state)
	if err != nil {
		return show.Why{}, err
	}
	claim := rules.Claims.Of(name)
	e := show.Why{Node: name, Trace: r.Trace, Kept: r.Kept, Claim: show.Claim{Key: claim.Key, ConfigMap: claim.ConfigMap}}
	if claim.Standing != claims.Unclaimed {
		e.Claim.Standing = claim.Standing.String()
	}
	if r.PoolErr != nil {
		a.note("the node keeps its rdmaMode: %v", r.PoolErr)
	}
	if !equality.Semantic.DeepEqual(r.Spec, state.Spec) {
		a.note("the node state does not have this yet: the operator has still to write it")
	}
	if pf == "" {
		return e, nil
	}
	err = only(&e, wire.Inventory(state.Status), pf)
	return e, err
}

// oneNode wants the name of a node, or of one of its PFs.
func (a *app) oneNode(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("explain takes one NODE or NODE/PF, and got %d arguments; for example: %s explain node1/ens1f0", len(args), a.Name)
	}
	return nil
}

// only leaves one PF in an explanation.
func only(e *show.Why, inv hw.Inventory, name string) error {
	found, err := findPF(inv, name)
	if err != nil {
		return fmt.Errorf("node %s: %w", e.Node, err)
	}
	e.PF = show.Port(found.Addr, found.Netdev)
	e.Trace.PFs = slices.DeleteFunc(e.Trace.PFs, func(t nodestate.PFTrace) bool { return t.PF != found.Addr })
	return nil
}

// findPF finds a PF by its address or one of its names.
func findPF(inv hw.Inventory, name string) (hw.PF, error) {
	addr, err := hw.ParsePCIAddr(name)
	var words []string
	for _, pf := range inv.PFs {
		if pf.Named(name) || err == nil && pf.Addr == addr {
			return pf, nil
		}
		words = append(words, pf.AltNames...)
		words = append(words, pf.Addr.String())
		if pf.Netdev != "" {
			words = append(words, pf.Netdev)
		}
	}
	return hw.PF{}, unknown("there is no PF "+name, name, words)
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/claims"
	"github.com/kubeovn/sriov-network-operator/internal/cli/cluster"
	"github.com/kubeovn/sriov-network-operator/internal/fleet"
	"github.com/kubeovn/sriov-network-operator/internal/nearest"
)

// clusterFlags choose a cluster.
type clusterFlags struct {
	// chosen says that a cluster is meant, and not a machine.
	chosen     bool
	context    string
	kubeconfig string
	snapshot   []string
}

// theCluster is a cluster that was chosen.
type theCluster interface {
	Objects(ctx context.Context, only string) (cluster.Objects, error)
	Pods(ctx context.Context, nodes []string) ([]corev1.Pod, error)
}

// clusterFlags are for commands that ask a cluster.
func (a *app) clusterFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	c := &a.global.cluster
	f.StringVar(&c.context, "context", "", "the context of the kubeconfig that names the cluster; without it, the current one")
	f.StringVar(&c.kubeconfig, "kubeconfig", "", "the kubeconfig; without it, that of KUBECONFIG, or ~/.kube/config")
	f.StringArrayVar(&c.snapshot, "snapshot", nil, "a file with the objects of a cluster, as kubectl get -o yaml prints them, instead of a cluster; may be given several times")
	for _, other := range []string{"context", "kubeconfig"} {
		cmd.MarkFlagsMutuallyExclusive("snapshot", other)
	}
	for _, name := range []string{"kubeconfig", "snapshot"} {
		if err := cmd.MarkFlagFilename(name, "yaml", "yml", "json", "conf", "config"); err != nil {
			panic(err) // the flags were defined above
		}
	}
}

// namespaceFlag is for commands without a machine.
func (a *app) namespaceFlag(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&a.global.namespace, "namespace", "n", sriovv1.DefaultNamespace, "the operator's namespace")
}

// orCluster lets a command that works without a cluster ask one, too. what are its flags
// that mean something else than a cluster.
func (a *app) orCluster(cmd *cobra.Command, what ...string) {
	a.clusterFlags(cmd)
	cmd.Flags().BoolVar(&a.global.cluster.chosen, "cluster", false, "ask the cluster; --context, --kubeconfig and --snapshot say so, too")
	for _, flag := range []string{"cluster", "context", "kubeconfig", "snapshot"} {
		for _, other := range what {
			cmd.MarkFlagsMutuallyExclusive(flag, other)
		}
	}
}

// remote reports whether a cluster was chosen.
func (a *app) remote() bool {
	c := a.global.cluster
	return c.chosen || c.context != "" || c.kubeconfig != "" || len(c.snapshot) > 0
}

// connect finds the cluster. It asks it nothing yet.
func (a *app) connect() (theCluster, error) {
	c := a.global.cluster
	if len(c.snapshot) > 0 {
		// A shell that completes words parses the flags twice.
		return cluster.Open(slices.Compact(slices.Sorted(slices.Values(c.snapshot))), a.global.namespace)
	}
	if a.Connect == nil {
		return nil, errors.New("this command cannot ask a cluster here; name files with --snapshot")
	}
	config, err := a.Connect(c.kubeconfig, c.context)
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w; name a kubeconfig with --kubeconfig, or files with --snapshot", err)
	}
	return cluster.Connect(config, a.global.namespace)
}

// ask reads the cluster. With only, of the node states that of this node alone. It is an
// error when the nodes may not be read and are needed.
func (a *app) ask(ctx context.Context, only string, needsNodes bool) (theCluster, cluster.Objects, error) {
	c, err := a.connect()
	if err != nil {
		return nil, cluster.Objects{}, err
	}
	o, err := c.Objects(ctx, only)
	switch {
	case err != nil:
		return nil, o, err
	case needsNodes && o.Withheld != nil:
		return nil, o, o.Withheld
	case o.Withheld != nil:
		a.note("the nodes could not be read, so those without a node state are missing: %v", o.Withheld)
	}
	if o.Config == nil && len(o.States) == 0 && only == "" {
		a.note("namespace %s has neither a SriovOperatorConfig named %s nor a node state; name the operator's namespace with -n", a.global.namespace, sriovv1.DefaultConfigName)
	}
	return c, o, nil
}

// rules are those of the cluster as it is. What is wrong in its ConfigMaps is noted.
func (a *app) rules(o *cluster.Objects) *fleet.Rules {
	r := fleet.New(o.Objects, claims.Claims{})
	for _, c := range r.Complaints {
		a.note("%s", c.Text)
	}
	return r
}

// members are the nodes of a cluster. Files without a policy may be node states alone.
func (a *app) members(o *cluster.Objects) fleet.Members {
	whole := len(a.global.cluster.snapshot) == 0 || len(o.Policies) > 0
	return fleet.Members{Nodes: o.Nodes, Unknown: o.Withheld != nil, States: o.States, Whole: whole}
}

// known refuses the names of nodes that the cluster does not have.
func known(o *cluster.Objects, nodes []string) error {
	names := o.Names()
	for _, n := range nodes {
		if !slices.Contains(names, n) {
			return unknown("node "+n+": the cluster has no such node", n, names)
		}
	}
	return nil
}

// unknown is the error about a word that is none of those that exist.
func unknown(text, word string, words []string) error {
	if hint := nearest.DidYouMean(word, words); hint != "" {
		text += "; " + hint
	}
	return errors.New(text)
}

// patience is how long a shell waits for words.
const patience = 3 * time.Second

// complete offers words of the cluster; none when it cannot be asked soon.
func (a *app) complete(words func(o *cluster.Objects, typed string) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), patience)
		defer cancel()
		c, err := a.connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		only, _, ofNode := strings.Cut(typed, "/")
		if !ofNode {
			only = ""
		}
		o, err := c.Objects(ctx, only)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		out := slices.DeleteFunc(words(&o, typed), func(w string) bool { return !strings.HasPrefix(w, typed) })
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

func nodeNames(o *cluster.Objects, _ string) []string { return o.Names() }

func policyNames(o *cluster.Objects, _ string) []string {
	var out []string
	for i := range o.Policies {
		out = append(out, o.Policies[i].Name)
	}
	return out
}

// nodesAndPFs are nodes, and after a slash the PFs of one.
func nodesAndPFs(o *cluster.Objects, typed string) []string {
	node, _, ofNode := strings.Cut(typed, "/")
	state := o.State(node)
	if !ofNode || state == nil {
		return o.Names()
	}
	var out []string
	for i := range state.Status.Interfaces {
		pf := &state.Status.Interfaces[i]
		for _, name := range append([]string{pf.Name}, pf.AltNames...) {
			if name != "" {
				out = append(out, node+"/"+name)
			}
		}
		out = append(out, node+"/"+pf.PciAddress)
	}
	return out
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/spf13/cobra"

	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/cli/manifest"
	"github.com/kubeovn/sriov-network-operator/internal/converge"
	"github.com/kubeovn/sriov-network-operator/internal/ledger"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
	"github.com/kubeovn/sriov-network-operator/internal/show"
)

// planAbout is what plan says of itself.
const planAbout = `Show what policies would change on a machine or in a cluster, whom it disturbs,
and why. Nothing is changed.

Each step says whom it disturbs: none; link, the PF's own traffic may pause;
pods, with the VFs that whoever holds them loses. PFs are independent of each
other, and their steps run side by side, beside those of the node.

With -o script the plan is a script for the POSIX shell that does the same.

Without a flag the machine is this one, and the files are all that is asked of it.
With --cluster, --context or --kubeconfig, the files are laid over the objects of a
cluster, and it is shown what that would do to each of its nodes, or to those that
are named: nothing, steps that nobody notices, a pause of a PF's own traffic, VFs
taken from pods, with the pods that hold them, a drain, a reboot. Nodes to which the
same would happen share their steps. --delete leaves a policy of the cluster out.

Of a node it is known what its SriovNetworkNodeState tells. Where that leaves open
what matters, it is said. Kernel modules, udev rules and addresses are the node's own
matter and are not shown.

Exit codes: 0 a plan was made; 1 an error, or something that was asked for cannot
be done. With --detailed-exitcode: 0 nothing to do; 2 there are steps; 1 as before.`

func (a *app) planCommand() *cobra.Command {
	detailed := false
	var deleted []string
	cmd := &cobra.Command{
		Use:   "plan -f FILE [flags] [NODE]...",
		Short: "Show what policies would change on a machine or in a cluster, whom it disturbs, and why",
		Long:  planAbout,
		Example: a.example(`
%[1]s plan -f policy.yaml
%[1]s plan -f policies/ --node node1.yaml --machine node1.tar
%[1]s plan -f policy.yaml -o json | jq .disturbs
%[1]s plan -f policy.yaml -o script > change.sh
%[1]s plan -f policy.yaml --cluster
%[1]s plan --delete old --context prod node1 node2`),
		Args:              a.nodesOfCluster,
		ValidArgsFunction: a.complete(nodeNames),
	}
	a.filesFlag(cmd)
	cmd.Flags().StringArrayVar(&deleted, "delete", nil, "the name of a policy of the cluster that would be deleted; may be given several times")
	if err := cmd.RegisterFlagCompletionFunc("delete", a.complete(policyNames)); err != nil {
		panic(err) // the flag was defined above
	}
	a.nodeFlags(cmd)
	a.machineFlags(cmd)
	a.outputFlag(cmd, asText, asJSON, asScript)
	a.orCluster(cmd, "machine", "root", "node")
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with 2 when the plan has steps")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case len(a.global.files) == 0 && len(deleted) == 0:
			return errors.New(`required flag(s) "filename" not set`)
		case a.remote():
			return a.planNodes(cmd.Context(), deleted, args, detailed)
		case len(deleted) > 0:
			return errors.New("plan --delete is about a policy of a cluster; choose one with --cluster")
		}
		in, m, err := a.prepare(cmd.Context())
		if err != nil {
			return err
		}
		_, out, err := a.foresee(in, m)
		if err != nil {
			return err
		}
		if in.bad > 0 && out.Plan.Empty() && a.global.output == asText {
			a.note("no plan: what could be read of the files asks for nothing")
		} else if err := a.printPlan(out.Plan); err != nil {
			return err
		}
		switch {
		case in.bad > 0 || len(out.Plan.Blocked) > 0:
			return errSaid
		case detailed && !out.Plan.Empty():
			return errChanges
		}
		return nil
	}
	return cmd
}

// nodesOfCluster lets the names of nodes pass where a cluster is asked.
func (a *app) nodesOfCluster(cmd *cobra.Command, args []string) error {
	if a.remote() {
		return nil
	}
	if err := cobra.NoArgs(cmd, args); err != nil {
		return fmt.Errorf("%w; the names of nodes go with --cluster", err)
	}
	return nil
}

// prepare opens the machine and reads the files. It looks at the machine beside
// that, unless the files may take as long as a person types.
func (a *app) prepare(ctx context.Context) (*input, machine, error) {
	m, closed := a.open()
	if closed == nil {
		m.look = sync.OnceValues(func() (converge.Observation, error) { return converge.Look(ctx, m.reader, catalog.Default()) })
		if !slices.Contains(a.global.files, manifest.Stdin) {
			go m.look() //nolint:errcheck // foresee asks for both again
		}
	}
	in, err := a.load()
	if err := cmp.Or(err, closed); err != nil {
		return nil, machine{}, err
	}
	in.node.Name = cmp.Or(in.node.Name, m.name)
	return in, m, nil
}

// foresee says what would happen to a machine that was prepared, and prints what
// there is to say about the policies.
func (a *app) foresee(in *input, m machine) (converge.Wish, converge.Outlook, error) {
	seen, err := m.look()
	if err != nil {
		return converge.Wish{}, converge.Outlook{}, err
	}
	wish := a.wish(in)
	out := converge.Foresee(wish, seen, in.nics)
	a.report(in, out.Trace)
	for _, p := range seen.Inventory.Problems {
		a.note("could not be read: %s", p)
	}
	for _, addr := range out.Spared {
		a.note("%s was configured before and is left alone, because what asks for it may be what could not be read or was refused", addr)
	}
	return wish, out, nil
}

func (a *app) printPlan(p plan.Plan) error {
	if a.global.output == asText {
		return a.print(show.Plan(p))
	}
	if a.global.output == asScript {
		text, err := show.Script(p, ledger.Dir)
		if err != nil {
			return err
		}
		return a.print(text)
	}
	text, err := show.PlanJSON(p)
	if err != nil {
		return err
	}
	return a.print(string(text))
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/cli/manifest"
	"github.com/kubeovn/sriov-network-operator/internal/converge"
	"github.com/kubeovn/sriov-network-operator/internal/execute"
	"github.com/kubeovn/sriov-network-operator/internal/show"
)

// stepTimeout is how long one step may take unless the flag says otherwise: an
// mlx5 NIC takes half a second for each of up to hundreds of VFs.
const stepTimeout = 5 * time.Minute

type applyFlags struct {
	yes     bool
	timeout time.Duration
}

func (a *app) applyCommand() *cobra.Command {
	var f applyFlags
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Show the plan, ask, and carry it out",
		Long: `Show the plan, ask, and carry it out. A second apply has nothing to do.

A plan that has begun goes on when the terminal is lost, as by a connection that
runs over the very NIC.

The machine is looked at again after the answer; if it has changed meanwhile, the
new plan is shown and the question is asked again. A step that fails stops its PF
and no other. An interrupt stops each PF at its next step; the same command goes
on from there.

A PF that was configured and that no policy in the files asks for any more is
given back. Others that nobody asks for are never touched.

On a described machine the plan is carried out on a simulation of it.

With -o yaml or json the resulting SriovNetworkNodeState is printed to standard
output, and all else to standard error.

Exit codes: 0 the machine is as desired; 1 it is not, and the text says why.`,
		Example: a.example(`
sudo %[1]s apply -f policy.yaml
sudo %[1]s apply -f policies/ --yes -o yaml
%[1]s apply -f policy.yaml --machine machine.yaml --yes`),
		Args: cobra.NoArgs,
	}
	a.fileFlags(cmd)
	a.nodeFlags(cmd)
	a.machineFlags(cmd)
	a.outputFlag(cmd, asText, asYAML, asJSON)
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	cmd.Flags().DurationVar(&f.timeout, "step-timeout", stepTimeout, "the longest that one step may take")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.apply(cmd.Context(), f) }
	return cmd
}

func (a *app) apply(ctx context.Context, f applyFlags) error {
	if err := a.mayAsk(f); err != nil {
		return err
	}
	in, m, err := a.prepare(ctx)
	if err != nil {
		return err
	}
	switch m.kind {
	case capturedMachine:
		return fmt.Errorf("apply to %s: a captured machine is a record and cannot be changed; use plan, or run apply on the machine itself", a.global.machine)
	case describedMachine:
		a.note("%s is described: this runs on a simulation of it", a.global.machine)
	case thisMachine:
	}
	wish, out, err := a.foresee(in, m)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(a.talk(), show.Plan(out.Plan)); err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	if out.Plan.Empty() {
		return a.finish(in, out, nil)
	}
	if !f.yes {
		if out, err = a.confirm(ctx, in, m, wish, out); err != nil {
			return err
		}
	}
	failure := a.carryOut(ctx, m, out, f)
	if a.global.output != asText {
		a.settle(ctx, m)
	}
	// What became of it is told even after an interrupt.
	after, err := converge.Look(context.WithoutCancel(ctx), m.reader, in.nics)
	if err != nil {
		return errors.Join(failure, fmt.Errorf("look at the machine afterwards: %w", err))
	}
	return a.finish(in, converge.Foresee(wish, after, in.nics), failure)
}

// settleTimeout bounds the wait for names in what is printed.
const settleTimeout = 30 * time.Second

// settle waits until udev has named the new netdevs, so that what is printed holds
// names that last.
func (a *app) settle(ctx context.Context, m machine) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	if err := m.host.Udev.Settle(ctx); err != nil {
		a.note("names of netdevs may still change: %v", err)
	}
}

// mayAsk refuses early when nobody could answer.
func (a *app) mayAsk(f applyFlags) error {
	switch {
	case f.yes:
		return nil
	case slices.Contains(a.global.files, manifest.Stdin):
		return errors.New("apply: standard input holds the files, so it cannot hold the answer; say --yes, or name files")
	case !a.Terminal.In:
		return errors.New("apply: there is no terminal to ask on; say --yes to go ahead without a question")
	}
	return nil
}

// talk is where people read: standard output, unless an object is printed there.
func (a *app) talk() io.Writer {
	if a.global.output == asText {
		return a.Out
	}
	return a.Err
}

// errDeclined is the answer no.
var errDeclined = errors.New("apply: nothing was changed")

// confirm asks, and looks again after the answer, until what was shown is what
// would be done.
func (a *app) confirm(ctx context.Context, in *input, m machine, wish converge.Wish, shown converge.Outlook) (converge.Outlook, error) {
	lines := readLines(a.In)
	for {
		say(a.Err, "\nApply this plan? [y/N] ")
		select {
		case <-ctx.Done():
			say(a.Err, "\n")
			return shown, errDeclined
		case answer := <-lines:
			if !slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer))) {
				return shown, errDeclined
			}
		}
		seen, err := converge.Look(ctx, m.reader, in.nics)
		if err != nil {
			return shown, err
		}
		now := converge.Foresee(wish, seen, in.nics)
		if now.Plan.SameBasis(shown.Plan) {
			return now, nil
		}
		a.note("the machine has changed since the plan was made; this is the new plan")
		if _, err := io.WriteString(a.talk(), "\n"+show.Plan(now.Plan)); err != nil {
			return shown, fmt.Errorf("write the plan: %w", err)
		}
		shown = now
	}
}

// readLines reads lines as they are typed, so that an interrupt is not waiting
// for one. At the end of the input every line is empty.
func readLines(r io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		s := bufio.NewScanner(r)
		for s.Scan() {
			lines <- s.Text()
		}
	}()
	return lines
}

// carryOut executes the plan and shows how it goes.
func (a *app) carryOut(ctx context.Context, m machine, out converge.Outlook, f applyFlags) error {
	if a.Outlive != nil {
		defer a.Outlive()()
	}
	begin := a.Now()
	p := newProgress(a, out.Plan)
	err := converge.Execute(ctx, m.host, out.Plan, execute.Options{Now: a.Now, StepTimeout: f.timeout, Observe: p.observe})
	p.end()
	say(a.talk(), "\n%s\n", p.summary(a.Now().Sub(begin), ctx.Err()))
	return failures(err)
}

// finish prints what the machine is now and says whether it is as desired.
func (a *app) finish(in *input, out converge.Outlook, failure error) error {
	status, why := converge.Judge(out, failure)
	if a.global.output != asText {
		state := converge.NodeState(in.node.Name, a.global.namespace, out)
		state.Status.SyncStatus, state.Status.LastSyncError = status, why
		if err := a.object(state); err != nil {
			return err
		}
	}
	if status == sriovv1.SyncStatusSucceeded && in.bad == 0 {
		return nil
	}
	if failure != nil || !out.Plan.Empty() {
		a.complain("the machine is not as desired:\n  %s", strings.ReplaceAll(why, "\n", "\n  "))
	}
	return errSaid
}

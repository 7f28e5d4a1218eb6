// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"

	"github.com/kubeovn/sriov-network-operator/internal/host"
)

// Env is all that the command meets of the world, besides files and machines.
type Env struct {
	In       io.Reader
	Out, Err io.Writer
	Now      func() time.Time
	// Name is how the command was called: "kubectl-sriov", or "kubectl sriov".
	Name string
	// Version is what the command says of itself.
	Version string
	// Hostname is the name of this machine.
	Hostname string
	// This opens the machine that the command runs on, whose root directory is root.
	This func(root string) (host.Host, error)
	// Connect finds a cluster by its kubeconfig and context; empty ones are the usual.
	Connect func(kubeconfig, context string) (*rest.Config, error)
	// Terminal says which of In and Err a person sits at.
	Terminal Terminal
	// Outlive makes the process outlive its terminal and who reads what it says,
	// until the function that it returns is called. None is as if nobody could leave.
	Outlive func() func()
}

// Terminal is where a person sits.
type Terminal struct {
	// In says that a person can answer.
	In bool
	// Err says that a person looks on while Err is written.
	Err bool
	// Width is how many characters fit a line of Err; zero when it is not known.
	Width int
}

// The exit codes.
const (
	ExitDone = 0
	// ExitError is for what went wrong, and for what was asked for and cannot be
	// done.
	ExitError = 1
	// ExitChanges is for a plan with steps, if it was asked for, and for a cluster in
	// which something is pending.
	ExitChanges = 2
)

// errSaid is a failure that was printed already.
var errSaid = errors.New("see above")

// errChanges is no failure: a plan has steps, or something is pending.
var errChanges = errors.New("there are changes")

// Run runs the command and returns its exit code. Cancelling ctx stops it at the
// next step.
func Run(ctx context.Context, env Env, args []string) int {
	root := Command(env)
	if args == nil {
		args = []string{} // nil would mean those of the process
	}
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return ExitDone
	case errors.Is(err, errChanges):
		return ExitChanges
	case !errors.Is(err, errSaid):
		say(env.Err, "error: %v\n", err)
	}
	return ExitError
}

// app is the command while it runs.
type app struct {
	Env
	global globalFlags
}

// Command is the command with all below it.
func Command(env Env) *cobra.Command {
	a := &app{Env: env}
	root := &cobra.Command{
		Use:   "kubectl-sriov",
		Short: "Turn SR-IOV policies into virtual functions, and see beforehand what that takes",
		Long: `Turn SR-IOV policies into virtual functions, and see beforehand what that takes.

It reads SriovNetworkNodePolicy objects from files, looks at a machine, shows a
plan, and carries it out. No cluster is needed. Installed on the PATH it is also
"kubectl sriov".

Of a cluster it says how far its nodes are (status), who won what on a node
(explain), and what a change would do to all nodes before it is made (plan
--cluster). In a cluster it changes nothing, ever: what is to change is applied with
kubectl.

Exit codes: 0 done or nothing to do; 1 an error, or something that was asked for
cannot be done; 2 the plan has steps, with plan --detailed-exitcode, or something is
still pending, with status.`,
		Example: a.example(`
# What NICs does this machine have?
%[1]s discover
# What would a policy change, and whom would it disturb?
%[1]s plan -f policy.yaml
# Change it.
sudo %[1]s apply -f policy.yaml
# The same on a described machine, where nothing can break.
%[1]s apply -f policy.yaml --machine machine.yaml --yes
# How far are the nodes of the cluster, and what is missing?
%[1]s status
# What would a policy do to the nodes of the cluster?
%[1]s plan -f policy.yaml --cluster`),
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: a.Name},
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(env.In)
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
	})
	root.AddCommand(
		a.discoverCommand(), a.captureCommand(), a.validateCommand(), a.renderCommand(),
		a.planCommand(), a.applyCommand(), a.statusCommand(), a.explainCommand(), a.versionCommand(),
	)
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if !cmd.Runnable() {
			// Else a shell that is not known is no mistake.
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
	return root
}

// say writes for people. A failure to do so is nobody's to hear: what an exit
// code depends on is written by print and object.
func say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}

// note prints what is worth a word and keeps nothing from being done.
func (a *app) note(format string, args ...any) {
	say(a.Err, "note: "+format+"\n", args...)
}

// warn prints what may surprise.
func (a *app) warn(format string, args ...any) {
	say(a.Err, "warning: "+format+"\n", args...)
}

// complain prints what is wrong.
func (a *app) complain(format string, args ...any) {
	say(a.Err, "error: "+format+"\n", args...)
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(a.Out, a.Version)
			return err
		},
	}
}

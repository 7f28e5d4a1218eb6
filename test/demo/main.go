// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Command demo shows the whole of it: a real Kubernetes control plane, the operator, and a daemon on each of three
// simulated machines. A policy is planned, applied, and rolled out while one looks on.
//
//	demo [-keep=false] POLICY
//
// It runs the programs in bin/, so build those first; hack/demo.sh does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/kubeovn/sriov-network-operator/test/kube"
)

// rollout is how long the demonstration may take, without what has to be built first.
const rollout = 5 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	keep := flag.Bool("keep", term.IsTerminal(int(os.Stdout.Fd())), "stay until Ctrl-C, to play with")
	flag.Parse()
	err := run(ctx, flag.Args(), *keep)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, keep bool) (err error) {
	if len(args) != 1 {
		return errors.New("one policy is needed: demo POLICY")
	}
	b, err := kube.FromCache()
	if err != nil {
		return err
	}
	if _, err := b.Build(ctx); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "sriov-demo-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	begin := time.Now()
	fmt.Println("starting a control plane, the operator, and the daemons of three simulated machines")
	s, err := newStage(ctx, b, folders{root: ".", bin: "bin", logs: work})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	fmt.Printf("all of it runs after %.1f s\n", time.Since(begin).Seconds())
	if err := s.play(ctx, os.Stdout, args[0]); err != nil {
		return err
	}
	fmt.Printf("\nThat took %.1f s, the control plane's start included.\n", time.Since(begin).Seconds())
	if keep {
		s.linger(ctx)
	}
	return nil
}

// play is what there is to see.
func (s *stage) play(ctx context.Context, out io.Writer, policy string) error {
	ctx, cancel := context.WithTimeout(ctx, rollout)
	defer cancel()
	for _, act := range []struct {
		title string
		words []string
	}{
		{title: "The nodes", words: []string{"kubectl", "get", "nodes"}},
		{title: "What the operator found on one of them", words: []string{"kubectl", "sriov", "status", "node1"}},
		{title: "The policy", words: []string{"cat", policy}},
		{title: "What it would change, whom it would disturb, and why", words: []string{"kubectl", "sriov", "plan", "-f", policy, "--cluster"}},
		{title: "It is applied", words: []string{"kubectl", "apply", "-f", policy}},
		{title: "And rolled out", words: []string{"kubectl", "sriov", "status", "--watch"}},
		{title: "What became of the policy", words: []string{"kubectl", "get", "snsp", "-n", "kube-system"}},
		{title: "Who decided what on one port", words: []string{"kubectl", "sriov", "explain", "node1/ens41f0np0"}},
		{title: "The node state of one node", words: []string{"kubectl", "get", "sns", "-n", "kube-system", "node1", "-o", "yaml"}},
	} {
		if _, err := fmt.Fprintf(out, "\n== %s\n$ %s\n\n", act.title, strings.Join(act.words, " ")); err != nil {
			return fmt.Errorf("print: %w", err)
		}
		if err := s.say(ctx, out, act.words); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(act.words, " "), err)
		}
	}
	return nil
}

// say runs a command as a user of the cluster would.
func (s *stage) say(ctx context.Context, out io.Writer, words []string) error {
	cmd := exec.CommandContext(ctx, s.find(words[0]), words[1:]...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.cluster.Kubeconfig(), "PATH="+s.path())
	cmd.Stdout, cmd.Stderr = out, out
	return cmd.Run()
}

// find is the path of a program: kubectl is the control plane's own.
func (s *stage) find(program string) string {
	if program == "kubectl" {
		return s.cluster.Program(program)
	}
	return program
}

// path has the plugin that makes "kubectl sriov".
func (s *stage) path() string {
	return strings.Join([]string{s.bin, filepath.Dir(s.cluster.Program("kubectl")), os.Getenv("PATH")}, string(filepath.ListSeparator))
}

// linger keeps the cluster until the context ends.
func (s *stage) linger(ctx context.Context) {
	fmt.Printf(`
The cluster stays until Ctrl-C. In another terminal:

  export KUBECONFIG=%s
  export PATH=%s:%s:$PATH
  kubectl sriov status
  kubectl edit snsp -n kube-system policy
`, s.cluster.Kubeconfig(), s.bin, filepath.Dir(s.cluster.Program("kubectl")))
	<-ctx.Done()
}

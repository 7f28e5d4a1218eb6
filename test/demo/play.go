// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// rollout is how long the demonstration may take, without what has to be built first.
const rollout = 5 * time.Minute

// printer is what the audience sees.
type printer struct {
	out   io.Writer
	color bool
}

// say prints a line. Where nobody listens any more, the demonstration goes on.
func (p printer) say(format string, args ...any) { _, _ = fmt.Fprintf(p.out, format+"\n", args...) }

// bold makes a text stand out, on a terminal.
func (p printer) bold(text string) string {
	if !p.color {
		return text
	}
	return "\x1b[1m" + text + "\x1b[0m"
}

// faint makes a text step back, on a terminal.
func (p printer) faint(text string) string {
	if !p.color {
		return text
	}
	return "\x1b[36m" + text + "\x1b[0m"
}

// play shows every act.
func (s *stage) play(ctx context.Context, p printer) error {
	ctx, cancel := context.WithTimeoutCause(ctx, rollout, fmt.Errorf("it was not over within %v", rollout))
	defer cancel()
	for _, a := range acts(s.cast) {
		command := strings.Join(a.words, " ")
		p.say("\n%s\n%s\n", p.bold("== "+a.title), p.faint("$ "+command))
		if err := s.run(ctx, p.out, a.words); err != nil {
			return fmt.Errorf("%s: %w", command, err)
		}
	}
	return nil
}

// run runs a command as a user of the cluster would.
func (s *stage) run(ctx context.Context, out io.Writer, words []string) error {
	program := words[0]
	if program == "kubectl" {
		program = s.cluster.Program(program)
	}
	cmd := exec.CommandContext(ctx, program, words[1:]...)
	cmd.Dir = s.root
	cmd.Env = os.Environ()
	for _, v := range s.environment() {
		cmd.Env = append(cmd.Env, v.name+"="+v.value)
	}
	cmd.Stdout, cmd.Stderr = out, out
	// The terminal's Ctrl-C is the demonstration's: the command would complain of it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err := cmd.Run()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%w%s", err, s.ailments())
	}
	return nil
}

// ailments are what else has gone wrong, as the cause of an error; empty when nothing has.
func (s *stage) ailments() string {
	if err := s.failures(); err != nil {
		return "\n" + err.Error()
	}
	return ""
}

// variable is one of the environment.
type variable struct{ name, value string }

// environment is what a user of the cluster needs.
func (s *stage) environment() []variable {
	path := []string{s.bin, filepath.Dir(s.cluster.Program("kubectl")), os.Getenv("PATH")}
	return []variable{
		{"KUBECONFIG", s.cluster.Kubeconfig()},
		// Its cache of the kinds would outlive the cluster.
		{"KUBECACHEDIR", filepath.Join(s.cluster.Folder(), "kubectl")},
		{"PATH", strings.Join(path, string(filepath.ListSeparator))},
	}
}

// linger keeps the cluster until the context ends, and says what can be done with it.
func (s *stage) linger(ctx context.Context, p printer) error {
	script, err := s.writeEnvironment()
	if err != nil {
		return err
	}
	p.say("\n%s\n", p.bold("== The cluster stays until Ctrl-C. In another terminal, try:"))
	for _, line := range suggestions(script) {
		p.say("  %s", line)
	}
	p.say("\nThe first line sets KUBECONFIG, and PATH for kubectl. The kubeconfig is\n%s", s.cluster.Kubeconfig())
	select {
	case <-ctx.Done():
		p.say("\nending the cluster")
		return nil
	case err := <-s.broken:
		return err
	}
}

// suggestions are commands for the audience's own shell. The script has the environment.
func suggestions(script string) []string {
	return []string{
		". " + script,
		"kubectl sriov status",
		`kubectl patch snsp policy -n kube-system --type merge -p '{"spec":{"numVfs":2}}'`,
		"kubectl sriov status --watch",
		"kubectl sriov explain node1",
		"kubectl delete snsp policy -n kube-system",
		"kubectl get sns -n kube-system",
	}
}

// writeEnvironment writes a script that sets the environment, and returns its path.
func (s *stage) writeEnvironment() (string, error) {
	path := filepath.Join(s.cluster.Folder(), "env")
	var text strings.Builder
	for _, v := range s.environment() {
		fmt.Fprintf(&text, "export %s='%s'\n", v.name, strings.ReplaceAll(v.value, "'", `'\''`))
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		return "", fmt.Errorf("write down the environment: %w", err)
	}
	return path, nil
}

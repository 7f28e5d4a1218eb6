// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Command demo shows the whole of it: a real Kubernetes control plane, the operator, and a daemon on each of three
// machines. A policy is planned, applied, and rolled out while one looks on.
//
//	demo [-vm] [-keep=false] [-bin FOLDER]
//
// The machines are simulated; with -vm one of them is a virtual machine with a real kernel. It runs the programs in
// FOLDER, bin/ if not said, so build those first: hack/demo.sh does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/kubeovn/sriov-network-operator/test/kube"
)

// interrupted is the exit code of a program that Ctrl-C has ended, as a shell has it.
const interrupted = 130

func main() {
	os.Exit(code())
}

func code() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	terminal := term.IsTerminal(int(os.Stdout.Fd()))
	keep := flag.Bool("keep", terminal, "stay until Ctrl-C, to play with")
	withVM := flag.Bool("vm", false, "let a virtual machine be one of the nodes")
	bin := flag.String("bin", "bin", "where the programs are")
	flag.Parse()
	p := printer{out: os.Stdout, color: terminal && os.Getenv("NO_COLOR") == ""}
	err := run(ctx, p, cast(*withVM), *bin, *keep)
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		// Whatever was under way says in its own words that it was stopped.
		fmt.Fprintln(os.Stderr, "demo: interrupted")
		return interrupted
	}
	fmt.Fprintln(os.Stderr, "demo:", err)
	return 1
}

func run(ctx context.Context, p printer, c []member, bin string, keep bool) (err error) {
	if flag.NArg() > 0 {
		return fmt.Errorf("argument %q is not known; there are only flags", flag.Arg(0))
	}
	b, err := kube.FromCache()
	if err != nil {
		return err
	}
	if err := prepare(ctx, b, c); err != nil {
		return err
	}
	begin := time.Now()
	p.say("starting a control plane, the operator, and the daemons of %s", describe(c))
	s, err := newStage(ctx, b, folders{root: b.Repository, bin: bin}, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	p.say("all of it runs after %.1f s", time.Since(begin).Seconds())
	if err := s.play(ctx, p); err != nil {
		return err
	}
	p.say("\nThat took %.1f s, the control plane's start included.", time.Since(begin).Seconds())
	if keep {
		return s.linger(ctx, p)
	}
	return nil
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Command kubectl-sriov turns SR-IOV policies into virtual functions, with and
// without kubectl, and without a cluster.
package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/kubeovn/sriov-network-operator/internal/cli"
)

// version is set by the linker in releases.
var version string

func main() {
	thrifty()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second interrupt ends the process at once.
	context.AfterFunc(ctx, stop)
	hostname, err := os.Hostname()
	if err != nil {
		hostname = ""
	}
	code := cli.Run(ctx, cli.Env{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Now: time.Now, Name: called(), Version: released(), Hostname: hostname, This: openThis, Connect: connect, Terminal: terminal(),
		Outlive: outlive,
	}, os.Args[1:])
	stop()
	os.Exit(code)
}

// outlive keeps the process from being ended by the loss of its terminal, and by a
// write to a reader that has left: a change of a NIC may cut off the very connection
// that it was asked for over.
func outlive() func() {
	signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE)
	return func() { signal.Reset(syscall.SIGHUP, syscall.SIGPIPE) }
}

// enough is the memory, in bytes, up to which nothing is collected.
const enough = 256 << 20

// thrifty saves the collector's work: a run is short, and collecting would compete
// with udev and the kernel for processors at the very moment when VFs appear.
func thrifty() {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(enough)
}

// called is how the command was called. kubectl replaces itself by its plugins,
// so that only the shell's variable for the last command still tells of it.
func called() string {
	if filepath.Base(os.Getenv("_")) == "kubectl" {
		return "kubectl sriov"
	}
	return "kubectl-sriov"
}

// released is the version of the release, or what Go knows of the build.
func released() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

func terminal() cli.Terminal {
	t := cli.Terminal{In: isTerminal(os.Stdin), Err: isTerminal(os.Stderr)}
	if t.Err {
		if width, _, err := term.GetSize(int(os.Stderr.Fd())); err == nil {
			t.Width = width
		}
	}
	return t
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

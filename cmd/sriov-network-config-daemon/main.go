// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Command sriov-network-config-daemon keeps a node as its node state asks.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"github.com/kubeovn/sriov-network-operator/internal/program"
)

// version is set by the linker in releases.
var version string

func main() {
	os.Exit(program.Run(context.Background(), "sriov-network-config-daemon", os.Stderr, func(ctx context.Context) error {
		return run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	}))
}

const usage = `Usage: sriov-network-config-daemon COMMAND [flags]

  start            keep the node as its node state asks
  wait-for-config  wait, on a pod of the device plugin, until the node is configured
  service          make the machine at boot what it was asked for last
  install          copy this program to the host
  version          print the version

COMMAND -h tells of its flags.
`

// run runs a command.
func run(ctx context.Context, args []string, env func(string) string, out, errs io.Writer) error {
	command := ""
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	switch command {
	case "start":
		return start(ctx, args, env, errs)
	case "wait-for-config":
		return waitForConfig(ctx, args, env, errs)
	case "service":
		return service(ctx, args, errs)
	case "install":
		return install(args, errs)
	case "version":
		_, err := fmt.Fprintln(out, released())
		return err
	case "-h", "--help", "help":
		_, err := io.WriteString(out, usage)
		return err
	}
	_, _ = io.WriteString(errs, usage)
	return fmt.Errorf("%q is no command", command)
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

// newLogger writes JSON, also for the libraries.
func newLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	log := slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
	klog.SetLogger(logr.FromSlogHandler(log.Handler()))
	return log
}

// flags are a command's flags, whose help and errors go to the writer.
func flags(command string, errs io.Writer) *flag.FlagSet {
	set := flag.NewFlagSet("sriov-network-config-daemon "+command, flag.ContinueOnError)
	set.SetOutput(errs)
	return set
}

// parse reads flags; there are no other arguments.
func parse(set *flag.FlagSet, args []string) error {
	if err := set.Parse(args); err != nil {
		return err
	}
	if set.NArg() > 0 {
		return fmt.Errorf("argument %q is not known; there are only flags", set.Arg(0))
	}
	return nil
}

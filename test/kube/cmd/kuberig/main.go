// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Command kuberig builds the Kubernetes that tests run against, and starts one
// to look at.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/kubeovn/sriov-network-operator/test/kube"
)

const usage = `kuberig builds and starts a real Kubernetes control plane for tests.

  kuberig build        build what the cache lacks: 6 to 10 minutes the first time
  kuberig path         print the folder of the programs
  kuberig up [FLAGS]   start a control plane with the operator's CRDs until Ctrl-C
      -nodes N         with controller manager, scheduler, and N simulated nodes

The cache is $SRIOV_CACHE/kube, by default in the user's cache folder.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "kuberig:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("one command is needed\n\n%s", usage)
	}
	if len(args) > 1 && args[0] != "up" {
		return fmt.Errorf("%s takes no arguments\n\n%s", args[0], usage)
	}
	b, err := kube.FromCache()
	if err != nil {
		return err
	}
	switch args[0] {
	case "build":
		_, err := b.Build(ctx)
		return err
	case "path":
		s, err := b.Find()
		if err != nil {
			return err
		}
		_, err = fmt.Println(s.Bin())
		return err
	case "up":
		return up(ctx, args[1:])
	case "help", "-h", "--help":
		_, err := fmt.Print(usage)
		return err
	}
	return fmt.Errorf("no command %q\n\n%s", args[0], usage)
}

// up runs a control plane until it is told to stop.
func up(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	nodes := flags.Int("nodes", 0, "simulated nodes, with controller manager and scheduler")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("up takes flags only\n\n%s", usage)
	}
	b, err := kube.FromCache()
	if err != nil {
		return err
	}
	if _, err := b.Build(ctx); err != nil {
		return err
	}
	opts := []kube.Option{kube.WithNetworkAttachments()}
	if *nodes > 0 {
		opts = append(opts, kube.WithControllerManager(), kube.WithScheduler(), kube.WithKwok(*nodes))
	}
	c, err := kube.Launch(ctx, b, opts...)
	if err != nil {
		return err
	}
	defer func() {
		if closing := c.Close(); err == nil {
			err = closing
		}
	}()
	fmt.Printf("export KUBECONFIG=%s\n%s get crd\nCtrl-C ends it.\n", c.Kubeconfig(), c.Program("kubectl"))
	<-ctx.Done()
	return nil
}

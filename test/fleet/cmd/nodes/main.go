// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Command nodes runs simulated nodes of a cluster until it is told to end, and fails if they saw a promise broken.
//
//	nodes -kubeconfig FILE -namespace NAMESPACE -limit COUNT NODE...
//
// It is how the daemon of another commit is run: the flags are what both have to understand.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubeovn/sriov-network-operator/test/fleet"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "nodes:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	kubeconfig := flag.String("kubeconfig", "", "file that says where the API server is")
	namespace := flag.String("namespace", "", "namespace of the operator and of the pods")
	limit := flag.Int("limit", 1, "how many nodes may be out at a time")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	config.QPS = -1
	laws := fleet.NewLaws(fleet.Terms{Limit: *limit, Turn: time.Minute, Idle: time.Minute, Now: time.Now})
	f, err := fleet.New(config, *namespace, flag.Args(), laws)
	if err != nil {
		return err
	}
	if err := f.Run(ctx, slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
		return err
	}
	if broken := laws.Seen().Breaches; len(broken) > 0 {
		return errors.New("promises were broken:\n" + strings.Join(broken, "\n"))
	}
	return nil
}

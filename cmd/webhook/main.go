// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Command webhook tells the API server which objects of this API can never work, and
// people what their objects mean for others.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubeovn/sriov-network-operator/internal/program"
)

func main() {
	os.Exit(program.Run(context.Background(), "webhook", os.Stderr, func(ctx context.Context) error {
		return start(ctx, os.Args[1:])
	}))
}

// start reads the options and serves until the context ends.
func start(ctx context.Context, args []string) error {
	o, err := readOptions(args, os.Getenv, os.Stderr)
	if err != nil {
		return err
	}
	handler := slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.Level(-o.Verbosity)})
	logger := slog.New(handler)
	log.SetLogger(logr.FromSlogHandler(handler))
	klog.SetLogger(logr.FromSlogHandler(handler))
	logger.InfoContext(ctx, "starting", "options", o)
	api, err := config.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("", strconv.Itoa(o.Port)))
	if err != nil {
		return fmt.Errorf("listen on port %d: %w", o.Port, err)
	}
	return run(ctx, api, listener, o, logger)
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Command vmrig builds the VM rig's images and gives a shell in a fresh machine.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/kubeovn/sriov-network-operator/test/vm/image"
)

const usage = `vmrig builds and starts virtual machines with SR-IOV NICs.

  vmrig build   build what the cache lacks
  vmrig shell [FILE...]
                root's shell in a fresh machine, with copies of the files in
                /root; Ctrl-D ends it and removes the machine. Without a
                terminal it runs the commands that it reads.
  vmrig path    print the cache's folder

The cache is $SRIOV_CACHE/vm, by default in the user's cache folder.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "vmrig:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	cache, err := image.DefaultCache(os.Getenv)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return fmt.Errorf("one command is needed\n\n%s", usage)
	}
	if len(args) > 1 && args[0] != "shell" {
		return fmt.Errorf("%s takes no arguments\n\n%s", args[0], usage)
	}
	b := image.Builder{Cache: cache, Log: os.Stderr}
	switch args[0] {
	case "build":
		return build(ctx, b)
	case "shell":
		return shell(ctx, b, args[1:])
	case "path":
		_, err := fmt.Println(cache)
		return err
	case "help", "-h", "--help":
		_, err := fmt.Print(usage)
		return err
	}
	return fmt.Errorf("no command %q\n\n%s", args[0], usage)
}

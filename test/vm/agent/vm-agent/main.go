// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Command vm-agent is the guest's end of the VM rig. With the arguments
// "relay ADDRESS" it runs on the host instead, and joins its standard input and
// output to a TCP connection: QEMU starts one for each connection of the guest
// to a forwarded address.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/kubeovn/sriov-network-operator/test/vm/agent"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "vm-agent:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == "relay" {
		return agent.Relay(ctx, args[1], os.Stdin, os.Stdout)
	}
	return agent.Serve(ctx)
}

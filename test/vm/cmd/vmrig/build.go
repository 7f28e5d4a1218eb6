// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"

	"github.com/kubeovn/sriov-network-operator/test/vm/image"
	"github.com/kubeovn/sriov-network-operator/test/vm/machine"
)

// build makes all that the default machine is restored from.
func build(ctx context.Context, b image.Builder) error {
	disk, err := b.Disk(ctx)
	if err != nil {
		return err
	}
	verdict, err := b.Accel(ctx, disk)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "vmrig: accelerator %s: %s\n", verdict.Accel, verdict.Reason)
	_, err = b.Snapshot(ctx, machine.DefaultHardware(verdict.Accel), "")
	return err
}

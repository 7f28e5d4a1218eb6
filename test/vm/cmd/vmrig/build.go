// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/kubeovn/sriov-network-operator/test/vm/image"
	"github.com/kubeovn/sriov-network-operator/test/vm/machine"
)

func build(ctx context.Context, b image.Builder) error {
	snapshot, err := prepare(ctx, b)
	if err != nil {
		return err
	}
	_, err = fmt.Println(snapshot.State)
	return err
}

// prepare returns the snapshot of the default machine.
func prepare(ctx context.Context, b image.Builder) (image.Snapshot, error) {
	_, snapshot, err := prepareHardware(ctx, b)
	return snapshot, err
}

func prepareHardware(ctx context.Context, b image.Builder) (machine.Hardware, image.Snapshot, error) {
	disk, err := b.Disk(ctx)
	if err != nil {
		return machine.Hardware{}, image.Snapshot{}, err
	}
	verdict, err := b.Accel(ctx, disk)
	if err != nil {
		return machine.Hardware{}, image.Snapshot{}, err
	}
	h := machine.DefaultHardware(verdict.Accel)
	snapshot, err := b.Snapshot(ctx, h, "")
	return h, snapshot, err
}

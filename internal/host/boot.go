// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// BootReader looks at how the machine booted, and how it will boot.
type BootReader interface {
	// Running is everything of hw.Boot but Next.
	Running(ctx context.Context) (hw.Boot, error)
	// Next is what the boot loader will boot, read from where the boot loader
	// itself, or the program that rules it, reads it. ErrUnsupported when it is
	// none whose arguments could be changed; the error then says what was found.
	Next(ctx context.Context) (hw.NextBoot, error)
}

// BootControl changes the kernel arguments of the machine's next boots.
type BootControl interface {
	// SetArgs adds arguments, behind all that are there, and takes away others that
	// this door has added before. What others have set stays. Adding what is there
	// and removing what is not are no errors. An argument is one word of the
	// characters a-z, A-Z, 0-9 and ._=-,: (ErrInvalid of io/fs otherwise).
	// ErrUnsupported as BootReader.Next says.
	SetArgs(ctx context.Context, add, remove []string) error
}

// RDMAControl changes the RDMA subsystem.
type RDMAControl interface {
	// SetNetnsMode changes the mode of the running kernel. EBUSY while network
	// namespaces besides the first exist (drivers/infiniband/core/device.c,
	// rdma_compatdev_set); ErrUnsupported without RDMA.
	SetNetnsMode(ctx context.Context, mode hw.RDMAMode) error
}

// Power restarts the machine.
type Power interface {
	// Reboot asks the machine's service manager for a reboot in good order and
	// returns when that has been taken on. Why goes to the machine's users and
	// its journal.
	Reboot(ctx context.Context, why string) error
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package discover

import (
	"context"
	"errors"
	"io/fs"
	"path"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// boot is how the machine booted, and how it will where that may matter: without
// an IOMMU, with one that an argument brought, or with RDMA.
func boot(ctx context.Context, r host.Reader, inv hw.Inventory) hw.Boot {
	if r.Boot == nil {
		return hw.Boot{}
	}
	b, err := r.Boot.Running(ctx)
	if err != nil {
		return hw.Boot{Next: hw.Unreadable[hw.NextBoot](err.Error())}
	}
	_, rdma := inv.RDMA.Get()
	if inv.IOMMUGroups > 0 && len(b.Args) == 0 && !rdma {
		b.Next = hw.Unreadable[hw.NextBoot]("nothing asks for it")
		return b
	}
	next, err := r.Boot.Next(ctx)
	if err != nil {
		b.Next = hw.Unreadable[hw.NextBoot](err.Error())
		return b
	}
	b.Next = hw.Read(next)
	return b
}

// vfioDriver hands a PCI function to programs.
const vfioDriver = "vfio-pci"

// miscDevices are those of the devices beside VFs that a policy can ask for.
func miscDevices(files fs.ReadLinkFS) []string {
	var out []string
	for _, name := range []string{"tun", "vhost-net"} {
		if _, err := files.Lstat(path.Join("sys/class/misc", name)); err == nil {
			out = append(out, name)
		}
	}
	return out
}

// rdmaAbsent reports whether the kernel has no RDMA. sys/class/infiniband comes
// with ib_core.
func rdmaAbsent(files fs.ReadLinkFS) bool {
	_, err := files.Lstat("sys/class/infiniband")
	return errors.Is(err, fs.ErrNotExist)
}

// rdmaFixed reports whether the RDMA mode can change at the next boot only. Where
// nobody can say, a boot is the way that works.
func rdmaFixed(ctx context.Context, r host.RDMAReader) bool {
	fixed, err := r.NetnsModeFixed(ctx)
	return fixed || err != nil
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// From include/uapi/rdma/rdma_netlink.h.
const (
	rdmaSystemGet = 5<<10 | 6 // RDMA_NL_NLDEV, RDMA_NLDEV_CMD_SYS_GET
	rdmaSystemSet = 5<<10 | 7 // RDMA_NL_NLDEV, RDMA_NLDEV_CMD_SYS_SET
	rdmaNetnsMode = 66        // RDMA_NLDEV_SYS_ATTR_NETNS_MODE
)

// rdma is host.RDMAReader and host.RDMAControl.
type rdma struct{ files fs.ReadLinkFS }

// NetnsMode implements host.RDMAReader.
func (r rdma) NetnsMode(ctx context.Context) (hw.RDMAMode, error) {
	mode, err := r.netnsMode(ctx)
	if err != nil {
		return "", fmt.Errorf("read RDMA namespace mode: %w", err)
	}
	return mode, nil
}

func (r rdma) netnsMode(ctx context.Context) (hw.RDMAMode, error) {
	// Opening the socket makes the kernel load ib_core (net/netlink/af_netlink.c,
	// netlink_create), and looking must change nothing.
	_, err := fs.Stat(r.files, "sys/class/infiniband")
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: the kernel has no RDMA", host.ErrUnsupported)
	}
	if err != nil {
		return "", err
	}
	answer, err := ask(ctx, request{protocol: unix.NETLINK_RDMA, kind: rdmaSystemGet})
	// EINVAL is RDMA's word for a command that the kernel does not know yet; this
	// one carries nothing else that could be invalid.
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
		return "", fmt.Errorf("%w: %w", host.ErrUnsupported, err)
	}
	if err != nil {
		return "", err
	}
	mode := -1
	for _, m := range answer {
		err := decode(m.Data, 0, func(a *netlink.AttributeDecoder) {
			if a.Type() == rdmaNetnsMode {
				mode = int(a.Uint8())
			}
		})
		if err != nil {
			return "", err
		}
	}
	return rdmaModeOf(mode)
}

func rdmaModeOf(number int) (hw.RDMAMode, error) {
	switch number {
	case -1:
		return "", fmt.Errorf("%w: the kernel has no RDMA namespace mode", host.ErrUnsupported)
	case 0:
		return hw.RDMAExclusive, nil
	case 1:
		return hw.RDMAShared, nil
	}
	return "", fmt.Errorf("the kernel names mode %d, which is neither exclusive nor shared", number)
}

// NetnsModeFixed implements host.RDMAReader. Namespaces of pods have names in
// /run/netns; others have processes.
func (r rdma) NetnsModeFixed(ctx context.Context) (bool, error) {
	if named, err := fs.ReadDir(r.files, "run/netns"); err == nil && len(named) > 0 {
		return true, ctx.Err()
	}
	own, err := r.files.ReadLink("proc/1/ns/net")
	if err != nil {
		return false, fmt.Errorf("look for network namespaces: %w", err)
	}
	processes, err := fs.ReadDir(r.files, "proc")
	if err != nil {
		return false, fmt.Errorf("look for network namespaces: %w", err)
	}
	for _, p := range processes {
		if strings.Trim(p.Name(), "0123456789") != "" {
			continue
		}
		// One that has ended meanwhile is in none.
		if other, err := r.files.ReadLink("proc/" + p.Name() + "/ns/net"); err == nil && other != own {
			return true, ctx.Err()
		}
	}
	return false, ctx.Err()
}

// SetNetnsMode implements host.RDMAControl.
func (r rdma) SetNetnsMode(ctx context.Context, mode hw.RDMAMode) error {
	if err := r.setNetnsMode(ctx, mode); err != nil {
		return fmt.Errorf("set RDMA namespace mode %s: %w", mode, err)
	}
	return nil
}

func (r rdma) setNetnsMode(ctx context.Context, mode hw.RDMAMode) error {
	number, ok := map[hw.RDMAMode]uint8{hw.RDMAExclusive: 0, hw.RDMAShared: 1}[mode]
	if !ok {
		return fmt.Errorf("%w: it is neither exclusive nor shared", fs.ErrInvalid)
	}
	// See netnsMode.
	if _, err := fs.Stat(r.files, "sys/class/infiniband"); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: the kernel has no RDMA", host.ErrUnsupported)
		}
		return err
	}
	attrs := netlink.NewAttributeEncoder()
	attrs.Uint8(rdmaNetnsMode, number)
	_, err := ask(ctx, request{protocol: unix.NETLINK_RDMA, kind: rdmaSystemSet, attrs: attrs})
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%w: %w", host.ErrUnsupported, err)
	}
	return err
}

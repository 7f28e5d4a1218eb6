// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kubeovn/sriov-network-operator/internal/host"
)

// New opens the machine whose root directory is root for looking and changing: "/", or the
// place where a container has the host's root, with the host's /sys below it. Netlink
// speaks of the network namespace of the calling thread. Nothing is held open, so there is
// nothing to close.
func New(root string) (host.Host, error) {
	root, err := rootDir(root)
	if err != nil {
		return host.Host{}, err
	}
	families := newFamilies()
	r := reader(root, families)
	attrs := attrWriter{root: root}
	programs := programs{root: root}
	booting := boot(root)
	r.Boot = booting
	return host.Host{
		Reader:     r,
		Attrs:      attrs,
		Conf:       confWriter{root: root},
		LinkCtl:    linkControl{},
		DevlinkCtl: devlinkControl{devlink{families: families}},
		VDPA:       vdpaControl{files: r.Files, attrs: attrs, families: families},
		Modules:    moduleLoader{files: r.Files, programs: programs},
		Udev:       udevControl{programs: programs},
		RDMACtl:    rdma{files: r.Files},
		BootCtl:    booting,
		Power:      power{root: root},
		Events:     watcher{files: r.Files, families: families},
	}, nil
}

func reader(root string, families *families) host.Reader {
	files := tree{root: root}
	return host.Reader{
		Files:   files,
		Links:   links{},
		Devlink: devlink{families: families},
		RDMA:    rdma{files: files},
		Boot:    boot(root),
	}
}

func boot(root string) booting {
	return booting{files: tree{root: root}, programs: programs{root: root}, conf: confWriter{root: root}, ostree: &ostreeArgs{}}
}

func rootDir(root string) (string, error) {
	if !filepath.IsAbs(root) {
		return "", fmt.Errorf("open machine %q: the root must be an absolute path", root)
	}
	info, err := os.Stat(root)
	if err != nil {
		return "", fmt.Errorf("open machine: %w", err)
	}
	if !info.IsDir() {
		return "", fmt.Errorf("open machine %q: the root is no directory", root)
	}
	return filepath.Clean(root), nil
}

// within runs work that may wait in the kernel for minutes, and returns with it
// or with ctx, whichever ends first. Work that is left behind goes on by itself.
func within[T any](ctx context.Context, work func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	done := make(chan outcome, 1)
	go func() {
		value, err := work()
		done <- outcome{value, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

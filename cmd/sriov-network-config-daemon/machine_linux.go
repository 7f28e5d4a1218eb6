// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/host/linux"
)

// openMachine opens the machine whose root directory is there.
func openMachine(root string) (host.Host, error) { return linux.New(root) }

// label lets systemd run the program where SELinux is: below /var/lib it may run none
// whose type is not that of programs (systemd's domain init_t, the reference policy).
func label(root, program string) error {
	if _, err := os.Stat(filepath.Join(root, "sys/fs/selinux/enforce")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := unix.Lsetxattr(program, "security.selinux", []byte("system_u:object_r:bin_t:s0\x00"), 0); err != nil {
		return fmt.Errorf("label the program for SELinux: %w", err)
	}
	return nil
}

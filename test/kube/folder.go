// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// folderPrefix begins the names of this package's temporary folders; the
// owner's process id follows.
const folderPrefix = "sriov-kube-"

// newFolder makes a folder for a control plane, and removes those of processes
// that ended without doing so.
func newFolder() (string, error) {
	paths, err := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*"))
	if err != nil {
		return "", fmt.Errorf("look for abandoned folders: %w", err)
	}
	for _, path := range paths {
		owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(path), folderPrefix), "-")
		pid, err := strconv.Atoi(owner)
		if err != nil || !errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return "", fmt.Errorf("remove abandoned folder: %w", err)
		}
	}
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", folderPrefix, os.Getpid()))
	if err != nil {
		return "", fmt.Errorf("make a folder for the control plane: %w", err)
	}
	return dir, nil
}

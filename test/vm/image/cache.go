// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"os"
	"path/filepath"
)

// DefaultCache returns the folder of the rig's cache: vm in $SRIOV_CACHE, or in
// sriov-network-operator in the user's cache folder.
func DefaultCache(getenv func(string) string) (string, error) {
	if dir := getenv("SRIOV_CACHE"); dir != "" {
		dir, err := filepath.Abs(filepath.Join(dir, "vm"))
		if err != nil {
			return "", fmt.Errorf("find the cache: %w", err)
		}
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache: %w: set SRIOV_CACHE to a folder", err)
	}
	return filepath.Join(dir, "sriov-network-operator", "vm"), nil
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import (
	"fmt"
	"runtime"

	"github.com/kubeovn/sriov-network-operator/internal/host"
)

// openThis has no SR-IOV to open here.
func openThis(string) (host.Host, error) {
	return host.Host{}, fmt.Errorf("open this machine: SR-IOV is configured on Linux, and this is %s: %w; name a captured or described machine with --machine", runtime.GOOS, host.ErrUnsupported)
}

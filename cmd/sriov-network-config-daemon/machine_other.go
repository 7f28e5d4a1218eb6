// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import (
	"errors"

	"github.com/kubeovn/sriov-network-operator/internal/host"
)

// label has nothing to do: SELinux is Linux.
func label(string, string) error { return nil }

// openMachine fails: nodes with SR-IOV run Linux.
func openMachine(string) (host.Host, error) {
	return host.Host{}, errors.New("the daemon runs on Linux only")
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/host/linux"
)

// openMachine opens the machine whose root directory is there.
func openMachine(root string) (host.Host, error) { return linux.New(root) }

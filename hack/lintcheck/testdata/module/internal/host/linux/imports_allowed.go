// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	_ "github.com/vishvananda/netlink"
	_ "golang.org/x/sys/unix"

	_ "github.com/kubeovn/sriov-network-operator/internal/hw"
)

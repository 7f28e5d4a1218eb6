// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	_ "github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

// want depguard: not allowed from list 'render'

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	_ "github.com/kubeovn/sriov-network-operator/internal/operator/rollout"
)

// want depguard: not allowed from list 'operator'

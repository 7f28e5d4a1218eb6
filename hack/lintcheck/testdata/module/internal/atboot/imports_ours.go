// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package atboot

import (
	_ "github.com/kubeovn/sriov-network-operator/internal/holders"
)

// want depguard: not allowed from list 'atboot'

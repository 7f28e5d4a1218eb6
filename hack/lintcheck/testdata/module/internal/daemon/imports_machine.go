// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	_ "github.com/kubeovn/sriov-network-operator/internal/host/linux"
)

// want depguard: not allowed from list 'daemon'

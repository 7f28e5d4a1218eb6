// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	_ "github.com/kubeovn/sriov-network-operator/internal/admission"
)

// want depguard: not allowed from list 'cli'

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	_ "github.com/kubeovn/sriov-network-operator/cmd/kubectl-sriov/flags"
)

// want depguard: not allowed from list 'cmd'

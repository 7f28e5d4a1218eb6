// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package validate

import (
	_ "github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

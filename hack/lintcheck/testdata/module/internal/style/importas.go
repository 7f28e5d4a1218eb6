// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

import api "github.com/kubeovn/sriov-network-operator/api/v1"

// Group has an import by a name of its own.
const Group = api.Group

// want importas: import "github.com/kubeovn/sriov-network-operator/api/v1" imported as "api" but must be "sriovv1"

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

import (
	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"strings"
)

// Upper has imports of the project among others.
func Upper() string { return strings.ToUpper(sriovv1.Group) }

// want goimports: File is not properly formatted

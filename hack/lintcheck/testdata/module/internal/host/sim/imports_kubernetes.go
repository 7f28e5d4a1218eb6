// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	_ "k8s.io/apimachinery/pkg/types"
)

// want depguard: not allowed from list 'no-kubernetes'

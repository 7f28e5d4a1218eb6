// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	_ "k8s.io/kube-openapi/pkg/common"
	_ "sigs.k8s.io/yaml"
)

// want depguard: not allowed from list 'api-types-only'
// want depguard: not allowed from list 'api-types-only'

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package scrape

import (
	_ "github.com/kubeovn/sriov-network-operator/internal/sink"
)

// want depguard: not allowed from list 'loglevel-scrape'

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	_ "os"
)

// want depguard: not allowed from list 'pure'

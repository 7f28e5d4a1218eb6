// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	_ "crypto/rand"
	_ "math/rand"
	_ "math/rand/v2"
)

// want depguard: not allowed from list 'randomness'
// want depguard: not allowed from list 'randomness'
// want depguard: not allowed from list 'randomness'

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	_ "html/template"
	_ "text/template"
)

// want depguard: not allowed from list 'templates'
// want depguard: not allowed from list 'templates'

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	_ "github.com/pkg/errors"
	_ "io/ioutil"
	_ "log"
)

// want depguard: not allowed from list 'everywhere'
// want depguard: not allowed from list 'everywhere'
// want depguard: not allowed from list 'everywhere'

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

import "fmt"

// Wrap loses the cause.
func Wrap(err error) error {
	return fmt.Errorf("read the link: %v", err)
}

// want errorlint: non-wrapping format verb

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

import "fmt"

// Text passes a word for a number.
func Text() string {
	return fmt.Sprintf("%d", "word")
}

// want govet: printf: fmt.Sprintf format %d

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

import "os"

// Ignore turns an error into success.
func Ignore() error {
	if err := os.Remove("/nonexistent"); err != nil {
		return nil
	}
	return nil
}

// want nilerr: error is not nil

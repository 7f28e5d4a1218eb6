// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

import "os"

// Remove drops an error.
func Remove() {
	os.Remove("/nonexistent")
}

// want errcheck: Error return value of `os.Remove` is not checked

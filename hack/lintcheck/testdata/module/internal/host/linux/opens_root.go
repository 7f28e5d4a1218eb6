// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package linux

import "os"

// Open is where the files of the machine are opened.
func Open() (*os.Root, error) {
	return os.OpenRoot("/")
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import "os"

// Root does what it may not.
func Root() {
	_, _ = os.OpenRoot("/")
}

// want forbidigo: the machine's files are behind the doors of package host

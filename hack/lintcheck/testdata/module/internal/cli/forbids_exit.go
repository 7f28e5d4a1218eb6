// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import "os"

// Exit does what it may not.
func Exit() {
	os.Exit(1)
}

// want forbidigo: a process ends in cmd

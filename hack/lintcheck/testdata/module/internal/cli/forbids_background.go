// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import "context"

// Background does what it may not.
func Background() {
	_ = context.Background()
	_ = context.TODO()
}

// want forbidigo: contexts begin outside internal, in cmd
// want forbidigo: contexts begin outside internal, in cmd

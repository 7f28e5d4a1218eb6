// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import "time"

// Now does what it may not.
func Now() {
	now := time.Now()
	_ = time.Since(now)
	_ = time.Until(time.Time{})
}

// want forbidigo: time is an argument outside cmd
// want forbidigo: time is an argument outside cmd
// want forbidigo: time is an argument outside cmd

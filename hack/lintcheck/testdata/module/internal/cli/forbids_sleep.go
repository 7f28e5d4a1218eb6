// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import "time"

// Sleep does what it may not.
func Sleep() {
	time.Sleep(0)
	<-time.After(0)
	<-time.Tick(1)
}

// want forbidigo: wait on an event or a context
// want forbidigo: wait on an event or a context
// want forbidigo: wait on an event or a context

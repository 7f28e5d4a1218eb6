// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import "time"

// sleep is banned in commands, too.
func sleep() {
	time.Sleep(1)
}

// want forbidigo: wait on an event or a context
// want unused: func sleep is unused

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

import "os/exec"

// Run cannot be stopped.
func Run() error {
	return exec.Command("true").Run()
}

// want noctx: os/exec.Command must not be called

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import "os"

// Environment does what it may not.
func Environment() {
	_ = os.Getenv("HOME")
	_, _ = os.LookupEnv("HOME")
	_ = os.Environ()
	_ = os.ExpandEnv("$HOME")
}

// want forbidigo: the environment is read in cmd
// want forbidigo: the environment is read in cmd
// want forbidigo: the environment is read in cmd
// want forbidigo: the environment is read in cmd

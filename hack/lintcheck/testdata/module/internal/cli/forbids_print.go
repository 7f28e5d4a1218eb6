// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import "fmt"

// Print does what it may not.
func Print() {
	fmt.Print("a")
	fmt.Printf("a")
	fmt.Println("a")
	println("a")
}

// want forbidigo: print in cmd
// want forbidigo: print in cmd
// want forbidigo: print in cmd
// want forbidigo: print in cmd

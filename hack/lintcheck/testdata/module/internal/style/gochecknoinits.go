// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

func init() {
	_ = Name(Switchdev)
}

// want gochecknoinits: don't use `init` function

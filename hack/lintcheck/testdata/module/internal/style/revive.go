// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

const (
	Undocumented = 1
)

// want revive: exported const Undocumented should have comment

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

// Count is anybody's.
var Count int

// want gochecknoglobals: Count is a global variable

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package discover looks at a machine and says what it has. It holds no door
// that could change anything.
package discover

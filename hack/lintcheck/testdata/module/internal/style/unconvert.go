// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

// Convert makes an int an int.
func Convert(n int) int { return int(n) }

// want unconvert: unnecessary conversion

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

// Sum uses half of add.
func Sum(n int) int { return add(n, n) + add(n, 2) }

func add(a, b int) int {
	if a > 3 {
		return a
	}
	return a
}

// want unparam: b is unused

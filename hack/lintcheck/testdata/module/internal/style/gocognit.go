// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

// Deep is nested too deeply.
func Deep(a, b, c, d int) int {
	if a > 0 {
		if b > 0 {
			if c > 0 {
				for range a {
					if d > 0 {
						if a > b {
							return 1
						}
					}
				}
			}
		}
	}
	return 0
}

// want gocognit: cognitive complexity 21 of func `Deep` is high

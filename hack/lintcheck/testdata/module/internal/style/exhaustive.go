// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

// Mode is a closed set.
type Mode int

// Modes.
const (
	Legacy Mode = iota
	Switchdev
)

// Name forgets a mode.
func Name(m Mode) string {
	switch m {
	case Legacy:
		return "legacy"
	}
	return ""
}

// want exhaustive: missing cases in expression switch: Switchdev

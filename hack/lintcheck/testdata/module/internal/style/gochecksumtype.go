// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

// Action is a closed set.
//
//sumtype:decl
type Action interface{ action() }

// Bind is an action.
type Bind struct{}

// Unbind is an action.
type Unbind struct{}

func (Bind) action()   {}
func (Unbind) action() {}

// Title forgets an action.
func Title(a Action) string {
	switch a.(type) {
	case Bind:
		return "bind"
	}
	return ""
}

// want gochecksumtype: exhaustiveness check failed for sum type "Action"

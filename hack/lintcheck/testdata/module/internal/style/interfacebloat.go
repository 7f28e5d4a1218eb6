// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

// Everything has more than six methods.
type Everything interface {
	A()
	B()
	C()
	D()
	E()
	F()
	G()
}

// want interfacebloat: the interface has more than 6 methods

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package install renders the objects that install the operator: its account, what the
// account may do, its pods, and the example of an operator configuration.
//
// What the operator may do is a table of rights, each with what it is for. Rights on
// what the operator deploys are limited to the names of what it deploys; rights that the
// operands have are added, because nobody can grant what they may not do themselves.
//
// The files under deploy and charts are written from here:
//
//	go test ./internal/render/install -update
package install

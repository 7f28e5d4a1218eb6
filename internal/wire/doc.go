// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package wire turns a desired node and an inventory into the API's node state
// and back. It alone knows how the API spells them.
package wire

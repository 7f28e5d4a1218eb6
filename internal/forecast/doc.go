// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package forecast says what a change of the cluster's objects would do to its nodes,
// and which pods would notice. It knows of a node what its node state tells; what that
// leaves open and matters is said, never guessed in silence.
package forecast

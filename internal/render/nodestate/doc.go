// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package nodestate renders what one node should be from policies, the node and
// its inventory, with a trace of who won each PF, VF group and field.
//
// Policies are processed from priority 99 down to 0 and by name, so that the one
// processed last has the last word. Conflicts are per PF: policies whose VF
// ranges do not overlap, or whose priorities are equal, are merged.
package nodestate

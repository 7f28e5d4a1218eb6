// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package rollout says which nodes may be taken out of service now: from pools and
// nodes to a verdict about each node. It asks nobody, and knows no API.
//
// A node is out when it has a slot of its pool, when it is not ready, or when somebody
// else cordoned it. Of each pool at most as many nodes are out as its limit says, as far
// as this package can help it: it takes no node out that would make one too many. No
// slot stays free while a node waits that may have it, and who waits longest goes first.
package rollout

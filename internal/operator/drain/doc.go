// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package drain takes nodes out of service in turns when their daemons ask for it, and
// puts them back.
//
// There are three kinds of work items. The first is the rollout, of which there is one:
// it looks at all nodes, lets package rollout decide, and writes who has a turn into one
// ConfigMap by compare and swap, so that two leaders can never grant more turns than
// there are. The second is a node: what was decided about it is carried out, a drain as
// far as it goes; nothing waits in a worker while pods end, since a watch of the node's
// pods brings the item back. The third is the status of a pool.
//
// A drain cordons the node, adds a taint that DaemonSets respect, too, and evicts
// exactly the pods that have to leave. Only a cordon of its own is undone.
package drain

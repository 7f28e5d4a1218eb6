// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package v1

// AnnotationDrainSince on a SriovNetworkNodeState is when the node began to wait for its turn, to drain, or to be free,
// by what AnnotationCurrentState says; RFC 3339 with fractions of a second. The controller writes it. Who waits longest
// goes first, and a drain that takes too long gives its turn to another node.
const AnnotationDrainSince = "sriovnetwork.openshift.io/drain-since"

// TaintDraining keeps new pods from a node that is drained, with the effect NoSchedule. A DaemonSet puts pods on a
// cordoned node all the same; they would take the virtual functions that are about to go.
const TaintDraining = "sriovnetwork.openshift.io/draining"

// ConfigMapDrainSlots holds which nodes have a turn; the key is the node's name, the value the name of its pool, empty
// for the built-in pool. The controller changes it by compare and swap before it grants a turn.
const ConfigMapDrainSlots = "sriov-drain-slots"

// Reasons of ConditionReady on pools.
const (
	// ReasonNodesTakeTurns: the pool is in force.
	ReasonNodesTakeTurns = "NodesTakeTurns"
	// ReasonNodeInTwoPools: nodes are in another pool, too, and wait.
	ReasonNodeInTwoPools = "NodeInTwoPools"
	// ReasonDrainBlocked: a drain takes too long. The message names the pod, and the PodDisruptionBudget if there is one.
	ReasonDrainBlocked = "DrainBlocked"
	// ReasonNodeNotBack: a node that was freed is being changed for longer than it should. It keeps its turn.
	ReasonNodeNotBack = "NodeNotBack"
	// ReasonNoNodeMayGo: nodes wait, and maxUnavailable is 0.
	ReasonNoNodeMayGo = "NoNodeMayGo"
	// ReasonBadNodeSelector: nodeSelector cannot be read, and the pool has no nodes.
	ReasonBadNodeSelector = "BadNodeSelector"
)

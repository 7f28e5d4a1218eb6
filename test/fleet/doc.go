// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package fleet runs many nodes of a cluster in one process: a daemon each, on a simulated machine, beside a kubelet
// that gives VFs to pods, tells the daemon who holds which, and lets pods go. It looks on while they take turns, and
// notes every breach of what a rollout promises. The API server and the operator are real, and somebody else's.
package fleet

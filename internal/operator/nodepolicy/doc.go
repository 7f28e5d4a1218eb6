// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package nodepolicy keeps one SriovNetworkNodeState per node as the policies ask,
// and tells every policy what became of it.
//
// What is the same for all nodes (policies, pools, the operator configuration, the
// NIC list and what sriov-configmap claims) is parsed once into a basis, which
// nothing changes afterwards. Changes that come together make one basis. Each node
// is a work item of its own, rendered from the basis in memory; what becomes of a
// node is known to no other, so that a bad one blocks none. A second and third kind
// of work item are the basis and the status of a policy.
package nodepolicy

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package pluginconfig stores what each node's device plugin reads, and lets the plugin
// run where there is something to advertise.
//
// The configurations of all nodes are in one ConfigMap, or in several when they do not
// fit into one. They are written together, a while after they were put, and only the
// keys that changed. The label of a node follows once its configuration is stored.
package pluginconfig

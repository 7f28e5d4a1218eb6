// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package fleet says what every node of a cluster should be by the objects of its
// API: policies, pools, settings and ConfigMaps. The controller writes what it says;
// the command shows it. It asks nobody and changes nothing.
package fleet

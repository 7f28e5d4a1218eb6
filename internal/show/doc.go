// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package show turns plans, traces, inventories and node states into text for
// people, JSON for software and a script for the shell. It touches nothing.
package show

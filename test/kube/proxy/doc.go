// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package proxy stands before an API server and makes it hostile: it delays,
// refuses, cuts, repeats and expires what passes, as rules say, and writes down
// who asked for what.
package proxy

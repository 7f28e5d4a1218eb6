// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

// Dotless has a comment without a full stop
const Dotless = 1

// want godot: Comment should end in a period

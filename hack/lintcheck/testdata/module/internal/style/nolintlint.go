// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

// Excused gives no reason.
var Excused int //nolint:gochecknoglobals

// want nolintlint: directive

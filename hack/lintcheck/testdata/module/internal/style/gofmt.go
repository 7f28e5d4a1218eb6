// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package style

// Crooked is not formatted.
const   Crooked = 1

// want gofmt: File is not properly formatted

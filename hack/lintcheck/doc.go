// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package lintcheck proves that each ban in .golangci.yml fires: testdata/module holds one bad file per ban.
//
// Its test needs golangci-lint, so it runs with the build tag lintcheck only.
package lintcheck

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package docs tests the documentation: its objects are accepted, its pods ask for
// what its policies and networks bring, its commands print what it says they
// print, its links lead somewhere, and what is generated is fresh. With the tag
// kube it follows the page about uninstalling in a cluster, with the tag vm that
// about a machine without one.
//
// Comments in a page, each on a line of its own, tell the tests what they cannot
// see:
//
//	<!-- this machine: NAME -->  commands of the page run on test/machines/NAME.yaml
//	<!-- file: NAME -->          the next block is the content of this file
//	<!-- machine: NAME -->       the next block is planned on this machine
//	<!-- error: TEXT -->         the next block is refused with this text
//	<!-- not tested: WHY -->     the next block cannot be tested
//
// In a block of the language console, lines that begin with "$ " are commands.
// A line of three dots in their output stands for any lines, and all durations
// are alike. To write what is printed now into the pages:
//
//	go test ./test/docs -update
package docs

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package daemon keeps one node as its node state asks: it looks, plans, decides,
// carries out and reports, whenever something happens and never on a clock alone.
//
// One goroutine owns all that is known. Watches, the execution of a plan and requests to
// the API server are goroutines that hand it notes. Nothing is stored but on the machine,
// in its ledger and in annotations, so that a daemon that is killed is replaced by one
// that looks.
package daemon

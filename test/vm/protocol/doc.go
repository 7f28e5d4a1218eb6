// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package protocol is the language that a test host and the agent in its guest
// speak over a virtio-serial port.
//
// Both sides send frames. The host begins a session with a Hello; the agent
// answers with a Welcome and then serves the host's calls, several at a time,
// each known by its frames' id. An agent that has just started sends a Welcome
// unasked. Hello and Welcome travel behind padding, so that a reader left in
// the middle of a frame by a reboot or a restored snapshot finds its place.
package protocol

import "embed"

// Source is this package's own source, for a cache key of what is built from it.
//
//go:embed *.go
var Source embed.FS

// PortName is the name of the virtio-serial port.
const PortName = "org.sriov.vm-agent"

// ExchangeSerial is the serial number of the virtio disk through which files
// pass. Both sides read and write it at offset 0; the host decides whose turn
// it is.
const ExchangeSerial = "exchange"

// ExchangeBytes is the size of the exchange disk, and so of the largest piece
// of a file that passes at once.
const ExchangeBytes = 128 << 20

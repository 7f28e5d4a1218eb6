// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package agent carries out, inside the guest, what the test host asks for over
// a virtio-serial port: it runs commands and moves files.
package agent

import "embed"

// Source is this package's own source and that of its command, for a cache key
// of what is built from it.
//
//go:embed *.go vm-agent/*.go
var Source embed.FS

// Command is the import path of the agent's command.
const Command = "github.com/kubeovn/sriov-network-operator/test/vm/agent/vm-agent"

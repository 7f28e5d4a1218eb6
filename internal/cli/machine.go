// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubeovn/sriov-network-operator/internal/converge"
	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/host/sim"
)

// machine is a machine that was opened.
type machine struct {
	kind   machineKind
	name   string
	reader host.Reader
	// host is what can be changed; nothing of a captured machine can.
	host host.Host
	// look is the first look at the machine, however often it is called.
	look func() (converge.Observation, error)
}

type machineKind int

const (
	thisMachine machineKind = iota
	capturedMachine
	describedMachine
)

// open opens the machine that the flags name.
func (a *app) open() (machine, error) {
	name := a.global.machine
	if name == "" {
		h, err := a.This(a.global.root)
		return machine{kind: thisMachine, name: a.Hostname, reader: h.Reader, host: h}, err
	}
	if !slices.Contains([]string{".yaml", ".yml"}, strings.ToLower(filepath.Ext(name))) {
		return openCaptured(name)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return machine{}, fmt.Errorf("open the described machine: %w", err)
	}
	m, err := sim.Parse(text)
	if err != nil {
		return machine{}, fmt.Errorf("open the described machine %s: %w", name, err)
	}
	h := m.Host()
	return machine{kind: describedMachine, name: m.NodeName(), reader: h.Reader, host: h}, nil
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/test/vm/machine"
)

// With a VM as one of the nodes, each node gets what its own NICs are asked for, and the VM's kernel has it.
func TestTheDemonstrationWithAVM(t *testing.T) {
	s := perform(t, cast(true))
	for _, m := range s.cast {
		state := s.synced(t, m.name)
		if m.kind == simulated {
			if got := functions(state, sriovv1.EswitchModeSwitchdev); len(got) != 2 {
				t.Errorf("%s has VFs in switchdev mode on %d PFs: %v", m.name, len(got), got)
			}
			continue
		}
		out, err := s.machine.Run(t.Context(), machine.Command{Argv: []string{
			"sh", "-ec", `for p in 0 1; do for vf in /sys/bus/pci/devices/0000:01:00.$p/virtfn*; do basename $(readlink $vf); done; done`,
		}})
		if err != nil || out.ExitCode != 0 {
			t.Fatalf("ask the VM's kernel: %v, exit code %d: %s", err, out.ExitCode, out.Stderr)
		}
		has := functions(state, sriovv1.EswitchModeLegacy)
		told := append(has["0000:01:00.0"], has["0000:01:00.1"]...)
		if diff := cmp.Diff(strings.Fields(out.Stdout), told); diff != "" || len(told) != 6 {
			t.Errorf("%d VFs; the kernel has others (- kernel, + node state):\n%s", len(told), diff)
		}
	}
}

// functions are the addresses of the VFs of each PF that is in a mode.
func functions(state *sriovv1.SriovNetworkNodeState, mode sriovv1.EswitchMode) map[string][]string {
	out := map[string][]string{}
	for i := range state.Status.Interfaces {
		pf := &state.Status.Interfaces[i]
		for _, vf := range pf.VFs {
			if pf.EswitchMode == mode {
				out[pf.PciAddress] = append(out[pf.PciAddress], vf.PciAddress)
			}
		}
	}
	return out
}

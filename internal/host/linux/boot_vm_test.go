// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && vm

package linux

import (
	"os"
	"strings"
	"testing"

	"github.com/kubeovn/sriov-network-operator/internal/host/contract"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

func TestTheBootLoaderKeepsTheContract(t *testing.T) {
	const defaults = "/etc/default/grub"
	const foreign = "amd_iommu=off" // which Intel's kernel code never reads
	text, err := os.ReadFile(defaults)
	if err != nil {
		t.Fatal(err)
	}
	theirs := strings.Replace(string(text), "GRUB_CMDLINE_LINUX=\"", "GRUB_CMDLINE_LINUX=\""+foreign+" ", 1)
	if theirs == string(text) {
		t.Fatalf("%s sets no arguments:\n%s", defaults, text)
	}
	if err := os.WriteFile(defaults, []byte(theirs), 0o644); err != nil {
		t.Fatal(err)
	}
	command(t, "update-grub")
	t.Cleanup(func() {
		if err := os.WriteFile(defaults, text, 0o644); err != nil {
			t.Error(err)
		}
		command(t, "update-grub")
	})
	contract.RunBooting(t, contract.Booting{Host: machine(t), Loader: hw.UpdateGrub, Foreign: foreign})
}

// It ends with the machine, so package test/vm runs it by itself.
func TestTheMachineRebootsWhenItIsAsked(t *testing.T) {
	if err := machine(t).Power.Reboot(t.Context(), "a test asks for it"); err != nil {
		t.Fatal(err)
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm

package vm_test

import (
	"testing"

	"github.com/kubeovn/sriov-network-operator/test/vm"
)

func TestTheRunningKernelKeepsTheContractOfAHost(t *testing.T) {
	const binary = "/root/linux.test"
	tests := vm.BuildTest(t, "github.com/kubeovn/sriov-network-operator/internal/host/linux", "vm")
	cases := map[string][]string{
		"a PF without an eSwitch": {"-test.run=^TestTheKernelKeepsTheContract$"},
		"a PF with an eSwitch":    {"-test.run=^TestTheKernelKeepsTheContractOfAnEswitch$"},
		"what needs no VFs":       {"-test.skip=^TestTheKernelKeepsTheContract"},
	}
	for name, arguments := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			guest := vm.Start(t)
			if err := guest.Push(t.Context(), tests, binary); err != nil {
				t.Fatal(err)
			}
			result, err := guest.Run(t.Context(), append([]string{binary, "-test.v"}, arguments...)...)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(result.Stdout)
			if result.ExitCode != 0 {
				t.Errorf("the tests in the guest ended with code %d\n%s", result.ExitCode, result.Stderr)
			}
		})
	}
}

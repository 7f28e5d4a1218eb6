// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm

package vm_test

import (
	"context"
	"errors"
	"testing"

	"github.com/kubeovn/sriov-network-operator/test/vm"
)

// inGuest runs a test binary in a guest of its own.
func inGuest(t *testing.T, tests string, argv []string) (vm.Result, error) {
	t.Helper()
	guest := vm.Start(t)
	if err := guest.Push(t.Context(), tests, argv[0]); err != nil {
		return vm.Result{}, err
	}
	return guest.Run(t.Context(), argv...)
}

func TestTheRunningKernelKeepsTheContractOfAHost(t *testing.T) {
	const binary = "/root/linux.test"
	tests := vm.BuildTest(t, "github.com/kubeovn/sriov-network-operator/internal/host/linux", "vm")
	cases := map[string][]string{
		"a PF without an eSwitch": {"-test.run=^TestTheKernelKeepsTheContract$"},
		"a PF with an eSwitch":    {"-test.run=^TestTheKernelKeepsTheContractOfAnEswitch$"},
		"what needs no VFs":       {"-test.skip=^TestTheKernelKeepsTheContract|^TestTheMachineReboots"},
	}
	for name, arguments := range cases {
		t.Run(name, func(t *testing.T) {
			argv := append([]string{binary, "-test.v"}, arguments...)
			result, err := inGuest(t, tests, argv)
			if errors.Is(err, context.DeadlineExceeded) {
				// Once in a while an emulated processor gets no timer interrupt any
				// more, and what runs on it stands still (see README.md).
				t.Logf("the guest stood still: %v; once more in another", err)
				result, err = inGuest(t, tests, argv)
			}
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

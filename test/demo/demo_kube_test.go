// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package main

import (
	"bytes"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/test/kube"
)

// The demonstration ends with the node state that the documentation begins with.
func TestTheDemonstration(t *testing.T) {
	at := folders{root: "../..", bin: t.TempDir(), logs: t.TempDir()}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", at.bin, "./cmd/kubectl-sriov", "./cmd/sriov-network-operator")
	build.Dir = at.root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the programs: %v\n%s", err, out)
	}
	b, err := kube.FromCache()
	if err != nil {
		t.Fatal(err)
	}
	s, err := newStage(t.Context(), b, at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	var out bytes.Buffer
	if err := s.play(t.Context(), &out, "../../examples/quick-start.yaml"); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Log(out.String())
	for _, name := range nodes() {
		var state sriovv1.SriovNetworkNodeState
		if err := s.cluster.Client().Get(t.Context(), client.ObjectKey{Namespace: sriovv1.DefaultNamespace, Name: name}, &state); err != nil {
			t.Fatal(err)
		}
		if state.Status.SyncStatus != sriovv1.SyncStatusSucceeded {
			t.Errorf("%s is %s: %s", name, state.Status.SyncStatus, state.Status.LastSyncError)
		}
		want := map[string][]string{
			"0000:5f:00.0": {"0000:5f:00.2", "0000:5f:00.3", "0000:5f:00.4"},
			"0000:5f:00.1": {"0000:5f:00.5", "0000:5f:00.6", "0000:5f:00.7"},
		}
		if diff := cmp.Diff(want, functions(&state)); diff != "" {
			t.Errorf("%s has other VFs (- wanted, + is):\n%s", name, diff)
		}
	}
}

// functions are the addresses of the VFs of each PF in switchdev mode.
func functions(state *sriovv1.SriovNetworkNodeState) map[string][]string {
	out := map[string][]string{}
	for i := range state.Status.Interfaces {
		pf := &state.Status.Interfaces[i]
		if pf.EswitchMode != sriovv1.EswitchModeSwitchdev {
			continue
		}
		for _, vf := range pf.VFs {
			out[pf.PciAddress] = append(out[pf.PciAddress], vf.PciAddress)
		}
	}
	return out
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube || vm

package main

import (
	"bytes"
	"os/exec"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/test/kube"
)

// perform gives the whole demonstration.
func perform(t *testing.T, c []member) *stage {
	t.Helper()
	at := folders{root: "../..", bin: t.TempDir()}
	compile(t, at.bin+"/", "./cmd/kubectl-sriov", "./cmd/sriov-network-operator", "./cmd/sriov-network-config-daemon")
	compile(t, at.bin+"/demo/", "./test/vm/kubelet")
	b, err := kube.FromCache()
	if err != nil {
		t.Fatal(err)
	}
	s, err := newStage(t.Context(), b, at, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	var out bytes.Buffer
	if err := s.play(t.Context(), printer{out: &out}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(out.String())
		}
	})
	return s
}

// compile builds programs into a folder.
func compile(t *testing.T, folder string, packages ...string) {
	t.Helper()
	build := exec.CommandContext(t.Context(), "go", append([]string{"build", "-o", folder}, packages...)...)
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the programs: %v\n%s", err, out)
	}
}

// synced is the state of a node, which has to be as desired.
func (s *stage) synced(t *testing.T, name string) *sriovv1.SriovNetworkNodeState {
	t.Helper()
	state := &sriovv1.SriovNetworkNodeState{}
	if err := s.cluster.Client().Get(t.Context(), client.ObjectKey{Namespace: sriovv1.DefaultNamespace, Name: name}, state); err != nil {
		t.Fatal(err)
	}
	if state.Status.SyncStatus != sriovv1.SyncStatusSucceeded {
		t.Errorf("%s is %s: %s", name, state.Status.SyncStatus, state.Status.LastSyncError)
	}
	return state
}

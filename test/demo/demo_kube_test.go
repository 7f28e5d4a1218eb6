// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package main

import (
	"context"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// The demonstration ends with the node state that the documentation begins with.
func TestTheDemonstration(t *testing.T) {
	s := perform(t, cast(false))
	want := map[string][]string{
		"0000:5f:00.0": {"0000:5f:00.2", "0000:5f:00.3", "0000:5f:00.4"},
		"0000:5f:00.1": {"0000:5f:00.5", "0000:5f:00.6", "0000:5f:00.7"},
	}
	for _, m := range s.cast {
		state := s.synced(t, m.name)
		if diff := cmp.Diff(want, functions(state, sriovv1.EswitchModeSwitchdev)); diff != "" {
			t.Errorf("%s has other VFs (- wanted, + is):\n%s", m.name, diff)
		}
	}
	s.tryWhatItSays(t)
}

// tryWhatItSays does in a shell what the audience is told to try, and waits until the nodes are so.
func (s *stage) tryWhatItSays(t *testing.T) {
	t.Helper()
	script, err := s.writeEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	lines := suggestions(script)
	deletion := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "delete") })
	s.shell(t, lines[:deletion])
	s.await(t, 2)
	s.shell(t, append(lines[:1:1], lines[deletion:]...))
	s.await(t, 0)
}

// shell runs lines in a shell that has nothing of this cluster in its environment.
func (s *stage) shell(t *testing.T, lines []string) {
	t.Helper()
	all := strings.Join(lines, "\n")
	if out, err := exec.CommandContext(t.Context(), "sh", "-ec", all).CombinedOutput(); err != nil {
		t.Fatalf("%v of\n%s\n%s", err, all, out)
	}
}

// await waits until each PF of each node has so many VFs.
func (s *stage) await(t *testing.T, want int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w, err := s.cluster.Client().Watch(ctx, &sriovv1.SriovNetworkNodeStateList{}, client.InNamespace(sriovv1.DefaultNamespace))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	done := map[string]bool{}
	for e := range w.ResultChan() {
		state, ok := e.Object.(*sriovv1.SriovNetworkNodeState)
		if !ok {
			continue
		}
		done[state.Name] = state.Status.SyncStatus == sriovv1.SyncStatusSucceeded &&
			!slices.ContainsFunc(state.Status.Interfaces, func(pf sriovv1.InterfaceExt) bool { return pf.NumVfs != want })
		if !slices.ContainsFunc(s.cast, func(m member) bool { return !done[m.name] }) {
			return
		}
	}
	t.Fatalf("not every PF has %d VFs; the nodes that are so: %v", want, done)
}

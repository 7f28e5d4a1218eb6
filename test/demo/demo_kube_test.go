// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	t.Parallel() // two of them do not meet
	s := perform(t, cast(false))
	for _, m := range s.cast {
		state := s.synced(t, m.name)
		if diff := cmp.Diff(described(), said(state)); diff != "" {
			t.Errorf("%s is another (- described, + is):\n%s", m.name, diff)
		}
	}
	s.tryWhatItSays(t)
}

// described is the node state of the documentation: two ports of a ConnectX-5 with three VFs each.
func described() sriovv1.SriovNetworkNodeState {
	var out sriovv1.SriovNetworkNodeState
	for i, port := range []struct{ name, mac string }{{"ens41f0np0", "08:c0:eb:f4:85:ab"}, {"ens41f1np1", "08:c0:eb:f4:85:bb"}} {
		addr := fmt.Sprintf("0000:5f:00.%d", i)
		out.Spec.Interfaces = append(out.Spec.Interfaces, sriovv1.Interface{
			PciAddress: addr, Name: port.name, NumVfs: 3, EswitchMode: sriovv1.EswitchModeSwitchdev,
			VfGroups: []sriovv1.VfGroup{{
				PolicyName: "policy", ResourceName: "cx_sriov_switchdev", VfRange: "0-2", DeviceType: sriovv1.DeviceTypeNetdevice,
			}},
		})
		pf := sriovv1.InterfaceExt{
			PciAddress: addr, Name: port.name, Mac: port.mac, Mtu: 1500, NumVfs: 3, TotalVfs: 3, Driver: "mlx5_core",
			Vendor: "15b3", DeviceID: "1017", LinkSpeed: "25000 Mb/s", LinkType: sriovv1.LinkTypeETH,
		}
		for vf := range 3 {
			pf.VFs = append(pf.VFs, sriovv1.VirtualFunction{
				PciAddress: fmt.Sprintf("0000:5f:00.%d", 2+3*i+vf), VfID: vf, Driver: "mlx5_core", Vendor: "15b3", DeviceID: "1018",
			})
		}
		out.Status.Interfaces = append(out.Status.Interfaces, pf)
	}
	return out
}

// said is what a node state says of all that the documentation speaks of.
func said(state *sriovv1.SriovNetworkNodeState) sriovv1.SriovNetworkNodeState {
	out := sriovv1.SriovNetworkNodeState{Spec: sriovv1.SriovNetworkNodeStateSpec{Interfaces: state.Spec.Interfaces}}
	for i := range state.Status.Interfaces {
		is := &state.Status.Interfaces[i]
		pf := sriovv1.InterfaceExt{
			PciAddress: is.PciAddress, Name: is.Name, Mac: is.Mac, Mtu: is.Mtu, NumVfs: is.NumVfs, TotalVfs: is.TotalVfs, Driver: is.Driver,
			Vendor: is.Vendor, DeviceID: is.DeviceID, LinkSpeed: is.LinkSpeed, LinkType: is.LinkType,
		}
		for _, vf := range is.VFs {
			pf.VFs = append(pf.VFs, sriovv1.VirtualFunction{
				PciAddress: vf.PciAddress, VfID: vf.VfID, Driver: vf.Driver, Vendor: vf.Vendor, DeviceID: vf.DeviceID,
			})
		}
		out.Status.Interfaces = append(out.Status.Interfaces, pf)
	}
	return out
}

// Ctrl-C in the middle of it leaves no process and no file, also while another runs.
func TestAnInterruptLeavesNothing(t *testing.T) {
	t.Parallel()
	bin, temp := t.TempDir(), t.TempDir()
	compile(t, bin+"/", "./cmd/kubectl-sriov", "./cmd/sriov-network-operator", "./test/demo")
	demo := exec.CommandContext(t.Context(), filepath.Join(bin, "demo"), "-keep", "-bin", bin)
	demo.Dir, demo.Env = "../..", append(os.Environ(), "TMPDIR="+temp)
	out, err := demo.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	demo.Stderr = os.Stderr
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var seen []string
	for lines.Scan() {
		seen = append(seen, lines.Text())
		if strings.HasPrefix(lines.Text(), "$ kubectl sriov status --watch") {
			if len(processesWith(t, temp)) < 3 {
				t.Error("its processes are not known by its folder")
			}
			if err := demo.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := demo.Wait(); demo.ProcessState.ExitCode() != interrupted {
		t.Fatalf("it ended with %v, want exit code %d\n%s", err, interrupted, strings.Join(seen, "\n"))
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) > 0 {
		t.Errorf("it left %v (%v)", left, err)
	}
	if alive := processesWith(t, temp); len(alive) > 0 {
		t.Errorf("it left processes:\n%s", strings.Join(alive, "\n"))
	}
}

// processesWith are the command lines of processes that have a word.
func processesWith(t *testing.T, word string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no processes: %v", err)
	}
	var out []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended meanwhile
		}
		if line := strings.ReplaceAll(string(text), "\x00", " "); strings.Contains(line, word) {
			out = append(out, line)
		}
	}
	return out
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

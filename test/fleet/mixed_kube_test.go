// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package fleet_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/intstr"
	ctrl "sigs.k8s.io/controller-runtime"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

var previous = flag.String("previous", "", "commit whose operator and daemon are mixed with the present ones; empty is the one before the last that changed what is shipped")

// TestOperatorAndDaemonsOfTwoCommitsUnderstandEachOther is what happens in the middle of every upgrade. The kinds are
// the present ones in both cases, because an upgrade begins with them.
func TestOperatorAndDaemonsOfTwoCommitsUnderstandEachOther(t *testing.T) {
	ctrl.SetLogger(logr.Discard())
	commit := before(t)
	old := checkOut(t, commit)
	oldBin, newBin := t.TempDir(), t.TempDir()
	const operator, nodes = "cmd/sriov-network-operator", "test/fleet/cmd/nodes"
	oldOperator, oldNodes := program(t, old, oldBin, operator), program(t, old, oldBin, nodes)
	newOperator, newNodes := program(t, repository, newBin, operator), program(t, repository, newBin, nodes)
	t.Run("daemons of commit "+commit, func(t *testing.T) { mix(t, newOperator, oldNodes) })
	t.Run("operator of commit "+commit, func(t *testing.T) { mix(t, oldOperator, newNodes) })
}

// mix lets an operator and daemons change eight nodes, for which pods have to leave and two nodes to reboot.
func mix(t *testing.T, operator, nodes string) {
	t.Helper()
	c := newCluster(t, 8, intstr.FromInt32(2))
	end := c.start(nodes, "", append([]string{"-kubeconfig", c.plane.Kubeconfig(), "-namespace", c.ns, "-limit", "2"}, c.nodes...)...)
	c.operate(operator)
	c.await("new VFs", c.nodes, succeeded(4, 2, "mlx5_core"))
	c.populate()
	c.await("VFs given to pods", c.nodes, assigned)
	c.edit("first", func(p *sriovv1.SriovNetworkNodePolicySpec) { p.NumVfs = 6 })
	c.await("other VFs, where a pod leaves", c.nodes, succeeded(6, 2, "mlx5_core"))
	c.edit("userspace", func(p *sriovv1.SriovNetworkNodePolicySpec) { p.DeviceType = sriovv1.DeviceTypeVfioPci })
	c.await("userspace drivers, where a node reboots", c.reboots, succeeded(6, 2, "vfio-pci"))
	c.checkEnd()
	end()
}

// before is the commit to mix with.
func before(t *testing.T) string {
	t.Helper()
	if *previous != "" {
		return *previous
	}
	commits := strings.Fields(git(t, "log", "-2", "--format=%h", "--", "api", "cmd", "internal", ":!*_test.go"))
	if len(commits) < 2 {
		t.Fatalf("the history holds %d commits that changed api, cmd or internal, and two are needed: one to mix with the present. Fetch more of it "+
			"(git fetch --deepen=100), or name a commit with -previous.", len(commits))
	}
	return commits[1]
}

// checkOut writes the tree of a commit to a folder. A commit from before this package gets it: the program that runs
// daemons on simulated machines, not the daemons.
func checkOut(t *testing.T, commit string) string {
	t.Helper()
	dir := t.TempDir()
	extract := exec.CommandContext(t.Context(), "tar", "-x", "-C", dir)
	extract.Stdin = strings.NewReader(git(t, "archive", "--format=tar", commit))
	if out, err := extract.CombinedOutput(); err != nil {
		t.Fatalf("extract commit %s: %v\n%s", commit, err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "test/fleet")); err == nil {
		return dir
	}
	if err := os.CopyFS(filepath.Join(dir, "test/fleet"), os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// git asks the repository.
func git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	var problem bytes.Buffer
	cmd.Dir, cmd.Stderr = repository, &problem
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, problem.String())
	}
	return string(out)
}

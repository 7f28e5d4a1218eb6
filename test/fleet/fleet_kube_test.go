// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package fleet_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/test/fleet"
)

const (
	// deadline is how long a drain may take while others wait.
	deadline = 5 * time.Second
	// reaction is how long everybody together may take to react.
	reaction = 3 * time.Second
	// starved is how long a turn may be free. On a machine with much else to do it takes as
	// long to give turns as to use them, and one is free all the time.
	starved = 90 * time.Second
)

// TestTwoHundredNodesTakeTurns changes what two hundred nodes are: first in a way for which one pod of each must leave,
// then a quarter of them in a way for which they must reboot. One kubelet does not let its pods go, and one machine
// refuses; neither may keep others from their turn.
func TestTwoHundredNodesTakeTurns(t *testing.T) {
	ctrl.SetLogger(logr.Discard())
	c := newCluster(t, 200, intstr.FromString("10%"))
	laws := fleet.NewLaws(fleet.Terms{Limit: 20, Turn: deadline + reaction, Idle: starved, Now: time.Now})
	f := run(c, laws)
	c.operate(program(t, repository, t.TempDir(), "cmd/sriov-network-operator"), "-drain-deadline", deadline.String())
	c.await("new VFs", c.nodes, succeeded(4, 2, "mlx5_core"))
	if out := laws.Seen().Turns; out > 0 {
		t.Errorf("new VFs disturb nobody, and there were %d turns", out)
	}
	c.populate()
	c.await("VFs given to pods", c.nodes, assigned)

	hangs, refuses := c.reboots[7], c.reboots[23]
	f.Node(hangs).Hang()
	f.Node(refuses).Machine().Fail("sys/bus/pci/devices/"+fleet.FirstPort+"/sriov_numvfs", syscall.ENOMEM)
	c.edit("first", func(p *sriovv1.SriovNetworkNodePolicySpec) { p.NumVfs = 6 })
	c.await("other VFs, where a pod leaves", others(c.nodes, []string{hangs, refuses}), succeeded(6, 2, "mlx5_core"))
	c.await("the node that cannot", []string{refuses}, failed)
	drains := laws.Seen()
	t.Logf("%d turns, at most %d at a time; at most %v kept while others waited, %v free", drains.Turns, drains.Out, drains.Kept, drains.Free)
	if drains.Turns < len(c.nodes) || drains.Out < 2 {
		t.Errorf("there were %d turns for %d nodes, and %d at a time", drains.Turns, len(c.nodes), drains.Out)
	}

	for _, name := range []string{hangs, refuses} {
		if err := f.Node(name).Mend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.edit("userspace", func(p *sriovv1.SriovNetworkNodePolicySpec) { p.DeviceType = sriovv1.DeviceTypeVfioPci })
	c.await("userspace drivers, where a node reboots", c.reboots, succeeded(6, 2, "vfio-pci"))
	c.await("the others", others(c.nodes, c.reboots), succeeded(6, 2, "mlx5_core"))
	c.checkEnd()
	for _, name := range c.nodes {
		want := 0
		if c.node(name).Labels[labelReboots] == "yes" {
			want = 1
		}
		if got := f.Node(name).Machine().Reboots(); len(got) != want {
			t.Errorf("%s has rebooted %d times and not %d: %q", name, len(got), want, got)
		}
	}
}

// run runs the nodes in this process until the test ends; a promise that was broken fails it.
func run(c *cluster, laws *fleet.Laws) *fleet.Fleet {
	c.t.Helper()
	f, err := fleet.New(c.plane.Config(), c.ns, c.nodes, laws)
	if err != nil {
		c.t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(c.t.TempDir(), "daemons.log"))
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(c.t.Context()))
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx, slog.New(slog.NewTextHandler(log, nil))) }()
	c.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			c.t.Errorf("the nodes: %v", err)
		}
		for _, b := range laws.Seen().Breaches {
			c.t.Error(b)
		}
		_ = log.Close()
	})
	return f
}

// assigned is why the two pods that hold VFs are not yet in the status.
func assigned(s *sriovv1.SriovNetworkNodeState) string {
	n := 0
	for i := range s.Status.Interfaces {
		for _, vf := range s.Status.Interfaces[i].VFs {
			if vf.Assigned != "" {
				n++
			}
		}
	}
	if n != 2 {
		return fmt.Sprintf("%d VFs are assigned", n)
	}
	return ""
}

// failed is why a node has not yet failed and given its turn back.
func failed(s *sriovv1.SriovNetworkNodeState) string {
	held := s.Annotations[sriovv1.AnnotationCurrentState]
	if s.Status.SyncStatus != sriovv1.SyncStatusFailed || held != sriovv1.DrainIdle {
		return fmt.Sprintf("%s, and has %s", s.Status.SyncStatus, held)
	}
	return ""
}

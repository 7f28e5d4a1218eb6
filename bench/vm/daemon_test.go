// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm

package vm_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/test/kube"
	"github.com/kubeovn/sriov-network-operator/test/vm"
	"github.com/kubeovn/sriov-network-operator/test/vm/node"
)

// worker is the node that the machine is, patience how long a change of it may take.
const (
	worker   = "worker"
	patience = 5 * time.Minute
)

// BenchmarkDaemon measures the daemon as a node of a cluster: the time from a new spec of its node state to Succeeded, as a
// watch on the host sees both, against the floor, in turn in one machine. Nobody but the benchmark writes specs.
func BenchmarkDaemon(b *testing.B) {
	m := join(b)
	for _, task := range []struct {
		name        string
		start, goal state
	}{
		{"1 PF x 7 VFs", state{}, state{ports: ports[:1], vfs: most}},
		{"4 PFs x 7 VFs", state{}, state{ports: ports, vfs: most}},
		{"1 PF from 7 to 3 VFs", state{ports: ports[:1], vfs: most}, state{ports: ports[:1], vfs: 3}},
	} {
		b.Run(task.name, func(b *testing.B) {
			m := m.in(b)
			measure(b, m.guest, func() pair {
				m.begin(task.start)
				m.stop()
				floor := m.floor(task.goal)
				m.begin(task.start)
				return pair{floor: floor, ours: m.bring(task.goal)}
			})
		})
	}
	b.Run("restart with nothing to do", func(b *testing.B) { m.in(b).restarts() })
	b.Run("idle", func(b *testing.B) { m.in(b).idles() })
}

// member is a machine that is a node of a cluster.
type member struct {
	guest
	cluster *kube.Cluster
	api     client.WithWatch
	states  watch.Interface
}

// join starts a cluster and a machine with the daemon.
func join(b *testing.B) *member {
	b.Helper()
	c := kube.Start(b, kube.WithAudit())
	m := &member{guest: start(b, vm.Forward(node.Forward(c))), cluster: c, api: c.Client()}
	ctx := b.Context()
	if err := m.api.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: worker}}); err != nil {
		b.Fatal(err)
	}
	s := &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: sriovv1.DefaultNamespace, Name: worker}}
	if err := m.api.Create(ctx, s); err != nil {
		b.Fatal(err)
	}
	from := node.Packages()
	if err := node.Join(ctx, m.Machine(), c, worker, node.Programs{Daemon: vm.Build(b, from.Daemon), Kubelet: vm.Build(b, from.Kubelet)}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if b.Failed() {
			b.Logf("the daemon said at last:\n%s", node.Said(context.WithoutCancel(ctx), m.Machine()))
		}
	})
	return m
}

// in is the same for a part of the benchmark.
func (m *member) in(b *testing.B) *member {
	b.Helper()
	part := *m
	part.b = b
	return &part
}

// watch begins with the node state as it is.
func (m *member) watch() {
	m.b.Helper()
	if m.states != nil {
		m.states.Stop()
	}
	var err error
	if m.states, err = m.api.Watch(m.b.Context(), &sriovv1.SriovNetworkNodeStateList{}, client.InNamespace(sriovv1.DefaultNamespace)); err != nil {
		m.b.Fatal(err)
	}
	m.b.Cleanup(m.states.Stop)
}

func (m *member) stop() { m.sh("systemctl stop daemon") }

// begin makes a machine that never was configured, and has the daemon bring it into a state.
func (m *member) begin(want state) {
	m.b.Helper()
	m.stop()
	m.prepare(state{})
	generation := m.write(state{})
	// What the daemon said before counts no more, so that it is there when it says this.
	s := &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: sriovv1.DefaultNamespace, Name: worker}}
	if err := m.api.Status().Patch(m.b.Context(), s, client.RawPatch("application/merge-patch+json", []byte(`{"status": null}`))); err != nil {
		m.b.Fatal(err)
	}
	m.watch()
	m.sh("systemctl start daemon")
	m.succeeded(generation)
	if want.vfs > 0 {
		m.bring(want)
	}
	m.sh("udevadm settle; sync")
}

// bring measures how long the daemon takes from a spec to Succeeded, and looks whether it did all.
func (m *member) bring(goal state) lap {
	m.b.Helper()
	load := readLoad(m.b, m.guest)
	generation := m.write(goal)
	begun := m.await("the spec", func(s *sriovv1.SriovNetworkNodeState) bool { return s.Generation == generation })
	l := lap{Wall: m.succeeded(generation).Sub(begun), others: load.othersSince(m.b, m.guest)}
	m.check(goal)
	return l
}

func (m *member) succeeded(generation int64) time.Time {
	m.b.Helper()
	return m.await("Succeeded", func(s *sriovv1.SriovNetworkNodeState) bool {
		return s.Status.ObservedGeneration >= generation && s.Status.SyncStatus == sriovv1.SyncStatusSucceeded
	})
}

// await waits for the node state to be so, and returns when the watch said it.
func (m *member) await(what string, so func(*sriovv1.SriovNetworkNodeState) bool) time.Time {
	m.b.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		select {
		case e, open := <-m.states.ResultChan():
			if !open {
				m.b.Fatalf("the watch ended before %s", what)
			}
			if s, ok := e.Object.(*sriovv1.SriovNetworkNodeState); ok && so(s) {
				return time.Now()
			}
		case <-late.C:
			m.b.Fatalf("no %s within %v", what, patience)
		}
	}
}

// write writes the spec for a state, as the operator would, and returns its generation.
func (m *member) write(goal state) int64 {
	m.b.Helper()
	spec := sriovv1.SriovNetworkNodeStateSpec{}
	for _, p := range goal.ports {
		spec.Interfaces = append(spec.Interfaces, sriovv1.Interface{
			PciAddress: p.addr, Name: p.netdev, NumVfs: goal.vfs,
			VfGroups: []sriovv1.VfGroup{{PolicyName: "bench", ResourceName: "bench", DeviceType: sriovv1.DeviceTypeNetdevice, VfRange: fmt.Sprintf("0-%d", goal.vfs-1)}},
		})
	}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"interfaces": spec.Interfaces}}) // null for none
	if err != nil {
		m.b.Fatal(err)
	}
	s := &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: sriovv1.DefaultNamespace, Name: worker}}
	if err := m.api.Patch(m.b.Context(), s, client.RawPatch("application/merge-patch+json", patch)); err != nil {
		m.b.Fatal(err)
	}
	return s.Generation
}

// restarts measures a start of the daemon on a node that is as desired: from the making of its process to the decision
// that there is nothing to do, in the machine's own time.
func (m *member) restarts() {
	b := m.b
	m.begin(state{ports: ports, vfs: most})
	var took []float64
	for b.Loop() {
		said := m.sh(`systemctl restart daemon
			pid=$(systemctl show -P MainPID daemon)
			for i in $(seq 600); do
				at=$(journalctl _PID=$pid -o json --no-pager | jq -r 'select(.MESSAGE | contains("\"msg\":\"decided\"")) | .__MONOTONIC_TIMESTAMP' | head -n 1)
				[ -z "$at" ] || break
				sleep 0.5
			done
			echo $(systemctl show -P ExecMainStartTimestampMonotonic daemon) $at
			journalctl _PID=$pid -o cat --no-pager | grep -c 'Rest: AsDesired'`)
		var from, to float64
		var rests int
		if _, err := fmt.Sscan(said, &from, &to, &rests); err != nil || rests == 0 {
			b.Fatalf("the daemon did not rest: %v: %s", err, said)
		}
		took = append(took, (to-from)/1000)
		b.Logf("%.0f ms", took[len(took)-1])
	}
	silence(b)
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2], "ms")
}

// idles measures the daemon on a node that is as desired while nothing happens, for a quarter of a minute each time.
func (m *member) idles() {
	const each = 15 * time.Second
	b := m.b
	m.begin(state{ports: ports, vfs: most})
	time.Sleep(each) // what follows the last change
	before, asked, begun := m.processor(), m.requests(), time.Now()
	for b.Loop() {
		time.Sleep(each)
	}
	took := time.Since(begun)
	silence(b)
	b.ReportMetric(100*(m.processor()-before).Seconds()/took.Seconds(), "%-of-a-core")
	b.ReportMetric(float64(m.requests()-asked)/took.Minutes(), "requests/min")
	for name, of := range map[string]string{"resident-MiB": "VmRSS", "most-MiB": "VmHWM"} {
		kib, err := strconv.ParseFloat(strings.TrimSpace(m.sh("awk '/^"+of+":/ {print $2}' /proc/$(systemctl show -P MainPID daemon)/status")), 64)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(kib/1024, name)
	}
}

// processor is the time of a processor that the daemon's process has had.
func (m *member) processor() time.Duration {
	m.b.Helper()
	const tick = 10 * time.Millisecond // USER_HZ
	var user, system int64
	text := m.sh("cut -d' ' -f14,15 /proc/$(systemctl show -P MainPID daemon)/stat")
	if _, err := fmt.Sscan(text, &user, &system); err != nil {
		m.b.Fatal(err)
	}
	return time.Duration(user+system) * tick
}

// requests are those of the daemon that the API server has answered, or begun to where they are watches.
func (m *member) requests() int {
	m.b.Helper()
	file, err := os.Open(m.cluster.Audit())
	if err != nil {
		m.b.Fatal(err)
	}
	defer func() { _ = file.Close() }() // it is only read
	seen := map[string]bool{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var r struct{ AuditID, UserAgent string }
		if json.Unmarshal(lines.Bytes(), &r) == nil && strings.HasPrefix(r.UserAgent, "sriov-network-config-daemon/") {
			seen[r.AuditID] = true
		}
	}
	if err := lines.Err(); err != nil {
		m.b.Fatal(err)
	}
	return len(seen)
}

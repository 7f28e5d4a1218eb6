// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/daemon"
	"github.com/kubeovn/sriov-network-operator/internal/holders"
	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/host/sim"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// The ports of every machine, and their netdevs.
const (
	FirstPort  = "0000:5f:00.0"
	FirstName  = "ens41f0np0"
	SecondPort = "0000:5f:00.1"
	SecondName = "ens41f1np1"
)

//go:embed machine.yaml
var description []byte

// booting is how long a machine is away that reboots.
const booting = 300 * time.Millisecond

// Node is a machine with its daemon and its kubelet.
type Node struct {
	name    string
	fleet   *Fleet
	machine *sim.Machine

	mu sync.Mutex
	// held are the pods that hold VFs, and ending those that were ever made to leave, by UID.
	held   map[types.UID]holding
	ending map[types.UID]*corev1.Pod
	// hangs says that the kubelet lets no pod go.
	hangs bool
}

// holding is what a pod holds.
type holding struct {
	holders.Pod
	vf hw.VFRef
}

func newNode(f *Fleet, name string) (*Node, error) {
	machine, err := sim.Parse(description)
	if err != nil {
		return nil, fmt.Errorf("make the machine of %s: %w", name, err)
	}
	return &Node{name: name, fleet: f, machine: machine, held: map[types.UID]holding{}, ending: map[types.UID]*corev1.Pod{}}, nil
}

// Machine is the node's machine.
func (n *Node) Machine() *sim.Machine { return n.machine }

// Pods implements daemon.Holders.
func (n *Node) Pods(context.Context) ([]holders.Pod, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make([]holders.Pod, 0, len(n.held))
	for _, h := range n.held {
		out = append(out, h.Pod)
	}
	slices.SortFunc(out, func(a, b holders.Pod) int { return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name) })
	return out, nil
}

// Reboot implements host.Power.
func (n *Node) Reboot(ctx context.Context, why string) error {
	n.fleet.laws.Down(n.name)
	return n.machine.Host().Power.Reboot(ctx, why)
}

// run runs the daemon until the context ends, and anew after each reboot.
func (n *Node) run(ctx context.Context, log *slog.Logger) error {
	for {
		if err := n.live(ctx, log); err != nil {
			return fmt.Errorf("the daemon of %s ended: %w", n.name, err)
		}
		if !n.machine.Killed() {
			return nil
		}
		if err := n.boot(ctx); err != nil {
			return fmt.Errorf("boot %s: %w", n.name, err)
		}
	}
}

// live runs the daemon until the context ends or the machine reboots.
func (n *Node) live(ctx context.Context, log *slog.Logger) error {
	doors := n.machine.Host()
	doors.Power = n
	err := daemon.Run(ctx, daemon.Options{
		Node: n.name, Namespace: n.fleet.namespace, API: rest.CopyConfig(n.fleet.config), Host: doors, Holders: n, Now: n.fleet.now, Log: log,
		Pace: daemon.Pace{Retries: []time.Duration{200 * time.Millisecond, 500 * time.Millisecond}, Rendered: time.Second, Leaving: 200 * time.Millisecond},
	})
	if n.machine.Killed() {
		return nil // the process died with the machine
	}
	return err
}

// boot lets the machine come up again; the cluster sees it go and come.
func (n *Node) boot(ctx context.Context) error {
	if err := n.fleet.setReady(ctx, n.name, corev1.ConditionFalse); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(booting):
	}
	n.machine.Revive()
	n.fleet.laws.Up(n.name)
	return n.fleet.setReady(ctx, n.name, corev1.ConditionTrue)
}

// setReady says as the kubelet does whether a node is ready.
func (f *Fleet) setReady(ctx context.Context, node string, ready corev1.ConditionStatus) error {
	text, err := json.Marshal(map[string]any{"status": corev1.NodeStatus{Conditions: []corev1.NodeCondition{
		{Type: corev1.NodeReady, Status: ready, LastHeartbeatTime: metav1.NewTime(f.now()), LastTransitionTime: metav1.NewTime(f.now())},
	}}})
	if err != nil {
		return err
	}
	object := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}
	return f.api.Status().Patch(ctx, object, client.RawPatch(types.MergePatchType, text))
}

// lacks says in what the machine differs from a spec, on one PF or with an empty address on any; empty if in nothing.
// It reads the machine as the kernel shows it.
func (n *Node) lacks(s *sriovv1.SriovNetworkNodeState, only string) string {
	files := n.machine.Reader().Files
	for _, want := range s.Spec.Interfaces {
		if only != "" && want.PciAddress != only {
			continue
		}
		dir := path.Join("sys/bus/pci/devices", want.PciAddress)
		text, err := fs.ReadFile(files, path.Join(dir, "sriov_numvfs"))
		if err != nil {
			return err.Error()
		}
		if got := strings.TrimSpace(string(text)); got != strconv.Itoa(want.NumVfs) {
			return fmt.Sprintf("%s has %s VFs of %d", want.PciAddress, got, want.NumVfs)
		}
		for vf := range want.NumVfs {
			link, err := files.ReadLink(path.Join(dir, "virtfn"+strconv.Itoa(vf), "driver"))
			if err != nil {
				return err.Error()
			}
			if got := path.Base(link); (got == vfioPCI) != (driverOf(want, vf) == vfioPCI) {
				return fmt.Sprintf("VF %d of %s has driver %s", vf, want.PciAddress, got)
			}
		}
	}
	return ""
}

var _ host.Power = (*Node)(nil)

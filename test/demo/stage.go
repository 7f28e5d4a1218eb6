// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/daemon"
	"github.com/kubeovn/sriov-network-operator/internal/holders"
	"github.com/kubeovn/sriov-network-operator/internal/host/sim"
	"github.com/kubeovn/sriov-network-operator/test/kube"
	"github.com/kubeovn/sriov-network-operator/test/kube/binaries"
	"github.com/kubeovn/sriov-network-operator/test/vm/clone"
	"github.com/kubeovn/sriov-network-operator/test/vm/node"
)

// description is the machine that all simulated nodes have: one ConnectX-5 with two ports.
const description = "test/demo/machine.yaml"

// stage is a control plane with the operator and its daemons.
type stage struct {
	folders
	cast    []member
	cluster *kube.Cluster
	machine *clone.Clone // nil without a VM
	stop    context.CancelFunc
	running sync.WaitGroup
	broken  chan error // what has failed of what runs; one is enough
}

// folders are where things are: the repository, and the programs.
type folders struct{ root, bin string }

// newStage starts everything.
func newStage(ctx context.Context, b binaries.Builder, at folders, c []member) (*stage, error) {
	var err error
	// It is told to people who are in another folder.
	if at.bin, err = filepath.Abs(at.bin); err != nil {
		return nil, fmt.Errorf("find the programs: %w", err)
	}
	cluster, err := kube.Launch(ctx, b, kube.WithNetworkAttachments(), kube.WithControllerManager(), kube.WithScheduler(), kube.WithKwok(0))
	if err != nil {
		return nil, err
	}
	// What runs is ended by close alone: an interrupt ends the commands first.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &stage{folders: at, cast: c, cluster: cluster, stop: stop, broken: make(chan error, 1)}
	if err := s.raise(ctx, background); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stage) raise(ctx, background context.Context) error {
	config := &sriovv1.SriovOperatorConfig{ObjectMeta: metav1.ObjectMeta{Namespace: sriovv1.DefaultNamespace, Name: sriovv1.DefaultConfigName}}
	if err := s.cluster.Client().Create(ctx, config); err != nil {
		return fmt.Errorf("create the operator configuration: %w", err)
	}
	for _, m := range s.cast {
		if err := s.cluster.Client().Create(ctx, newNode(m.name)); err != nil {
			return fmt.Errorf("create node %s: %w", m.name, err)
		}
	}
	if err := s.operator(); err != nil {
		return err
	}
	for _, m := range s.cast {
		start := s.simulate
		if m.kind == virtual {
			start = s.boot
		}
		if err := start(ctx, background, m.name); err != nil {
			return err
		}
	}
	return s.awaitInventories(ctx)
}

// newNode is a worker with SR-IOV hardware, whose kubelet kwok plays.
func newNode(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: name,
		Labels: map[string]string{
			corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64", corev1.LabelHostname: name,
			sriovv1.LabelSriovCapable: sriovv1.LabelSriovCapableTrue,
		},
		Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"},
	}}
}

// operator runs the operator's program. Nobody pulls the images.
func (s *stage) operator() error {
	return s.cluster.RunOperator(filepath.Join(s.bin, "sriov-network-operator"),
		"SRIOV_NETWORK_CONFIG_DAEMON_IMAGE=demo", "SRIOV_DEVICE_PLUGIN_IMAGE=demo", "SRIOV_NETWORK_WEBHOOK_IMAGE=demo",
		"NETWORK_RESOURCES_INJECTOR_IMAGE=demo", "SRIOV_CNI_IMAGE=demo", "SRIOV_INFINIBAND_CNI_IMAGE=demo")
}

// simulate runs the daemon of a node, on a simulated machine of its own.
func (s *stage) simulate(_, background context.Context, name string) error {
	text, err := os.ReadFile(filepath.Join(s.root, description))
	if err != nil {
		return fmt.Errorf("read the description of the machines: %w", err)
	}
	machine, err := sim.Parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", description, err)
	}
	machine.SetDelays(delays())
	log, err := os.Create(filepath.Join(s.cluster.Folder(), name+".log"))
	if err != nil {
		return fmt.Errorf("make a log: %w", err)
	}
	s.running.Go(func() {
		defer func() { _ = log.Close() }() // it goes with the cluster
		err := daemon.Run(background, daemon.Options{
			Node: name, Namespace: sriovv1.DefaultNamespace, API: s.cluster.Config(), Host: machine.Host(), Holders: nobody{},
			Now: time.Now, Log: slog.New(slog.NewTextHandler(log, nil)),
		})
		if err != nil {
			s.failed(fmt.Errorf("the daemon of %s ended: %w", name, err))
		}
	})
	return nil
}

// boot restores a VM and runs the daemon in it.
func (s *stage) boot(ctx, background context.Context, name string) error {
	images, err := newImages()
	if err != nil {
		return err
	}
	s.machine, err = clone.Start(ctx, images, clone.Spec{Hostname: name, Forward: node.Forward(s.cluster)})
	if err != nil {
		return fmt.Errorf("start a virtual machine: %w", err)
	}
	s.running.Go(func() {
		select {
		case <-s.machine.Dead():
			s.failed(fmt.Errorf("the virtual machine of %s ended: %w", name, s.machine.Death()))
		case <-background.Done():
		}
	})
	return node.Join(ctx, s.machine.Machine, s.cluster, name, node.Programs{
		Daemon: filepath.Join(s.bin, "sriov-network-config-daemon"), Kubelet: filepath.Join(s.bin, "demo", "kubelet"),
	})
}

// delays are about those of a ConnectX-5; bench/sim tells where they are from.
func delays() sim.Delays {
	return sim.Delays{
		NumVFs: 50 * time.Millisecond, AddVF: 60 * time.Millisecond, RemoveVF: 20 * time.Millisecond,
		Bind: 180 * time.Millisecond, Unbind: 60 * time.Millisecond, Up: 30 * time.Millisecond, TCOffload: 20 * time.Millisecond,
		Eswitch: 400 * time.Millisecond, EswitchVF: 30 * time.Millisecond, Module: 20 * time.Millisecond,
		UdevReload: 20 * time.Millisecond, Udev: 20 * time.Millisecond,
	}
}

// nobody holds a VF: the pods of simulated nodes do not run.
type nobody struct{}

func (nobody) Pods(context.Context) ([]holders.Pod, error) { return nil, nil }

// start is how long the daemons may take to publish their NICs: seconds, unless the machine is very busy.
const start = 3 * time.Minute

// awaitInventories waits until every daemon has published its NICs.
func (s *stage) awaitInventories(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, start, fmt.Errorf("not within %v", start))
	defer cancel()
	w, err := s.cluster.Client().Watch(ctx, &sriovv1.SriovNetworkNodeStateList{}, client.InNamespace(sriovv1.DefaultNamespace))
	if err != nil {
		return fmt.Errorf("watch the node states: %w", err)
	}
	defer w.Stop()
	silent := map[string]bool{}
	for _, m := range s.cast {
		silent[m.name] = true
	}
	for e := range w.ResultChan() {
		if state, ok := e.Object.(*sriovv1.SriovNetworkNodeState); ok && len(state.Status.Interfaces) > 0 {
			delete(silent, state.Name)
		}
		if len(silent) == 0 {
			return nil
		}
	}
	return fmt.Errorf("%d of %d daemons did not publish their NICs: %w%s", len(silent), len(s.cast), context.Cause(ctx), s.ailments())
}

// failed takes in that something has ended that should not.
func (s *stage) failed(err error) {
	select {
	case s.broken <- err:
	default:
	}
}

// failures are what has ended and should not, of what runs here and of the cluster's programs.
func (s *stage) failures() error {
	err := s.cluster.Died()
	select {
	case one := <-s.broken:
		return errors.Join(one, err)
	default:
		return err
	}
}

// close ends everything, the control plane last.
func (s *stage) close() error {
	s.stop()
	s.running.Wait()
	var err error
	if s.machine != nil {
		err = s.machine.Close()
	}
	return errors.Join(err, s.cluster.Close())
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
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
)

// description is the machine that all nodes have: one ConnectX-5 with two ports.
const description = "test/demo/machine.yaml"

// nodes are the nodes of the demonstration.
func nodes() []string { return []string{"node1", "node2", "node3"} }

// stage is a control plane with the operator and its daemons.
type stage struct {
	folders
	cluster *kube.Cluster
	stop    context.CancelFunc
	running sync.WaitGroup
	mu      sync.Mutex
	errs    []error
}

// folders are where things are: the repository, the programs, and what the programs log.
type folders struct{ root, bin, logs string }

// newStage starts everything.
func newStage(ctx context.Context, b binaries.Builder, at folders) (*stage, error) {
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
	s := &stage{cluster: cluster, folders: at, stop: stop}
	if err := s.raise(ctx, background); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stage) raise(ctx, background context.Context) error {
	for _, name := range nodes() {
		if err := s.cluster.Client().Create(ctx, newNode(name)); err != nil {
			return fmt.Errorf("create node %s: %w", name, err)
		}
	}
	config := &sriovv1.SriovOperatorConfig{ObjectMeta: metav1.ObjectMeta{Namespace: sriovv1.DefaultNamespace, Name: sriovv1.DefaultConfigName}}
	if err := s.cluster.Client().Create(ctx, config); err != nil {
		return fmt.Errorf("create the operator configuration: %w", err)
	}
	if err := s.operator(background); err != nil {
		return err
	}
	for _, name := range nodes() {
		if err := s.daemon(background, name); err != nil {
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

// operator runs the operator's program.
func (s *stage) operator(ctx context.Context) error {
	log, err := os.Create(filepath.Join(s.logs, "operator.log"))
	if err != nil {
		return fmt.Errorf("make a log: %w", err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "sriov-network-operator"),
		"--metrics-bind-address=0", "--health-probe-bind-address=0", "--leader-elect=false")
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.cluster.Kubeconfig(),
		"SRIOV_NETWORK_CONFIG_DAEMON_IMAGE=demo", "SRIOV_DEVICE_PLUGIN_IMAGE=demo", "SRIOV_NETWORK_WEBHOOK_IMAGE=demo",
		"NETWORK_RESOURCES_INJECTOR_IMAGE=demo", "SRIOV_CNI_IMAGE=demo", "SRIOV_INFINIBAND_CNI_IMAGE=demo")
	cmd.Stdout, cmd.Stderr = log, log
	// An interrupt of the terminal is the demonstration's to hand on.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the operator: %w", err)
	}
	s.running.Go(func() {
		err := cmd.Wait()
		if ctx.Err() == nil {
			s.failed(fmt.Errorf("the operator ended; see %s: %w", log.Name(), err))
		}
	})
	return nil
}

// daemon runs the daemon of a node, on a simulated machine of its own.
func (s *stage) daemon(ctx context.Context, name string) error {
	text, err := os.ReadFile(filepath.Join(s.root, description))
	if err != nil {
		return fmt.Errorf("read the description of the machines: %w", err)
	}
	machine, err := sim.Parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", description, err)
	}
	machine.SetDelays(delays())
	log, err := os.Create(filepath.Join(s.logs, name+".log"))
	if err != nil {
		return fmt.Errorf("make a log: %w", err)
	}
	s.running.Go(func() {
		err := daemon.Run(ctx, daemon.Options{
			Node: name, Namespace: sriovv1.DefaultNamespace, API: s.cluster.Config(), Host: machine.Host(), Holders: nobody{},
			Now: time.Now, Log: slog.New(slog.NewTextHandler(log, nil)),
		})
		if err != nil {
			s.failed(fmt.Errorf("the daemon of %s ended: %w", name, err))
		}
	})
	return nil
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

// awaitInventories waits until every daemon has published its NICs.
func (s *stage) awaitInventories(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	w, err := s.cluster.Client().Watch(ctx, &sriovv1.SriovNetworkNodeStateList{}, client.InNamespace(sriovv1.DefaultNamespace))
	if err != nil {
		return fmt.Errorf("watch the node states: %w", err)
	}
	defer w.Stop()
	told := map[string]bool{}
	for e := range w.ResultChan() {
		if state, ok := e.Object.(*sriovv1.SriovNetworkNodeState); ok && len(state.Status.Interfaces) > 0 {
			told[state.Name] = true
		}
		if len(told) == len(nodes()) {
			return nil
		}
	}
	return errors.Join(fmt.Errorf("%d of %d daemons did not publish their NICs in time: %w", len(nodes())-len(told), len(nodes()), ctx.Err()), s.failures())
}

func (s *stage) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs = append(s.errs, err)
}

func (s *stage) failures() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.errs...)
}

// close ends everything, the control plane last.
func (s *stage) close() error {
	s.stop()
	s.running.Wait()
	return errors.Join(s.failures(), s.cluster.Close())
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package node makes a machine of the VM rig a node of a cluster on the host: the operator's daemon is a service of the
// machine, and so is a program that says what its kubelet would of the pods that hold VFs.
package node

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubeovn/sriov-network-operator/test/kube"
	"github.com/kubeovn/sriov-network-operator/test/vm/machine"
)

//go:embed daemon.service
var daemonUnit string // NODE stands for the node's name

//go:embed kubelet.service
var kubeletUnit string

// Programs are the paths on the host of what runs in the machine, compiled for it.
type Programs struct {
	Daemon  string // cmd/sriov-network-config-daemon
	Kubelet string // test/vm/kubelet
}

// Packages are what Programs are compiled from.
func Packages() Programs {
	const module = "github.com/kubeovn/sriov-network-operator/"
	return Programs{Daemon: module + "cmd/sriov-network-config-daemon", Kubelet: module + "test/vm/kubelet"}
}

// Forward is the address of the host that the machine has to reach: it is started with it.
func Forward(c *kube.Cluster) string { return strings.TrimPrefix(c.Config().Host, "https://") }

// Join starts the daemon in a machine, as a service that comes back when it is killed and after a boot. These pods
// hold VFs. The Node itself is the caller's to make.
func Join(ctx context.Context, m *machine.Machine, c *kube.Cluster, name string, p Programs, pods ...Pod) error {
	config, err := kubeconfig(c)
	if err != nil {
		return fmt.Errorf("make %s a node: %w", name, err)
	}
	for to, from := range map[string]string{"/usr/local/bin/daemon": p.Daemon, "/usr/local/bin/kubelet": p.Kubelet} {
		if err := m.PushFile(ctx, from, to); err != nil {
			return fmt.Errorf("make %s a node: %w", name, err)
		}
	}
	for path, content := range map[string][]byte{
		"/etc/kubeconfig":                     config,
		"/etc/systemd/system/daemon.service":  []byte(strings.ReplaceAll(daemonUnit, "NODE", name)),
		"/etc/systemd/system/kubelet.service": []byte(kubeletUnit),
	} {
		if err := m.Push(ctx, path, 0o600, bytes.NewReader(content)); err != nil {
			return fmt.Errorf("make %s a node: %w", name, err)
		}
	}
	if err := Hold(ctx, m, pods...); err != nil {
		return fmt.Errorf("make %s a node: %w", name, err)
	}
	out, err := m.Run(ctx, machine.Command{Argv: []string{"sh", "-ec", "systemctl daemon-reload; systemctl enable --now kubelet daemon"}})
	if err != nil {
		return fmt.Errorf("make %s a node: %w", name, err)
	}
	if out.ExitCode != 0 {
		return fmt.Errorf("make %s a node: start the services: exit code %d: %s", name, out.ExitCode, out.Stderr)
	}
	return nil
}

// kubeconfig is the administrator's, as a machine reaches the API server.
func kubeconfig(c *kube.Cluster) ([]byte, error) {
	config, err := clientcmd.LoadFromFile(c.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	for _, cluster := range config.Clusters {
		cluster.Server, cluster.TLSServerName = "https://"+machine.ForwardAddress, "localhost"
	}
	return clientcmd.Write(*config)
}

// Pod is a pod that holds VFs, as the kubelet tells of it.
type Pod struct {
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Devices   []string `json:"devices"` // PCI addresses
}

// Hold makes these pods of a machine, and no others, hold VFs.
func Hold(ctx context.Context, m *machine.Machine, pods ...Pod) error {
	text, err := json.Marshal(append([]Pod{}, pods...))
	if err != nil {
		return fmt.Errorf("write down who holds VFs: %w", err)
	}
	return m.Push(ctx, "/etc/pods.json", 0o600, bytes.NewReader(text))
}

// Said returns what the daemon of a machine logged last.
func Said(ctx context.Context, m *machine.Machine) string {
	out, err := m.Run(ctx, machine.Command{Argv: []string{"journalctl", "-u", "daemon", "-n", "60", "--no-pager", "-o", "cat"}})
	if err != nil {
		return err.Error()
	}
	return out.Stdout + out.Stderr
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func (c *Cluster) startEtcd() error {
	address := "http://127.0.0.1:" + c.etcd.String()
	return c.add("etcd",
		"--data-dir="+c.file("etcd"),
		"--listen-client-urls="+address, "--advertise-client-urls="+address,
		"--listen-peer-urls=http://127.0.0.1:0",
		"--socket-reuse-port", // the port is reserved for it
		"--unsafe-no-fsync",   // what a test stores may be lost with the machine
		"--log-level=warn",
	)
}

// startServer starts the API server and waits until it is ready. Its clients
// are authorized as in a cluster: by RBAC, nodes by their own rules, and pods
// need service accounts.
func (c *Cluster) startServer(ctx context.Context) error {
	const issuer = "https://kubernetes.default.svc"
	args := []string{
		"--etcd-servers=http://127.0.0.1:" + c.etcd.String(),
		"--bind-address=127.0.0.1", "--secure-port=" + c.api.String(),
		"--permit-port-sharing", // the port is reserved for it
		"--tls-cert-file=" + c.file("server.crt"), "--tls-private-key-file=" + c.file("server.key"),
		"--client-ca-file=" + c.file("ca.crt"),
		"--service-account-issuer=" + issuer,
		"--service-account-key-file=" + c.file("tokens.pub"), "--service-account-signing-key-file=" + c.file("tokens.key"),
		"--service-cluster-ip-range=10.0.0.0/24",
		"--endpoint-reconciler-type=none", // nobody looks for it at an address of the cluster
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
	}
	if c.options.audit == present {
		if err := os.WriteFile(c.file("audit.yaml"), []byte(auditPolicy), 0o600); err != nil {
			return fmt.Errorf("write the audit policy: %w", err)
		}
		args = append(args, "--audit-policy-file="+c.file("audit.yaml"), "--audit-log-path="+c.Audit(), "--audit-log-maxsize=4096")
	}
	server, err := start(c.dir, c.programs.Program("kube-apiserver"), args...)
	if err != nil {
		return err
	}
	c.server = server
	return await(ctx, "the API server", append([]*process{server}, c.others...), c.ready)
}

// auditPolicy is about requests that have been answered, and watches that have begun.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
`

// ready returns why the API server cannot be used yet.
func (c *Cluster) ready(ctx context.Context) error {
	asker, err := discovery.NewDiscoveryClientForConfig(c.config)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	if err := asker.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error(); err != nil {
		return fmt.Errorf("ask whether it is ready: %w", err)
	}
	if err := c.client.Get(ctx, client.ObjectKey{Name: corev1.NamespaceDefault}, &corev1.Namespace{}); err != nil {
		return fmt.Errorf("get the default namespace: %w", err)
	}
	return nil
}

// startOthers starts what the options add. Nothing waits for them here: what
// they do shows when they are up.
func (c *Cluster) startOthers() error {
	var errs []error
	client := []string{"--kubeconfig=" + c.Kubeconfig(), "--leader-elect=false", "--secure-port=0", "--kube-api-qps=500", "--kube-api-burst=1000"}
	if c.options.controllerManager == present {
		errs = append(errs, c.add("kube-controller-manager", append(client,
			"--controllers=*", "--service-account-private-key-file="+c.file("tokens.key"), "--root-ca-file="+c.file("ca.crt"))...))
	}
	if c.options.scheduler == present {
		errs = append(errs, c.add("kube-scheduler", client...))
	}
	if c.options.kwok == present {
		errs = append(errs, c.add("kwok", "--kubeconfig="+c.Kubeconfig(), "--config="+c.programs.Stages(),
			"--manage-nodes-with-annotation-selector="+kwokAnnotation+"="+kwokValue,
			// The default range has too few addresses for a thousand pods.
			"--node-lease-duration-seconds=40", "--cidr=10.128.0.0/9", "--node-ip=10.0.0.1"))
	}
	return errors.Join(errs...)
}

func (c *Cluster) add(program string, args ...string) error {
	p, err := start(c.dir, c.programs.Program(program), args...)
	if err != nil {
		return err
	}
	c.others = append(c.others, p)
	return nil
}

// restartServer kills the API server, as a crash does, and starts it again at
// the same address.
func (c *Cluster) restartServer(ctx context.Context) error {
	c.server.kill()
	return c.startServer(ctx)
}

// crdFolder is where the operator's CRDs are generated to.
func (c *Cluster) crdFolder() string { return filepath.Join(c.repository, "config", "crd") }

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/test/kube/binaries"
	"github.com/kubeovn/sriov-network-operator/test/kube/pki"
)

// presence says whether a part of the control plane runs.
type presence bool

const (
	absent  presence = false
	present presence = true
)

// options are what a control plane consists of.
type options struct {
	controllerManager, scheduler, networkAttachments presence
	kwok, audit                                      presence
	nodes                                            int
}

// Option changes the control plane that Start gives.
type Option func(*options)

// WithControllerManager adds the controller manager with all its controllers:
// workloads, garbage collection, namespaces' end, service accounts, disruption
// budgets, nodes' life. It costs 100 MiB.
func WithControllerManager() Option { return func(o *options) { o.controllerManager = present } }

// WithScheduler adds the scheduler.
func WithScheduler() Option { return func(o *options) { o.scheduler = present } }

// WithKwok adds kwok, which plays the kubelet of every node that CreateNodes
// made, and so many nodes, which are Ready when Start returns. Their pods run
// as soon as they are bound. It costs 100 MiB for 1,000 nodes.
func WithKwok(nodes int) Option {
	return func(o *options) { o.kwok, o.nodes = present, nodes }
}

// WithAudit lets the API server write down every request: see Audit. It costs a
// little of every request.
func WithAudit() Option { return func(o *options) { o.audit = present } }

// WithNetworkAttachments adds the kind NetworkAttachmentDefinition.
func WithNetworkAttachments() Option { return func(o *options) { o.networkAttachments = present } }

// Cluster is a running control plane.
type Cluster struct {
	options    options
	programs   binaries.Set
	repository string
	dir        string
	etcd, api  port
	server     *process   // kube-apiserver
	others     []*process // in the order of their start
	authority  pki.Authority
	config     *rest.Config
	client     client.WithWatch
}

// startTime is how long a control plane may take until it can be used: a few
// seconds, unless the machine is very busy.
const startTime = 2 * time.Minute

// Launch starts a control plane and returns when it can be used. It is Start
// for programs that are no tests; they have to Close it.
func Launch(ctx context.Context, b binaries.Builder, opts ...Option) (*Cluster, error) {
	// Clients complain if nobody has set one. Who has set one before keeps it.
	ctrllog.SetLogger(logr.Discard())
	programs, err := b.Find()
	if err != nil {
		return nil, err
	}
	c := &Cluster{programs: programs, repository: b.Repository}
	for _, o := range opts {
		o(&c.options)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("the control plane was not there within %v", startTime))
	defer cancel()
	if err := c.up(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start a control plane: %w", err), c.Close())
	}
	return c, nil
}

func (c *Cluster) up(ctx context.Context) error {
	var err error
	if c.dir, err = newFolder(); err != nil {
		return err
	}
	if c.etcd, err = reserve(); err != nil {
		return err
	}
	if c.api, err = reserve(); err != nil {
		return err
	}
	if err := c.identify(); err != nil {
		return err
	}
	if err := c.startEtcd(); err != nil {
		return err
	}
	if err := c.startServer(ctx); err != nil {
		return err
	}
	// The garbage collector looks for new kinds but twice a minute: it shall find ours at
	// its first look.
	if err := c.installKinds(ctx); err != nil {
		return err
	}
	if err := c.startOthers(); err != nil {
		return err
	}
	if err := c.admitPods(ctx, corev1.NamespaceDefault); err != nil {
		return err
	}
	if c.options.nodes == 0 {
		return nil
	}
	names, err := c.makeNodes(ctx, c.options.nodes, nil)
	if err != nil {
		return err
	}
	return c.awaitNodes(ctx, names)
}

// identify makes certificates, keys, the administrator's identity and clients.
func (c *Cluster) identify() error {
	var err error
	if c.authority, err = pki.NewAuthority("kube-rig"); err != nil {
		return err
	}
	server, err := c.authority.Server("kubernetes", "kubernetes.default", "kubernetes.default.svc")
	if err != nil {
		return err
	}
	admin, err := c.authority.Client("admin", "system:masters")
	if err != nil {
		return err
	}
	tokens, err := pki.NewKeys()
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"ca.crt": c.authority.Certificate, "server.crt": server.Certificate, "server.key": server.Key,
		"tokens.pub": tokens.Public, "tokens.key": tokens.Private,
	} {
		if err := os.WriteFile(c.file(name), content, 0o600); err != nil {
			return fmt.Errorf("write the certificates: %w", err)
		}
	}
	c.config = &rest.Config{
		Host: "https://127.0.0.1:" + c.api.String(),
		TLSClientConfig: rest.TLSClientConfig{
			CAData: c.authority.Certificate, CertData: admin.Certificate, KeyData: admin.Key,
		},
		QPS: -1, // the API server alone says how fast is too fast
	}
	if err := WriteKubeconfig(c.Kubeconfig(), c.config); err != nil {
		return err
	}
	scheme, err := Scheme()
	if err != nil {
		return err
	}
	c.client, err = client.NewWithWatch(c.config, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	return nil
}

func (c *Cluster) file(name string) string { return filepath.Join(c.dir, name) }

// Scheme returns a scheme of the kinds that Kubernetes has, of CRDs, and of the
// operator's.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, sriovv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("list the known kinds: %w", err)
		}
	}
	return scheme, nil
}

// Close ends the control plane and forgets what it stored.
func (c *Cluster) Close() error {
	processes := c.others
	if c.server != nil {
		processes = append(processes, c.server)
	}
	for _, p := range processes {
		p.kill()
	}
	for _, p := range []port{c.etcd, c.api} {
		if p.Number != 0 {
			p.release()
		}
	}
	if c.dir == "" {
		return nil
	}
	if err := os.RemoveAll(c.dir); err != nil {
		return fmt.Errorf("remove the control plane's folder: %w", err)
	}
	return nil
}

// Died returns which programs have ended by themselves, with what they wrote last.
func (c *Cluster) Died() error {
	var deaths []error
	for _, p := range append([]*process{c.server}, c.others...) {
		deaths = append(deaths, p.died())
	}
	return errors.Join(deaths...)
}

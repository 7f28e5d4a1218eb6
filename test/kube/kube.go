// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubeovn/sriov-network-operator/test/kube/binaries"
	"github.com/kubeovn/sriov-network-operator/test/kube/proxy"
)

// FromCache returns what finds and builds the programs: those of the repository
// that the current folder is in, in the cache that the environment names.
func FromCache() (binaries.Builder, error) {
	repository, err := binaries.Repository(".")
	if err != nil {
		return binaries.Builder{}, err
	}
	cache, err := binaries.DefaultCache(os.Getenv)
	if err != nil {
		return binaries.Builder{}, err
	}
	return binaries.Builder{Repository: repository, Cache: cache, Log: os.Stderr}, nil
}

// Start gives the test a control plane of its own, with the operator's CRDs. It
// goes with the test. If a program of it has died, the test fails and its log
// says what the program wrote last.
func Start(tb testing.TB, opts ...Option) *Cluster {
	tb.Helper()
	b, err := FromCache()
	if err != nil {
		tb.Fatal(err)
	}
	started := time.Now()
	c, err := Launch(tb.Context(), b, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Logf("the control plane came up in %.1f s", time.Since(started).Seconds())
	tb.Cleanup(func() {
		if err := c.Died(); err != nil {
			tb.Error(err)
		}
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

// Config returns the administrator's configuration. It has no limit of requests.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.config) }

// Kubeconfig returns the path of the administrator's kubeconfig.
func (c *Cluster) Kubeconfig() string { return c.file("kubeconfig") }

// Audit returns the path of the file to which WithAudit lets the API server write, a
// line of JSON (audit.k8s.io/v1, Event) for each request as soon as it was answered.
func (c *Cluster) Audit() string { return c.file("audit.log") }

// Client returns the administrator's client, without a cache. It knows the
// kinds of Scheme.
func (c *Cluster) Client() client.WithWatch { return c.client }

// User returns the configuration of any user: name, groups and extra are what
// the API server authorizes and admission sees. The user has no rights but
// those of system:authenticated and what RBAC gives to the name or a group.
func (c *Cluster) User(name string, groups []string, extra map[string][]string) *rest.Config {
	return As(c.config, name, groups, extra)
}

// ServiceAccount returns the configuration of a service account, with a real
// token. With a pod, which must use that account, the token is bound to the pod
// and carries its node's name, as the kubelet's tokens do.
func (c *Cluster) ServiceAccount(tb testing.TB, namespace, account, pod string) *rest.Config {
	tb.Helper()
	token, err := c.serviceAccountToken(tb.Context(), namespace, account, pod)
	if err != nil {
		tb.Fatal(err)
	}
	config := rest.AnonymousClientConfig(c.config)
	config.BearerToken = token
	return config
}

// Behind starts a proxy before the API server and returns the administrator's
// configuration through it. The proxy goes with the test.
func (c *Cluster) Behind(tb testing.TB, p *proxy.Proxy) *rest.Config {
	tb.Helper()
	config, err := p.Start(tb.Context(), c.config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Error(err)
		}
	})
	return config
}

// Namespace makes a namespace for the test, in which pods can be made. Where
// there is a controller manager it is deleted with the test; nothing else
// removes namespaces.
func (c *Cluster) Namespace(tb testing.TB) string {
	tb.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := c.client.Create(tb.Context(), namespace); err != nil {
		tb.Fatalf("make a namespace: %v", err)
	}
	if err := c.admitPods(tb.Context(), namespace.Name); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if c.options.controllerManager == absent {
			return
		}
		if err := c.client.Delete(context.WithoutCancel(tb.Context()), namespace); err != nil {
			tb.Errorf("delete the test's namespace: %v", err)
		}
	})
	return namespace.Name
}

// CreateNodes makes nodes, many at a time, and returns their names, node-0001
// and so on. Each can be edited before it is made; nil edits nothing. With
// WithKwok they become ready by themselves: see AwaitNodes.
func (c *Cluster) CreateNodes(tb testing.TB, count int, edit func(*corev1.Node)) []string {
	tb.Helper()
	names, err := c.makeNodes(tb.Context(), count, edit)
	if err != nil {
		tb.Fatal(err)
	}
	return names
}

// AwaitNodes waits until nodes are Ready and, where a controller manager takes
// their taints away, have none.
func (c *Cluster) AwaitNodes(tb testing.TB, names ...string) {
	tb.Helper()
	ctx, cancel := context.WithTimeoutCause(tb.Context(), startTime, fmt.Errorf("the nodes were not ready within %v", startTime))
	defer cancel()
	if err := c.awaitNodes(ctx, names); err != nil {
		tb.Fatal(err)
	}
}

// Install adds further kinds, and returns when they are served: for what
// appears in a cluster while the operator runs.
func (c *Cluster) Install(tb testing.TB, crds ...*apiextensionsv1.CustomResourceDefinition) {
	tb.Helper()
	ctx, cancel := context.WithTimeoutCause(tb.Context(), startTime, fmt.Errorf("the kinds were not served within %v", startTime))
	defer cancel()
	if err := c.install(ctx, crds...); err != nil {
		tb.Fatal(err)
	}
}

// NetworkAttachments returns the CRD that WithNetworkAttachments installs.
func NetworkAttachments(tb testing.TB) *apiextensionsv1.CustomResourceDefinition {
	tb.Helper()
	crds, err := readKinds(otherKinds)
	if err != nil {
		tb.Fatal(err)
	}
	return crds[0]
}

// RestartServer kills the API server, as a crash does, and returns when it is
// there again, at the same address and with all that was stored.
func (c *Cluster) RestartServer(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeoutCause(tb.Context(), startTime, fmt.Errorf("the API server was not back within %v", startTime))
	defer cancel()
	if err := c.restartServer(ctx); err != nil {
		tb.Fatal(err)
	}
}

// Kubectl runs kubectl as the administrator and returns what it printed. The
// test fails if kubectl does.
func (c *Cluster) Kubectl(tb testing.TB, args ...string) string {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), c.Program("kubectl"), args...)
	// Its cache of the kinds would outlive the cluster.
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig(), "KUBECACHEDIR="+filepath.Join(c.dir, "kubectl"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("kubectl %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// Program returns the path of one of the programs, such as kubectl.
func (c *Cluster) Program(name string) string { return c.programs.Program(name) }

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
	"github.com/kubeovn/sriov-network-operator/test/kube"
)

var plane = kube.Share(kube.WithNetworkAttachments())

func TestMain(m *testing.M) { os.Exit(plane.Main(m)) }

// await waits until what is looked at has nothing to complain of.
func await(t *testing.T, what string, look func() string) {
	t.Helper()
	deadline := time.Now().Add(40 * time.Second)
	for {
		complaint := look()
		if complaint == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: still %s", what, complaint)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// freeAddress is where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// fetch is the status and body of an answer, or the error.
func fetch(t *testing.T, url, token string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer c.CloseIdleConnections()
	answer, err := c.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(body)
}

// TestTheOperatorWaitsForItsKindsThenWorksAndHandsOver runs the whole program. It is one
// story, because a process can run the controllers of one operator only.
func TestTheOperatorWaitsForItsKindsThenWorksAndHandsOver(t *testing.T) {
	cluster := plane.Cluster(t)
	api, ns := cluster.Client(), cluster.Namespace(t)
	install(t, cluster, ns)
	crd := removeCRD(t, api, "sriovnetworkpoolconfigs."+sriovv1.GroupName)
	o := options{
		Namespace: ns, MetricsAddress: freeAddress(t), HealthAddress: freeAddress(t), LeaderElect: true, Workers: 2,
		Operands: operand.Settings{Images: operand.Images{ConfigDaemon: "daemon:1", DevicePlugin: "plugin:1"}},
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	var refused refusals
	config := cluster.ServiceAccount(t, ns, "sriov-network-operator", "")
	config.WrapTransport = refused.wrap
	t.Cleanup(func() {
		for _, request := range refused.all() {
			t.Errorf("the installed roles do not allow %s", request)
		}
	})
	go func() { done <- run(ctx, config, o, func(int) {}) }()
	t.Cleanup(stop)

	await(t, "health", func() string {
		if code, body := fetch(t, "http://"+o.HealthAddress+"/readyz", ""); code != http.StatusOK {
			return fmt.Sprint(code, body)
		}
		return ""
	})
	name := ns + "-node"
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
		sriovv1.LabelOS: sriovv1.LabelOSLinux, sriovv1.LabelSriovCapable: sriovv1.LabelSriovCapableTrue,
	}}}
	if err := api.Create(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := api.Delete(context.WithoutCancel(t.Context()), node); err != nil {
			t.Error(err)
		}
	})
	lease := awaitLease(t, api, ns)
	select {
	case err := <-done:
		t.Fatalf("the operator ended without its kinds: %v", err)
	default:
	}
	cluster.Install(t, crd)
	await(t, "the node state", func() string {
		err := api.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: name}, &sriovv1.SriovNetworkNodeState{})
		if err != nil {
			return err.Error()
		}
		return ""
	})
	checkMetrics(t, cluster, ns, "https://"+o.MetricsAddress+"/metrics")
	useAll(t, api, ns, name)
	if err := cleanup(t.Context(), config, cleanupOptions{namespace: ns, timeout: time.Minute}); err != nil {
		t.Error(err)
	}

	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("the operator ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the operator does not end")
	}
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(lease), lease); err != nil {
		t.Fatal(err)
	}
	if lease.Spec.HolderIdentity != nil && *lease.Spec.HolderIdentity != "" {
		t.Errorf("%s still holds the lease after the end", *lease.Spec.HolderIdentity)
	}
}

// install installs the operator as a person would, in another namespace than the usual.
func install(t *testing.T, cluster *kube.Cluster, ns string) {
	t.Helper()
	folder := t.TempDir()
	deploy := toDeploy(t, folder)
	kustomization(t, folder, "namespace: "+ns, "resources: ["+deploy+"]")
	// The CRDs are there already; who applies them owns them from now on.
	cluster.Kubectl(t, "apply", "--server-side", "--force-conflicts", "-k", folder)
	cluster.Kubectl(t, "apply", "--server-side", "-n", ns, "-f", filepath.Join(folder, deploy, "sriov-operator-config-default.yaml"))
}

// refusals are the requests that the API server refused for want of a right.
type refusals struct {
	mu       sync.Mutex
	requests []string
}

func (r *refusals) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

func (r *refusals) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		answer, err := next.RoundTrip(request)
		if err == nil && answer.StatusCode == http.StatusForbidden {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.requests = append(r.requests, request.Method+" "+request.URL.String())
		}
		return answer, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// useAll lets every controller do what it is for.
func useAll(t *testing.T, api client.Client, ns, node string) {
	t.Helper()
	named := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: ns, Name: name} }
	state := &sriovv1.SriovNetworkNodeState{ObjectMeta: named(node)}
	await(t, "what the daemon reports", func() string {
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(state), state); err != nil {
			return err.Error()
		}
		state.Status.Interfaces = []sriovv1.InterfaceExt{{
			Name: "ens1f0", PciAddress: "0000:d8:00.0", Driver: "mlx5_core", Vendor: "15b3", DeviceID: "1017", TotalVfs: 16, Mtu: 1500, LinkType: "ETH",
		}}
		if err := api.Status().Update(t.Context(), state); err != nil {
			return err.Error()
		}
		return ""
	})
	policy := &sriovv1.SriovNetworkNodePolicy{ObjectMeta: named("policy"), Spec: sriovv1.SriovNetworkNodePolicySpec{
		ResourceName: "vfs", NumVfs: 4, NodeSelector: map[string]string{}, NicSelector: sriovv1.SriovNetworkNicSelector{PfNames: []string{"ens1f0"}},
	}}
	network := &sriovv1.SriovNetwork{ObjectMeta: named("network"), Spec: sriovv1.SriovNetworkSpec{ResourceName: "vfs"}}
	// One that has to be put elsewhere, which takes a finalizer.
	elsewhere := &sriovv1.SriovNetwork{ObjectMeta: named("elsewhere"), Spec: sriovv1.SriovNetworkSpec{ResourceName: "vfs", NetworkNamespace: "default"}}
	pool := &sriovv1.SriovNetworkPoolConfig{ObjectMeta: named("pool")}
	claims := &corev1.ConfigMap{ObjectMeta: named(sriovv1.ConfigMapSriovConfig), Data: map[string]string{node: "a: [broken"}}
	for _, o := range []client.Object{policy, network, elsewhere, pool, claims} {
		if err := api.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	ready := func(conditions []metav1.Condition) string {
		if c := meta.FindStatusCondition(conditions, sriovv1.ConditionReady); c == nil {
			return "without a condition Ready"
		}
		return ""
	}
	config := &sriovv1.SriovOperatorConfig{ObjectMeta: named(sriovv1.DefaultConfigName)}
	plugin, daemon := &corev1.ConfigMap{ObjectMeta: named(sriovv1.ConfigMapDevicePluginConfig)}, &appsv1.DaemonSet{ObjectMeta: named("sriov-network-config-daemon")}
	labelled := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}
	for _, want := range []struct {
		object client.Object
		wrong  func() string
	}{
		{policy, func() string { return ready(policy.Status.Conditions) }},
		{network, func() string { return ready(network.Status.Conditions) }},
		{elsewhere, func() string {
			if len(elsewhere.Finalizers) == 0 {
				return "without a finalizer"
			}
			return ready(elsewhere.Status.Conditions)
		}},
		{pool, func() string { return ready(pool.Status.Conditions) }},
		{config, func() string {
			if !meta.IsStatusConditionTrue(config.Status.Conditions, sriovv1.ConditionReady) {
				return "not ready"
			}
			return ""
		}},
		{plugin, func() string {
			if plugin.Data[node] == "" {
				return "without the node"
			}
			return ""
		}},
		{daemon, func() string { return "" }},
		{labelled, func() string {
			if labelled.Labels[sriovv1.LabelDevicePlugin] != sriovv1.LabelDevicePluginEnabled {
				return "without the label"
			}
			return ""
		}},
	} {
		await(t, fmt.Sprintf("%T %s", want.object, want.object.GetName()), func() string {
			if err := api.Get(t.Context(), client.ObjectKeyFromObject(want.object), want.object); err != nil {
				return err.Error()
			}
			return want.wrong()
		})
	}
	for _, o := range []client.Object{policy, elsewhere} {
		if err := api.Delete(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		await(t, fmt.Sprintf("the end of %T %s", o, o.GetName()), func() string {
			if err := api.Get(t.Context(), client.ObjectKeyFromObject(o), o); client.IgnoreNotFound(err) != nil || err == nil {
				return fmt.Sprintf("there: %v", err)
			}
			return ""
		})
	}
}

// removeCRD deletes a CRD and returns what installs it again.
func removeCRD(t *testing.T, api client.Client, name string) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	var crd apiextensionsv1.CustomResourceDefinition
	if err := api.Get(t.Context(), client.ObjectKey{Name: name}, &crd); err != nil {
		t.Fatal(err)
	}
	if err := api.Delete(t.Context(), &crd); err != nil {
		t.Fatal(err)
	}
	await(t, "the CRD", func() string {
		err := api.Get(t.Context(), client.ObjectKey{Name: name}, &apiextensionsv1.CustomResourceDefinition{})
		if client.IgnoreNotFound(err) == nil && err != nil {
			return ""
		}
		return "there"
	})
	return &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: crd.Annotations}, Spec: crd.Spec}
}

func awaitLease(t *testing.T, api client.Client, ns string) *coordinationv1.Lease {
	t.Helper()
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "sriov-network-operator." + sriovv1.GroupName}}
	await(t, "the lease", func() string {
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(lease), lease); err != nil {
			return err.Error()
		}
		return ""
	})
	return lease
}

// checkMetrics asks for metrics as nobody, as somebody without the right, and with it.
func checkMetrics(t *testing.T, cluster *kube.Cluster, ns, url string) {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "scraper"}}
	if err := client.IgnoreAlreadyExists(cluster.Client().Create(t.Context(), account)); err != nil {
		t.Fatal(err)
	}
	token := cluster.ServiceAccount(t, ns, "scraper", "").BearerToken
	for name, test := range map[string]struct {
		token string
		want  int
	}{
		"nobody": {"", http.StatusUnauthorized}, "an unknown token": {"x", http.StatusUnauthorized}, "no right": {token, http.StatusForbidden},
	} {
		if code, body := fetch(t, url, test.token); code != test.want {
			t.Errorf("%s: %d %s, want %d", name, code, body, test.want)
		}
	}
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: ns + "-metrics"},
		Rules:      []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}},
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: ns + "-metrics"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: ns, Name: "scraper"}},
	}
	for _, object := range []client.Object{role, binding} {
		if err := cluster.Client().Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "metrics", func() string {
		code, body := fetch(t, url, token)
		for _, want := range []string{"sriov_operator_nodes{sync=\"pending\"} 1", "sriov_operator_policies{ready=\"true\"} 0", "sriov_operator_conflicts 0", "sriov_operator_render_seconds_count"} {
			if !strings.Contains(body, want) {
				return fmt.Sprintf("%d without %s", code, want)
			}
		}
		for _, object := range []string{"nodestate", "lease", "configmap", "node", "condition", "other"} {
			count := "sriov_operator_write_seconds_count{object=\"" + object + "\"} "
			if !strings.Contains(body, count) || strings.Contains(body, count+"0\n") {
				return fmt.Sprintf("%d without a write of %s", code, object)
			}
		}
		return ""
	})
}

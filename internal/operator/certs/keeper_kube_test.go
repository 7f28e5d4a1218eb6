// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package certs_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"os"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/operator/certs"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
	"github.com/kubeovn/sriov-network-operator/test/kube"
	"github.com/kubeovn/sriov-network-operator/test/kube/proxy"
)

var plane = kube.Share()

func TestMain(m *testing.M) { os.Exit(plane.Main(m)) }

// needs are the certificates of everything that shows one, in a namespace.
func needs(namespace string) []operand.Certificate {
	config := sriovv1.SriovOperatorConfig{
		ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: namespace, UID: "1"},
		Spec: sriovv1.SriovOperatorConfigSpec{
			EnableOperatorWebhook: true, EnableInjector: true, FeatureGates: map[string]bool{"metricsExporter": true},
		},
	}
	return operand.SelfMade(config, operand.Settings{Namespace: namespace})
}

func connect(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	k, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func keeper(k client.Client) certs.Keeper {
	return certs.Keeper{Reader: k, Writer: k, Now: time.Now, Random: rand.Reader}
}

// secrets are those of a namespace, by name.
func secrets(t *testing.T, k client.Client, namespace string) map[string]corev1.Secret {
	t.Helper()
	var list corev1.SecretList
	if err := k.List(t.Context(), &list, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	out := map[string]corev1.Secret{}
	for _, s := range list.Items {
		out[s.Name] = s
	}
	return out
}

func TestKeepersThatMeetKeepOneCertificate(t *testing.T) {
	c := plane.Cluster(t)
	ns := c.Namespace(t)
	var all sync.WaitGroup
	kept := make([]certs.Kept, 8)
	for i := range kept {
		all.Go(func() {
			var err error
			if kept[i], err = keeper(c.Client()).Keep(t.Context(), needs(ns)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	there := secrets(t, c.Client(), ns)
	if len(there) != 3 {
		t.Errorf("there are %d Secrets", len(there))
	}
	for _, need := range needs(ns) {
		for i := range kept {
			if !bytes.Equal(kept[i].CAs[need.Group], there[need.Secret.Name].Data["ca.crt"]) {
				t.Errorf("keeper %d trusts another CA than the Secret %s has", i, need.Secret.Name)
			}
		}
	}
	before := there["operator-webhook-cert"].ResourceVersion
	if _, err := keeper(c.Client()).Keep(t.Context(), needs(ns)); err != nil {
		t.Fatal(err)
	}
	if after := secrets(t, c.Client(), ns)["operator-webhook-cert"].ResourceVersion; after != before {
		t.Error("a certificate that is right is written again")
	}
}

func TestCertificatesAreKeptThroughAHostileAPI(t *testing.T) {
	c := plane.Cluster(t)
	ns := c.Namespace(t)
	p := proxy.New(1,
		proxy.Rule{Match: proxy.On("secrets", "create"), Times: 1, Fault: proxy.Drop{}},
		proxy.Rule{Match: proxy.On("secrets", "create"), Times: 1, Fault: proxy.Answer{Code: 500}},
		proxy.Rule{Match: proxy.On("secrets", "update"), Times: 2, Fault: proxy.Answer{Code: 409}},
		proxy.Rule{Match: proxy.On("secrets", "update"), After: 2, Times: 1, Fault: proxy.Drop{}},
	)
	k := connect(t, c.Behind(t, p))
	settle := func() certs.Kept {
		t.Helper()
		for range 10 {
			if kept, err := keeper(k).Keep(t.Context(), needs(ns)); err == nil {
				return kept
			}
		}
		t.Fatal("certificates are never kept")
		return certs.Kept{}
	}
	settle()
	torn := secrets(t, c.Client(), ns)["operator-webhook-cert"]
	torn.Data["tls.key"] = []byte{}
	if err := c.Client().Update(t.Context(), &torn); err != nil {
		t.Fatal(err)
	}
	kept := settle()
	mended := secrets(t, c.Client(), ns)["operator-webhook-cert"]
	if len(mended.Data["tls.key"]) == 0 || !bytes.Equal(kept.CAs[operand.Webhook], mended.Data["ca.crt"]) {
		t.Error("the Secret is not mended")
	}
	if struck := p.Struck(); len(struck) < 3 {
		t.Errorf("the faults that struck are %v", struck)
	}
}

func TestASecretOfSomebodyElseStopsNoOther(t *testing.T) {
	c := plane.Cluster(t)
	ns := c.Namespace(t)
	theirs := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "operator-webhook-cert"}, Data: map[string][]byte{"tls.crt": []byte("mine")},
	}
	if err := c.Client().Create(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	kept, err := keeper(c.Client()).Keep(t.Context(), needs(ns))
	if err != nil {
		t.Fatal(err)
	}
	if len(kept.CAs[operand.Webhook]) != 0 || len(kept.CAs[operand.Injector]) == 0 || len(kept.CAs[operand.Exporter]) == 0 {
		t.Errorf("the CAs are %v", maps.Keys(kept.CAs))
	}
	if len(kept.Problems) != 1 || kept.Problems[0].Severity != operand.Refusal || kept.Problems[0].Group != operand.Webhook {
		t.Errorf("the problems are %v", kept.Problems)
	}
	if after := secrets(t, c.Client(), ns)["operator-webhook-cert"]; after.ResourceVersion != theirs.ResourceVersion {
		t.Error("it was changed")
	}
}

// TestARenewalWaitsForEveryWebhookConfiguration that the cluster has, as it has it.
func TestARenewalWaitsForEveryWebhookConfiguration(t *testing.T) {
	c := plane.Cluster(t)
	ns := c.Namespace(t)
	k, now := keeper(c.Client()), time.Now()
	k.Now = func() time.Time { return now.Add(-300 * 24 * time.Hour) }
	keep := func() (certs.Kept, corev1.Secret) {
		t.Helper()
		kept, err := k.Keep(t.Context(), needs(ns))
		if err != nil {
			t.Fatal(err)
		}
		return kept, secrets(t, c.Client(), ns)["network-resources-injector-cert"]
	}
	first, shown := keep()
	hook := &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "network-resources-injector-config"},
		Webhooks: []admissionv1.MutatingWebhook{{
			Name: "a.example.com", AdmissionReviewVersions: []string{"v1"}, SideEffects: new(admissionv1.SideEffectClassNone),
			ClientConfig: admissionv1.WebhookClientConfig{URL: new("https://localhost:1"), CABundle: first.CAs[operand.Injector]},
		}},
	}
	if err := c.Client().Create(t.Context(), hook); err != nil {
		t.Fatal(err)
	}
	k.Now = time.Now
	second, _ := keep()
	k.Now = func() time.Time { return now.Add(48 * time.Hour) }
	if _, s := keep(); !bytes.Equal(s.Data["tls.crt"], shown.Data["tls.crt"]) {
		t.Fatal("the certificate is exchanged while the API server trusts the old CA only")
	}
	hook.Webhooks[0].ClientConfig.CABundle = second.CAs[operand.Injector]
	if err := c.Client().Update(t.Context(), hook); err != nil {
		t.Fatal(err)
	}
	if _, s := keep(); bytes.Equal(s.Data["tls.crt"], shown.Data["tls.crt"]) {
		t.Error("the certificate is not exchanged")
	}
}

// TestASecretThatIsDeletedIsNoticedWithTheRightToItsNameAlone runs a controller with the
// identity of a service account.
func TestASecretThatIsDeletedIsNoticedWithTheRightToItsNameAlone(t *testing.T) {
	c := plane.Cluster(t)
	ns := c.Namespace(t)
	const name = "operator-webhook-cert"
	for _, o := range []client.Object{
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "keeper"}},
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "keeper"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{name}, Verbs: []string{"list", "watch"}},
		}},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "keeper"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "keeper"},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: ns, Name: "keeper"}},
		},
	} {
		if err := c.Client().Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	seen := watch(t, c.ServiceAccount(t, ns, "keeper", ""), ns, name)
	if _, err := keeper(c.Client()).Keep(t.Context(), needs(ns)); err != nil {
		t.Fatal(err)
	}
	await(t, seen, "made")
	secret := secrets(t, c.Client(), ns)[name]
	secret.Data["tls.crt"] = []byte("torn")
	if err := c.Client().Update(t.Context(), &secret); err != nil {
		t.Fatal(err)
	}
	await(t, seen, "torn")
	if err := c.Client().Delete(t.Context(), &secret); err != nil {
		t.Fatal(err)
	}
	await(t, seen, "deleted")
}

// watch runs a controller that watches one Secret until the test ends.
func watch(t *testing.T, config *rest.Config, namespace, name string) chan string {
	t.Helper()
	mgr, err := ctrl.NewManager(config, ctrl.Options{Metrics: server.Options{BindAddress: "0"}, HealthProbeBindAddress: "0"})
	if err != nil {
		t.Fatal(err)
	}
	sources, err := certs.Watch(mgr, namespace, []string{name}, handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
		if s, ok := o.(*corev1.Secret); ok && len(s.Data) > 0 {
			t.Error("the contents of the Secret are in memory")
		}
		return []reconcile.Request{{NamespacedName: client.ObjectKeyFromObject(o)}}
	}))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 100)
	made := ctrl.NewControllerManagedBy(mgr).Named("watch-" + namespace)
	for _, s := range sources {
		made = made.WatchesRawSource(s)
	}
	if err := made.Complete(reconcile.Func(func(_ context.Context, r reconcile.Request) (reconcile.Result, error) {
		seen <- r.Name
		return reconcile.Result{}, nil
	})); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return seen
}

func await(t *testing.T, seen chan string, what string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	select {
	case <-seen:
	case <-ctx.Done():
		t.Fatalf("nobody notices that the Secret was %s", what)
	}
}

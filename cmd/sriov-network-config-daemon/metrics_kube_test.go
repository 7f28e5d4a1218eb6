// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
	"github.com/kubeovn/sriov-network-operator/test/kube"
)

var plane = kube.Share()

func TestMain(m *testing.M) { os.Exit(plane.Main(m)) }

// asDaemon is the way to the API server of a daemon that serves metrics, with the rights
// that are rendered for it.
func asDaemon(t *testing.T, cluster *kube.Cluster, ns string) *rest.Config {
	t.Helper()
	config := sriovv1.SriovOperatorConfig{Spec: sriovv1.SriovOperatorConfigSpec{FeatureGates: map[string]bool{sriovv1.FeatureMetricsExporter: true}}}
	out, _ := operand.Render(config, operand.Settings{Namespace: ns, Images: operand.Images{ConfigDaemon: "daemon"}})
	for _, o := range out.Of(operand.ConfigDaemon).Apply {
		switch operand.RefOf(o).Kind {
		case "ServiceAccount", "ClusterRole", "ClusterRoleBinding":
			create(t, cluster, o)
		}
	}
	return cluster.ServiceAccount(t, ns, "sriov-network-config-daemon", "")
}

func create(t *testing.T, cluster *kube.Cluster, o client.Object) {
	t.Helper()
	if err := cluster.Client().Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func TestMetricsAreForThoseWhoMayReadThem(t *testing.T) {
	cluster := plane.Cluster(t)
	ns := cluster.Namespace(t)
	create(t, cluster, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "scraper"}})
	create(t, cluster, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "passer-by"}})
	create(t, cluster, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: ns}, Rules: []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}},
	})
	create(t, cluster, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: ns}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: ns},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: ns, Name: "scraper"}},
	})
	scraper := cluster.ServiceAccount(t, ns, "scraper", "").BearerToken
	passerBy := cluster.ServiceAccount(t, ns, "passer-by", "").BearerToken

	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := startOptions{metrics: listener.Addr().String(), metricsCerts: t.TempDir()}
	_ = listener.Close()
	t.Cleanup(serveMetrics(t.Context(), o, asDaemon(t, cluster, ns), newRegistry(), slog.New(slog.NewTextHandler(t.Output(), nil))))

	read := func(token string, trusted *tls.Config) (code int, body string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+o.metrics+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		transport := &http.Transport{TLSClientConfig: trusted, DisableKeepAlives: true}
		answer, err := (&http.Client{Transport: transport}).Do(request)
		if err != nil {
			return 0, err.Error()
		}
		defer func() { _ = answer.Body.Close() }()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(text)
	}
	anyone := &tls.Config{InsecureSkipVerify: true}
	for _, test := range []struct {
		who, token string
		want       int
	}{
		{"nobody", "", http.StatusUnauthorized}, {"an unknown token", "x", http.StatusUnauthorized},
		{"no right", passerBy, http.StatusForbidden}, {"the right", scraper, http.StatusOK},
	} {
		code, body := read(test.token, anyone)
		if code != test.want || strings.Contains(body, "go_goroutines") != (test.want == http.StatusOK) {
			t.Errorf("%s: %d %.200s", test.who, code, body)
		}
	}

	// A certificate that comes later is served without a restart.
	public, private, err := cert.GenerateSelfSignedCertKey("metrics.example.svc", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"tls.key": private, "tls.crt": public} {
		if err := os.WriteFile(filepath.Join(o.metricsCerts, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(public)
	if code, body := read(scraper, &tls.Config{RootCAs: roots, ServerName: "metrics.example.svc"}); code != http.StatusOK {
		t.Errorf("with the certificate: %d %s", code, body)
	}
}

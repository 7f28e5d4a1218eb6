// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/admission"
	"github.com/kubeovn/sriov-network-operator/internal/operator/certs"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

func TestOptionsComeFromFlagsAndTheEnvironment(t *testing.T) {
	files := []string{"start", "--tls-cert-file=c", "--tls-private-key-file=k"}
	defaults := options{Namespace: "kube-system", Port: 6443, CertFile: "c", KeyFile: "k", MinVersion: tls.VersionTLS12}
	tests := map[string]struct {
		args []string
		env  map[string]string
		want func(*options)
		says string
	}{
		"nothing is said": {want: func(*options) {}},
		"the environment": {env: map[string]string{"NAMESPACE": "sriov", "DEV_MODE": "TRUE"}, want: func(o *options) { o.Namespace, o.DevMode = "sriov", true }},
		"everything": {
			args: []string{
				"--port=8443", "--enable-http2", "-v=4", "--tls-min-version=VersionTLS13", "--tls-curve-preferences=4588,29",
				"--tls-cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256",
			},
			want: func(o *options) {
				o.Port, o.HTTP2, o.Verbosity, o.MinVersion = 8443, true, 4, tls.VersionTLS13
				o.Suites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_AES_128_GCM_SHA256}
				o.Curves = []tls.CurveID{tls.X25519MLKEM768, tls.X25519}
			},
		},
		"a suite that is not secure":      {args: []string{"--tls-cipher-suites=TLS_RSA_WITH_RC4_128_SHA"}, says: "TLS_RSA_WITH_RC4_128_SHA"},
		"a version that is not secure":    {args: []string{"--tls-min-version=VersionTLS10"}, says: "VersionTLS10"},
		"a curve by its name":             {args: []string{"--tls-curve-preferences=X25519"}, says: "X25519"},
		"a curve that is not offered":     {args: []string{"--tls-curve-preferences=1"}, says: "1 is not offered"},
		"a namespace that cannot be":      {env: map[string]string{"NAMESPACE": "A/B"}, says: "A/B"},
		"a port that cannot be":           {args: []string{"--port=70000"}, says: "70000"},
		"an argument that is no flag":     {args: []string{"run"}, says: "run"},
		"a certificate that has no key":   {args: []string{"--tls-private-key-file="}, says: "--tls-private-key-file"},
		"a flag of the existing operator": {args: []string{"--no-such"}, says: "no-such"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := readOptions(append(files, test.args...), func(key string) string { return test.env[key] }, io.Discard)
			if test.says != "" {
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("error %v, want %q", err, test.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := defaults
			test.want(&want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
		})
	}
	for _, args := range [][]string{nil, {"--help"}, {"serve"}} {
		var help bytes.Buffer
		_, err := readOptions(args, func(string) string { return "" }, &help)
		if err == nil || !strings.Contains(help.String(), "tls-cert-file") {
			t.Errorf("%q: error %v and help %q", args, err, help.String())
		}
		if len(args) > 0 && args[0] == "--help" && !errors.Is(err, flag.ErrHelp) {
			t.Errorf("asking for help is %v", err)
		}
	}
}

// TestTheProgramTakesWhatItsPodSays reads the arguments and the environment of the pod
// that is rendered.
func TestTheProgramTakesWhatItsPodSays(t *testing.T) {
	out, _ := operand.Render(wanted(), operand.Settings{
		Namespace: "sriov", Images: operand.Images{Webhook: "i"}, DevMode: true, Certificates: operand.Certificates{WebhookCA: []byte("x")},
		TLS: operand.TLS{CipherSuites: "ECDHE-ECDSA-AES128-GCM-SHA256", MinVersion: "TLSv1.3", CurvePreferences: "X25519MLKEM768,secp384r1"},
	})
	for _, o := range out.Of(operand.Webhook).Apply {
		d, ok := o.(*appsv1.DaemonSet)
		if !ok {
			continue
		}
		c := d.Spec.Template.Spec.Containers[0]
		env := map[string]string{}
		for _, v := range c.Env {
			env[v.Name] = v.Value
			if v.ValueFrom != nil {
				env[v.Name] = "sriov"
			}
		}
		got, err := readOptions(c.Args, func(key string) string { return env[key] }, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		want := options{
			Namespace: "sriov", DevMode: true, Port: int(c.Ports[0].ContainerPort), CertFile: "/etc/tls/tls.crt", KeyFile: "/etc/tls/tls.key",
			MinVersion: tls.VersionTLS13, Suites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}, Curves: []tls.CurveID{tls.X25519MLKEM768, tls.CurveP384},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("options (-want +got):\n%s", diff)
		}
		if p := c.ReadinessProbe.HTTPGet; p.Path != "/readyz" || p.Port.IntValue() != want.Port || p.Scheme != corev1.URISchemeHTTPS {
			t.Errorf("the probe is %+v", p)
		}
		return
	}
	t.Fatal("there is no pod")
}

func wanted() sriovv1.SriovOperatorConfig {
	return sriovv1.SriovOperatorConfig{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "default"}, Spec: sriovv1.SriovOperatorConfigSpec{EnableOperatorWebhook: true},
	}
}

// certificate is a new Secret of the webhook.
func certificate(t *testing.T, seed byte) *corev1.Secret {
	t.Helper()
	d, err := certs.Decide(operand.SelfMade(wanted(), operand.Settings{})[0], certs.Seen{}, time.Now(), rand.NewChaCha8([32]byte{seed}))
	if err != nil {
		t.Fatal(err)
	}
	return d.Write
}

// mounted is a folder with files as the kubelet mounts a Secret: links to links, of
// which the last is exchanged for all files at once.
type mounted struct {
	t      *testing.T
	folder string
	number int
}

func mount(t *testing.T, s *corev1.Secret) *mounted {
	t.Helper()
	m := &mounted{t: t, folder: t.TempDir()}
	m.replace(s)
	for _, name := range []string{"tls.crt", "tls.key"} {
		if err := os.Symlink(filepath.Join("..data", name), m.file(name)); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func (m *mounted) file(name string) string { return filepath.Join(m.folder, name) }

func (m *mounted) replace(s *corev1.Secret) {
	m.t.Helper()
	m.number++
	version := fmt.Sprintf("..%d", m.number)
	if err := os.Mkdir(m.file(version), 0o700); err != nil {
		m.t.Fatal(err)
	}
	for _, name := range []string{"tls.crt", "tls.key"} {
		if err := os.WriteFile(filepath.Join(m.file(version), name), s.Data[name], 0o600); err != nil {
			m.t.Fatal(err)
		}
	}
	if err := os.Symlink(version, m.file("..new")); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Rename(m.file("..new"), m.file("..data")); err != nil {
		m.t.Fatal(err)
	}
	if err := os.RemoveAll(m.file(fmt.Sprintf("..%d", m.number-1))); err != nil {
		m.t.Fatal(err)
	}
}

// running is a webhook that runs for one test.
type running struct {
	t    *testing.T
	url  string
	stop func()
	done chan error
}

// start runs the webhook; what it would read is asked of api.
func serve(t *testing.T, api *rest.Config, m *mounted, o options) *running {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	p := &running{t: t, url: "https://" + listener.Addr().String(), stop: stop, done: make(chan error, 1)}
	o.CertFile, o.KeyFile, o.MinVersion = m.file("tls.crt"), m.file("tls.key"), tls.VersionTLS12
	go func() { p.done <- run(ctx, api, listener, o, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(stop)
	return p
}

// service is what the API server calls the webhook.
const service = "operator-webhook-service.kube-system.svc"

// client trusts what the Secret says, and makes a connection for each request.
func client(s *corev1.Secret, server string) *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.Data["ca.crt"])
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		RootCAs: pool, ServerName: server, MinVersion: tls.VersionTLS12,
	}}}
}

// get is the status of a path, or the error.
func (p *running) get(c *http.Client, path string) (int, error) {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	answer, err := c.Do(request)
	if err != nil {
		return 0, err
	}
	return answer.StatusCode, answer.Body.Close()
}

// review asks about a policy.
func (p *running) review(c *http.Client) (*admissionv1.AdmissionResponse, error) {
	p.t.Helper()
	object := `{"metadata":{"namespace":"kube-system","name":"p"},"spec":{"resourceName":"vfs","numVfs":1,"nicSelector":{"pfNames":["ens1"]}}}`
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "1", Operation: admissionv1.Create, Object: runtime.RawExtension{Raw: []byte(object)},
			Kind: metav1.GroupVersionKind{Group: sriovv1.GroupName, Version: "v1", Kind: "SriovNetworkNodePolicy"},
		},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.url+admission.PathValidate, bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	answer, err := c.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	var out admissionv1.AdmissionReview
	if err := json.NewDecoder(answer.Body).Decode(&out); err != nil {
		return nil, err
	}
	return out.Response, nil
}

// nowhere is an API server that does not answer.
func nowhere() *rest.Config { return &rest.Config{Host: "https://127.0.0.1:1"} }

// TestAnswersComeBeforeTheAPIServerWasReadAndUntilTheEnd is a webhook's life where the
// API server cannot be read.
func TestAnswersComeBeforeTheAPIServerWasReadAndUntilTheEnd(t *testing.T) {
	t.Parallel()
	s := certificate(t, 1)
	p, c := serve(t, nowhere(), mount(t, s), options{Namespace: "kube-system"}), client(s, service)
	for _, path := range []string{"/readyz", "/healthz"} {
		if code, err := p.get(c, path); err != nil || code != http.StatusOK {
			t.Errorf("%s: %d %v", path, code, err)
		}
	}
	got, err := p.review(c)
	if err != nil || !got.Allowed || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "has not read all nodes, node states, policies") {
		t.Fatalf("%+v %v", got, err)
	}
	p.stop()
	answers, ended := 0, time.Now()
	for unready := false; ; {
		code, err := p.get(c, "/readyz")
		if err != nil {
			break
		}
		unready = unready || code == http.StatusServiceUnavailable
		if got, err := p.review(c); err == nil && got.Allowed && unready {
			answers++
		}
		if time.Since(ended) > 20*time.Second {
			t.Fatal("it never ends")
		}
	}
	if lasted := time.Since(ended); answers == 0 || lasted < farewell {
		t.Errorf("%d answers after the end was known, which came after %v", answers, lasted)
	}
	if err := <-p.done; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestANewCertificateIsShownWithoutARestartAndNoRequestIsLost(t *testing.T) {
	t.Parallel()
	old, next := certificate(t, 1), certificate(t, 2)
	m := mount(t, old)
	p := serve(t, nowhere(), m, options{Namespace: "kube-system"})
	both := old.DeepCopy()
	both.Data["ca.crt"] = append(both.Data["ca.crt"], next.Data["ca.crt"]...)
	late, trusting := client(next, service), client(both, service)
	if _, err := p.get(late, "/readyz"); err == nil {
		t.Fatal("the new certificate is there before it was mounted")
	}
	m.replace(next)
	deadline, asked := time.Now().Add(40*time.Second), 0
	for shown := false; !shown; asked++ {
		if got, err := p.review(trusting); err != nil || !got.Allowed {
			t.Fatalf("request %d is lost: %v", asked, err)
		}
		_, err := p.get(late, "/readyz")
		shown = err == nil
		if time.Now().After(deadline) {
			t.Fatalf("the new certificate is not shown: %v", err)
		}
	}
}

func TestOnlyWhatIsAllowedIsNegotiated(t *testing.T) {
	s := certificate(t, 1)
	for name, test := range map[string]struct {
		options options
		edit    func(*tls.Config)
		want    string
	}{
		"HTTP/1.1":         {edit: func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }, want: "http/1.1"},
		"HTTP/2 on demand": {options: options{HTTP2: true}, edit: func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }, want: "h2"},
		"not TLS 1.1":      {edit: func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 }},
		"not another suite": {options: options{Suites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}, edit: func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}
		}},
		"not another curve":   {options: options{Curves: []tls.CurveID{tls.CurveP256}}, edit: func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.X25519} }},
		"a suite that is one": {options: options{Suites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}, edit: func(c *tls.Config) { c.MaxVersion, c.NextProtos = tls.VersionTLS12, []string{"http/1.1"} }, want: "http/1.1"},
	} {
		t.Run(name, func(t *testing.T) {
			test.options.Namespace = "kube-system"
			p := serve(t, nowhere(), mount(t, s), test.options)
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(s.Data["ca.crt"])
			config := &tls.Config{RootCAs: pool, ServerName: service, MinVersion: tls.VersionTLS12}
			test.edit(config)
			dialer := tls.Dialer{Config: config}
			connection, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(p.url, "https://"))
			if err != nil {
				if test.want != "" {
					t.Fatal(err)
				}
				return
			}
			defer func() { _ = connection.Close() }()
			if got := connection.(*tls.Conn).ConnectionState().NegotiatedProtocol; got != test.want {
				t.Errorf("negotiated %q, want %q", got, test.want)
			}
		})
	}
}

func TestAWebhookWithoutItsCertificateEndsAndSaysWhy(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	err = run(t.Context(), nowhere(), listener, options{CertFile: "/nowhere/tls.crt", KeyFile: "/nowhere/tls.key"}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "/nowhere/tls.crt") {
		t.Errorf("error %v", err)
	}
}

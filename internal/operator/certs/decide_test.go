// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/operator/certs"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

const day = 24 * time.Hour

// start is when the tests begin.
func start() time.Time { return time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC) }

// need is the webhook's certificate.
func need() operand.Certificate {
	config := sriovv1.SriovOperatorConfig{
		ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: "kube-system", UID: "1"},
		Spec:       sriovv1.SriovOperatorConfigSpec{EnableOperatorWebhook: true},
	}
	return operand.SelfMade(config, operand.Settings{})[0]
}

// lots is randomness that is the same each time.
func lots(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

// decide decides, and fails the test if that fails.
func decide(t rapid.TB, saw certs.Seen, now time.Time, random *rand.ChaCha8) certs.Decision {
	t.Helper()
	d, err := certs.Decide(need(), saw, now, random)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// fresh is the Secret right after it was made.
func fresh(t rapid.TB, now time.Time) *corev1.Secret {
	t.Helper()
	d := decide(t, certs.Seen{}, now, lots(1))
	if d.Write == nil || d.Problem != nil {
		t.Fatalf("without a Secret the decision is %+v", d)
	}
	return d.Write
}

// trusts returns why a client that trusts the bundle refuses the certificate.
func trusts(bundle, cert []byte, now time.Time) error {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(bundle)
	block, _ := pem.Decode(cert)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	_, err = leaf.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: now, DNSName: need().DNSNames[0]})
	return err
}

// shows shakes hands between a server with the Secret's certificate and a client.
func shows(t *testing.T, s *corev1.Secret, bundle []byte, now time.Time) error {
	t.Helper()
	both, err := tls.X509KeyPair(s.Data["tls.crt"], s.Data["tls.key"])
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(bundle)
	a, b := net.Pipe()
	defer func() { _, _ = a.Close(), b.Close() }()
	server := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{both}, MinVersion: tls.VersionTLS12})
	done := make(chan error, 1)
	go func() { done <- server.HandshakeContext(t.Context()) }()
	client := tls.Client(b, &tls.Config{RootCAs: pool, ServerName: need().DNSNames[0], Time: func() time.Time { return now }, MinVersion: tls.VersionTLS12})
	if err := client.HandshakeContext(t.Context()); err != nil {
		return err
	}
	return <-done
}

func TestACertificateThatIsMissingIsMade(t *testing.T) {
	d := decide(t, certs.Seen{}, start(), lots(1))
	s := d.Write
	if s == nil || s.ResourceVersion != "" || s.Type != corev1.SecretTypeTLS || !operand.Ours(s) {
		t.Fatalf("the Secret is %+v", s)
	}
	if got := slices.Sorted(maps.Keys(s.Data)); !slices.Equal(got, []string{"ca.crt", "tls.crt", "tls.key"}) {
		t.Errorf("it holds %q", got)
	}
	for _, now := range []time.Time{start().Add(-30 * time.Minute), start(), start().Add(364 * day)} {
		if err := shows(t, s, d.CA, now); err != nil {
			t.Errorf("at %v: %v", now, err)
		}
	}
	if again := d.Again.Sub(start()); again < 200*day || again > 300*day {
		t.Errorf("it is looked at again after %v", again)
	}
	if after := decide(t, certs.Seen{Secret: s}, start(), lots(2)); after.Write != nil || !bytes.Equal(after.CA, d.CA) {
		t.Errorf("what was just made is changed to %+v", after.Write)
	}
}

func TestTheSameRandomnessMakesTheSameSecret(t *testing.T) {
	a, b := decide(t, certs.Seen{}, start(), lots(1)), decide(t, certs.Seen{}, start(), lots(1))
	if !bytes.Equal(a.Write.Data["tls.crt"], b.Write.Data["tls.crt"]) || !bytes.Equal(a.CA, b.CA) {
		t.Error("two decisions of the same inputs differ")
	}
	if other := decide(t, certs.Seen{}, start(), lots(2)); bytes.Equal(a.Write.Data["tls.key"], other.Write.Data["tls.key"]) {
		t.Error("other randomness makes the same key")
	}
	if _, err := certs.Decide(need(), certs.Seen{}, start(), bytes.NewReader(nil)); err == nil {
		t.Error("without randomness there is a certificate")
	}
}

func TestNobodyCanSignAnotherCertificate(t *testing.T) {
	s := fresh(t, start())
	s = decide(t, certs.Seen{Secret: s}, start().Add(300*day), lots(2)).Write
	cas := parse(s.Data["ca.crt"])
	if len(cas) != 2 {
		t.Fatalf("there are %d CAs", len(cas))
	}
	for _, name := range []string{"tls.key", "next.key"} {
		block, _ := pem.Decode(s.Data[name])
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		for _, ca := range cas {
			if key.(*ecdsa.PrivateKey).PublicKey.Equal(ca.PublicKey) {
				t.Errorf("%s is the key of a CA", name)
			}
		}
	}
}

func parse(bundle []byte) []*x509.Certificate {
	var out []*x509.Certificate
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			out = append(out, c)
		}
	}
	return out
}

func TestARenewalIsTrustedBeforeItIsShown(t *testing.T) {
	first := decide(t, certs.Seen{}, start(), lots(1))
	old := first.Write
	now := start().Add(300 * day)
	second := decide(t, certs.Seen{Secret: old, Bundles: [][]byte{first.CA}}, now, lots(2))
	if second.Write == nil || !bytes.Equal(second.Write.Data["tls.crt"], old.Data["tls.crt"]) || len(second.Write.Data["next.key"]) == 0 {
		t.Fatal("the new certificate is shown before anybody trusts it")
	}
	if got := second.Again.Sub(now); got != time.Hour {
		t.Errorf("the second step is due after %v", got)
	}
	for why, tc := range map[string]struct {
		after   time.Duration
		bundles [][]byte
	}{
		"the API server does not trust it":              {48 * time.Hour, [][]byte{first.CA}},
		"one of two configurations does not":            {48 * time.Hour, [][]byte{second.CA, first.CA}},
		"a configuration has no CA at all":              {48 * time.Hour, [][]byte{second.CA, nil}},
		"those who read ca.crt may not have seen it":    {59 * time.Minute, [][]byte{second.CA}},
		"nobody calls it, and an hour has not gone yet": {59 * time.Minute, nil},
	} {
		later := now.Add(tc.after)
		d := decide(t, certs.Seen{Secret: second.Write, Bundles: tc.bundles}, later, lots(3))
		if d.Write != nil {
			t.Errorf("%s, and it is shown", why)
		}
		if again := d.Again.Sub(later); again < time.Minute || again > time.Hour {
			t.Errorf("%s: looked at again after %v", why, again)
		}
	}
	later := now.Add(time.Hour)
	third := decide(t, certs.Seen{Secret: second.Write, Bundles: [][]byte{second.CA}}, later, lots(3))
	if third.Write == nil || !bytes.Equal(third.Write.Data["tls.crt"], second.Write.Data["next.crt"]) || len(third.Write.Data["next.crt"]) != 0 {
		t.Fatal("the new certificate is not shown")
	}
	if err := trusts(third.CA, old.Data["tls.crt"], later); err != nil {
		t.Errorf("pods that are late are not trusted: %v", err)
	}
	d := decide(t, certs.Seen{Secret: third.Write, Bundles: [][]byte{third.CA}}, start().Add(366*day), lots(4))
	if d.Write == nil || len(parse(d.CA)) != 1 {
		t.Error("a CA that has expired is kept")
	}
}

func TestWhoeverDoesNotTrustTheNewCertificateLosesNothingBeforeTheOldOneExpires(t *testing.T) {
	first := decide(t, certs.Seen{}, start(), lots(1))
	second := decide(t, certs.Seen{Secret: first.Write, Bundles: [][]byte{first.CA}}, start().Add(300*day), lots(2))
	d := decide(t, certs.Seen{Secret: second.Write, Bundles: [][]byte{first.CA}}, start().Add(365*day-30*time.Minute), lots(3))
	if d.Write == nil || !bytes.Equal(d.Write.Data["tls.crt"], second.Write.Data["next.crt"]) {
		t.Error("the old certificate is shown until it expires")
	}
}

// TestNoClientEverMeetsACertificateThatItDoesNotTrust lets operators work, sleep and
// crash between their writes for years. Servers and readers of ca.crt see the Secret as
// it was up to half an hour ago.
func TestNoClientEverMeetsACertificateThatItDoesNotTrust(t *testing.T) {
	const late = 30 * time.Minute
	sleep := map[string]time.Duration{"minutes": 10 * time.Minute, "an hour": time.Hour, "hours": 20 * time.Hour, "weeks": 30 * day, "nothing": 0}
	type version struct {
		secret *corev1.Secret
		until  time.Time // zero while it is the present one
	}
	rapid.Check(t, func(t *rapid.T) {
		now := start()
		random := lots(rapid.Byte().Draw(t, "seed"))
		versions := []version{{secret: fresh(t, now)}}
		bundle := decide(t, certs.Seen{Secret: versions[0].secret}, now, random).CA
		crashes := 0
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			what := rapid.SampledFrom(slices.Sorted(maps.Keys(sleep))).Draw(t, "what")
			now = now.Add(sleep[what])
			if what != "minutes" {
				present := &versions[len(versions)-1]
				d := decide(t, certs.Seen{Secret: present.secret, Bundles: [][]byte{bundle}}, now, random)
				if d.Write != nil {
					present.until = now
					versions = append(versions, version{secret: d.Write})
				}
				// After the Secret was written, and before the webhook configuration is. Who
				// never gets any further has nobody to blame.
				if crashes++; crashes > 2 || !rapid.Bool().Draw(t, "crashes") {
					bundle, crashes = d.CA, 0
				}
			}
			var recent []*corev1.Secret
			for _, v := range versions {
				if v.until.IsZero() || now.Sub(v.until) <= late {
					recent = append(recent, v.secret)
				}
			}
			for _, shown := range recent {
				if err := trusts(bundle, shown.Data["tls.crt"], now); err != nil {
					t.Fatalf("%v: the API server: %v", now, err)
				}
				for _, read := range recent {
					if err := trusts(read.Data["ca.crt"], shown.Data["tls.crt"], now); err != nil {
						t.Fatalf("%v: a reader of ca.crt: %v", now, err)
					}
				}
			}
		}
	})
}

func TestASecretThatIsTornIsMendedAtOnce(t *testing.T) {
	ours, other := fresh(t, start()), decide(t, certs.Seen{}, start(), lots(9)).Write
	renewing := decide(t, certs.Seen{Secret: ours}, start().Add(300*day), lots(2)).Write
	tests := map[string]struct {
		secret *corev1.Secret
		tear   func(*corev1.Secret)
		after  time.Duration
		// keeps says that the certificate that is shown stays.
		keeps bool
	}{
		"nothing is in it":             {ours, func(s *corev1.Secret) { s.Data = nil }, 0, false},
		"the key is another's":         {ours, func(s *corev1.Secret) { s.Data["tls.key"] = other.Data["tls.key"] }, 0, false},
		"the CA is gone":               {ours, func(s *corev1.Secret) { delete(s.Data, "ca.crt") }, 0, false},
		"the CA is another's":          {ours, func(s *corev1.Secret) { s.Data["ca.crt"] = other.Data["ca.crt"] }, 0, false},
		"the certificate is cut off":   {ours, func(s *corev1.Secret) { s.Data["tls.crt"] = s.Data["tls.crt"][:90] }, 0, false},
		"it has expired":               {ours, func(*corev1.Secret) {}, 400 * day, false},
		"it is not valid yet":          {ours, func(*corev1.Secret) {}, -2 * time.Hour, false},
		"something is behind the CA":   {ours, func(s *corev1.Secret) { s.Data["ca.crt"] = append(slices.Clone(s.Data["ca.crt"]), "tail"...) }, 0, true},
		"the operator's label is gone": {ours, func(s *corev1.Secret) { s.Labels = nil }, 0, true},
		"the owner was another":        {ours, func(s *corev1.Secret) { s.OwnerReferences[0].UID = "2" }, 0, true},
		"half of the next one is gone": {renewing, func(s *corev1.Secret) { delete(s.Data, "next.key") }, 300 * day, true},
		"the present one is half gone": {renewing, func(s *corev1.Secret) { delete(s.Data, "tls.key") }, 300 * day, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, now := test.secret.DeepCopy(), start().Add(test.after)
			s.ResourceVersion = "7"
			test.tear(s)
			d := decide(t, certs.Seen{Secret: s}, now, lots(3))
			if d.Write == nil || d.Write.ResourceVersion != "7" {
				t.Fatalf("the decision is %+v", d.Write)
			}
			if err := shows(t, d.Write, d.CA, now); err != nil {
				t.Error(err)
			}
			if kept := bytes.Equal(d.Write.Data["tls.crt"], test.secret.Data["tls.crt"]); kept != test.keeps {
				t.Errorf("the certificate was kept: %t, want %t", kept, test.keeps)
			}
			if !operand.Ours(d.Write) || d.Write.OwnerReferences[0].UID != "1" {
				t.Errorf("its metadata are %+v", d.Write.ObjectMeta)
			}
			if after := decide(t, certs.Seen{Secret: d.Write}, now, lots(4)); after.Write != nil {
				t.Error("what was mended is mended again")
			}
		})
	}
}

func TestSpoilingTheSecretAgainAndAgainDoesNotFillIt(t *testing.T) {
	s := fresh(t, start())
	for i := range 20 {
		delete(s.Data, "tls.key")
		d := decide(t, certs.Seen{Secret: s}, start(), lots(byte(i)))
		s = d.Write
		if err := trusts(d.CA, s.Data["tls.crt"], start()); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(parse(s.Data["ca.crt"])); got > 4 {
		t.Errorf("there are %d CAs", got)
	}
}

func TestWhatOthersPutIntoTheSecretIsKept(t *testing.T) {
	s := fresh(t, start())
	s.Data["note"], s.Annotations = []byte("mine"), map[string]string{"a": "b"}
	delete(s.Data, "tls.crt")
	d := decide(t, certs.Seen{Secret: s}, start(), lots(2))
	if string(d.Write.Data["note"]) != "mine" || d.Write.Annotations["a"] != "b" {
		t.Errorf("the Secret is %+v", d.Write)
	}
}

func TestASecretOfSomebodyElseIsUsedIfItCanBeAndNeverChanged(t *testing.T) {
	tests := map[string]struct {
		tear     func(*corev1.Secret)
		severity operand.Severity
		says     string
	}{
		"it is good":              {func(*corev1.Secret) {}, operand.Warning, "has to be renewed by 2027-03-01"},
		"its CA is encoded twice": {func(s *corev1.Secret) { s.Data["ca.crt"] = []byte(base64.StdEncoding.EncodeToString(s.Data["ca.crt"])) }, operand.Warning, "has to be renewed"},
		"it has no certificate":   {func(s *corev1.Secret) { s.Data = nil }, operand.Refusal, "no certificate and key"},
		"it has no CA":            {func(s *corev1.Secret) { delete(s.Data, "ca.crt") }, operand.Refusal, "not valid"},
		"its key is another's": {func(s *corev1.Secret) {
			s.Data["tls.key"] = decide(t, certs.Seen{}, start(), lots(9)).Write.Data["tls.key"]
		}, operand.Refusal, "cannot be used"},
		"it is for another server":    {func(s *corev1.Secret) { s.Data = of(t, "elsewhere").Data }, operand.Refusal, "another server"},
		"it is no certificate at all": {func(s *corev1.Secret) { s.Data["tls.crt"] = []byte("x") }, operand.Refusal, "cannot be used"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := fresh(t, start())
			s.Labels, s.OwnerReferences = map[string]string{"team": "blue"}, nil
			test.tear(s)
			d := decide(t, certs.Seen{Secret: s}, start(), lots(2))
			if d.Write != nil {
				t.Error("it is changed")
			}
			if d.Problem == nil || d.Problem.Severity != test.severity || !strings.Contains(d.Problem.Cause, test.says) || d.Problem.Fix == "" {
				t.Fatalf("the problem is %+v", d.Problem)
			}
			if d.Again.IsZero() {
				t.Error("it is never looked at again")
			}
			usable := test.severity == operand.Warning
			if usable != (len(d.CA) > 0) {
				t.Errorf("the CA is %q", d.CA)
			}
			if usable {
				if err := shows(t, s, d.CA, start()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// of is a Secret for another server.
func of(t *testing.T, host string) *corev1.Secret {
	t.Helper()
	n := need()
	n.DNSNames = []string{host}
	d, err := certs.Decide(n, certs.Seen{}, start(), lots(5))
	if err != nil {
		t.Fatal(err)
	}
	return d.Write
}

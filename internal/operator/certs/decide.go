// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

// The keys of a Secret.
const (
	keyCA       = "ca.crt"
	keyNextCert = "next.crt"
	keyNextKey  = "next.key"
)

const (
	lifetime = 365 * 24 * time.Hour
	// early is how long before it expires a certificate is renewed: an operator that is
	// down for a season still comes in time.
	early = lifetime / 3
	// backdate is how far the clock of a client may be behind.
	backdate = time.Hour
	// lead is how long a CA is published before a certificate of it is shown. Kubelets
	// and Prometheus take minutes.
	lead = time.Hour
	// patience is how long to wait before a webhook configuration is looked at again.
	patience = time.Minute
	// mostCAs bounds ca.crt if somebody spoils the Secret again and again.
	mostCAs = 4
)

// Seen is what there is of a certificate.
type Seen struct {
	// Secret is nil when there is none.
	Secret *corev1.Secret
	// Bundles are the CAs, in PEM, by which the API server checks the server at present:
	// one for each webhook that calls it.
	Bundles [][]byte
}

// Decision is what is to be done about a certificate.
type Decision struct {
	// Write is the Secret as it should be; nil when it stays as it is. When its
	// resourceVersion is empty it is to be made.
	Write *corev1.Secret
	// CA is what clients are to trust, in PEM; nil when there is nothing to trust.
	CA []byte
	// Again is when to decide again, if nothing changes before. It is never zero.
	Again time.Time
	// Problem is what a person should know; nil when there is nothing.
	Problem *operand.Problem
}

// Decide decides on one certificate. It fails only when there is no randomness.
func Decide(need operand.Certificate, saw Seen, now time.Time, random io.Reader) (Decision, error) {
	if saw.Secret != nil && !operand.Ours(saw.Secret) {
		return judge(need, saw.Secret, now), nil
	}
	h := read(need, saw.Secret, now)
	if err := h.advance(need, saw.Bundles, now, random); err != nil {
		return Decision{}, err
	}
	ca := encodeAll(h.cas)
	return Decision{Write: change(need, saw.Secret, h, ca), CA: ca, Again: h.again(now)}, nil
}

// holding is what a Secret of ours holds that can be used.
type holding struct {
	// current is shown by the server, next will be.
	current, next pair
	cas           []*x509.Certificate
}

// read takes from a Secret what can be used. CAs that are not yet valid may be so for
// others, whose clocks differ.
func read(need operand.Certificate, s *corev1.Secret, now time.Time) holding {
	var h holding
	if s == nil {
		return h
	}
	for _, c := range parseAll(s.Data[keyCA]) {
		if c.IsCA && now.Before(c.NotAfter) {
			h.cas = append(h.cas, c)
		}
	}
	usable := func(cert, key string) pair {
		p, err := parsePair(s.Data[cert], s.Data[key])
		if err != nil || p.check(need.DNSNames, h.cas, now) != nil {
			return pair{}
		}
		return p
	}
	h.current = usable(corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	h.next = usable(keyNextCert, keyNextKey)
	return h
}

// advance takes the next step of a renewal, if one is due.
func (h *holding) advance(need operand.Certificate, bundles [][]byte, now time.Time, random io.Reader) error {
	switch {
	case !h.current.there() && !h.next.there():
		// Nothing is shown that anybody trusts, so there is nothing to wait for.
		made, err := h.make(need, now, random)
		if err != nil {
			return err
		}
		h.current = made
	case !h.current.there(), h.next.there() && h.ripe(bundles, now):
		h.current, h.next = h.next, pair{}
	case !h.next.there() && !now.Before(h.renewal()):
		made, err := h.make(need, now, random)
		if err != nil {
			return err
		}
		h.next = made
	}
	h.dropCAs()
	return nil
}

// make makes a pair whose CA is published with the others.
func (h *holding) make(need operand.Certificate, now time.Time, random io.Reader) (pair, error) {
	made, ca, err := newPair(need.Secret.Name, need.DNSNames, now, random)
	if err != nil {
		return pair{}, err
	}
	h.cas = append(h.cas, ca)
	return made, nil
}

// renewal is when the certificate that is shown is to be followed by another.
func (h *holding) renewal() time.Time { return h.current.leaf.NotAfter.Add(-early) }

// ripe reports whether the next certificate may be shown: its CA has been published for
// long enough and every webhook configuration holds it; or there is no time left.
func (h *holding) ripe(bundles [][]byte, now time.Time) bool {
	if !now.Before(h.current.leaf.NotAfter.Add(-lead)) {
		return true
	}
	if now.Before(h.next.made().Add(lead)) {
		return false
	}
	return !slices.ContainsFunc(bundles, func(bundle []byte) bool { return h.next.check(nil, parseAll(bundle), now) != nil })
}

// dropCAs keeps those of the certificates, and of the others the newest.
func (h *holding) dropCAs() {
	signed := func(p pair, ca *x509.Certificate) bool { return p.there() && p.leaf.CheckSignatureFrom(ca) == nil }
	inUse := func(ca *x509.Certificate) int {
		if signed(h.current, ca) || signed(h.next, ca) {
			return 0
		}
		return 1
	}
	slices.SortFunc(h.cas, newestFirst)
	h.cas = slices.CompactFunc(h.cas, func(a, b *x509.Certificate) bool { return a.Equal(b) })
	slices.SortStableFunc(h.cas, func(a, b *x509.Certificate) int { return inUse(a) - inUse(b) })
	h.cas = h.cas[:min(len(h.cas), mostCAs)]
}

// again is when the next step is due, or the next CA expires.
func (h *holding) again(now time.Time) time.Time {
	due := h.renewal()
	if h.next.there() {
		due = latest(h.next.made().Add(lead), now.Add(patience))
		due = earliest(due, latest(h.current.leaf.NotAfter.Add(-lead), now))
	}
	for _, ca := range h.cas {
		due = earliest(due, ca.NotAfter)
	}
	return due
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// change is the Secret with what it should hold; nil when it holds that already. What
// others put there besides is kept.
func change(need operand.Certificate, s *corev1.Secret, h holding, ca []byte) *corev1.Secret {
	was := s
	if was == nil {
		was = need.Secret
	}
	out := was.DeepCopy()
	if out.Labels == nil {
		out.Labels = map[string]string{}
	}
	maps.Copy(out.Labels, need.Secret.Labels)
	if len(need.Secret.OwnerReferences) > 0 {
		out.OwnerReferences = slices.Clone(need.Secret.OwnerReferences)
	}
	if out.Data == nil {
		out.Data = map[string][]byte{}
	}
	maps.Copy(out.Data, map[string][]byte{
		corev1.TLSCertKey: h.current.cert, corev1.TLSPrivateKeyKey: h.current.key, keyCA: ca,
		keyNextCert: h.next.cert, keyNextKey: h.next.key,
	})
	if !h.next.there() {
		delete(out.Data, keyNextCert)
		delete(out.Data, keyNextKey)
	}
	if s != nil && reflect.DeepEqual(s, out) {
		return nil
	}
	return out
}

// judge says what a Secret of somebody else is good for.
func judge(need operand.Certificate, s *corev1.Secret, now time.Time) Decision {
	problem := func(severity operand.Severity, reason, cause, fix string) *operand.Problem {
		return &operand.Problem{
			Severity: severity, Group: need.Group, Field: "certificates", Reason: reason,
			Cause: fmt.Sprintf("the Secret %s was not made by the operator and is left alone: %s", s.Name, cause), Fix: fix,
		}
	}
	bundle := bundleOf(s)
	p, err := parsePair(s.Data[corev1.TLSCertKey], s.Data[corev1.TLSPrivateKeyKey])
	if err == nil {
		err = p.check(need.DNSNames[:1], parseAll(bundle), now)
	}
	if err != nil {
		return Decision{
			Again: now.Add(early),
			Problem: problem(operand.Refusal, sriovv1.ReasonOperatorConfigSyncFailed, err.Error(),
				fmt.Sprintf("put tls.crt for %s, tls.key and ca.crt into it, or delete it and the operator makes its own", need.DNSNames[0])),
		}
	}
	return Decision{
		CA: bundle, Again: p.leaf.NotAfter,
		Problem: problem(operand.Warning, "", "its certificate is used, and has to be renewed by "+p.leaf.NotAfter.UTC().Format(time.DateOnly),
			"delete it if the operator shall make its own"),
	}
}

// bundleOf is the CA of a Secret. The existing operator's chart encodes it twice.
func bundleOf(s *corev1.Secret) []byte {
	text := s.Data[keyCA]
	if len(parseAll(text)) > 0 {
		return text
	}
	if decoded, err := base64.StdEncoding.DecodeString(string(text)); err == nil && len(parseAll(decoded)) > 0 {
		return decoded
	}
	return nil
}

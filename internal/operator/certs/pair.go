// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"time"
)

// Types of PEM blocks.
const (
	pemCertificate = "CERTIFICATE"
	pemKey         = "PRIVATE KEY"
)

// pair is a server's certificate and its key. The zero pair is none.
type pair struct {
	cert, key []byte // PEM
	leaf      *x509.Certificate
}

func (p pair) there() bool { return p.leaf != nil }

// made is when the operator made the pair.
func (p pair) made() time.Time { return p.leaf.NotBefore.Add(backdate) }

// parsePair reads a certificate and its key.
func parsePair(cert, key []byte) (pair, error) {
	if len(cert) == 0 || len(key) == 0 {
		return pair{}, errors.New("it has no certificate and key")
	}
	both, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return pair{}, fmt.Errorf("its certificate and key cannot be used: %w", err)
	}
	return pair{cert: cert, key: key, leaf: both.Leaf}, nil
}

// check returns why a client that trusts the CAs refuses the certificate.
func (p pair) check(names []string, cas []*x509.Certificate, now time.Time) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, ca := range cas {
		roots.AddCert(ca)
	}
	for _, c := range parseAll(p.cert) {
		between.AddCert(c)
	}
	if _, err := p.leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now}); err != nil {
		return fmt.Errorf("its certificate is not valid: %w", err)
	}
	for _, name := range names {
		if err := p.leaf.VerifyHostname(name); err != nil {
			return fmt.Errorf("its certificate is for another server: %w", err)
		}
	}
	return nil
}

// parseAll reads the certificates of a PEM file. What is none is passed over.
func parseAll(text []byte) []*x509.Certificate {
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return out
		}
		if block.Type != pemCertificate {
			continue
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			out = append(out, c)
		}
	}
}

// encodeAll writes certificates, each once and the newest first.
func encodeAll(certs []*x509.Certificate) []byte {
	certs = slices.Clone(certs)
	slices.SortFunc(certs, newestFirst)
	certs = slices.CompactFunc(certs, func(a, b *x509.Certificate) bool { return a.Equal(b) })
	var out []byte
	for _, c := range certs {
		out = append(out, encode(pemCertificate, c.Raw)...)
	}
	return out
}

func newestFirst(a, b *x509.Certificate) int {
	return cmp.Or(b.NotBefore.Compare(a.NotBefore), bytes.Compare(a.Raw, b.Raw))
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// newPair makes a CA and has it sign one certificate. The CA's key is not kept.
func newPair(subject string, names []string, now time.Time, random io.Reader) (pair, *x509.Certificate, error) {
	root, rootKey, err := begin(subject+" CA", now, random)
	if err != nil {
		return pair{}, nil, err
	}
	root.IsCA, root.BasicConstraintsValid, root.MaxPathLenZero = true, true, true
	root.KeyUsage = x509.KeyUsageCertSign
	ca, err := sign(root, root, &rootKey.PublicKey, rootKey)
	if err != nil {
		return pair{}, nil, err
	}
	leaf, key, err := begin(subject, now, random)
	if err != nil {
		return pair{}, nil, err
	}
	leaf.DNSNames, leaf.KeyUsage = names, x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	signed, err := sign(leaf, ca, &key.PublicKey, rootKey)
	if err != nil {
		return pair{}, nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return pair{}, nil, fmt.Errorf("encode the key of %s: %w", subject, err)
	}
	return pair{cert: encode(pemCertificate, signed.Raw), key: encode(pemKey, secret), leaf: signed}, ca, nil
}

// begin is what every certificate has, and a key for it.
func begin(subject string, now time.Time, random io.Reader) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := newKey(random)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key for %s: %w", subject, err)
	}
	serial := make([]byte, serialSize)
	if _, err := io.ReadFull(random, serial); err != nil {
		return nil, nil, fmt.Errorf("number the certificate of %s: %w", subject, err)
	}
	// Positive, and never zero: RFC 5280, 4.1.2.2.
	serial[0] = serial[0]&0x7f | 0x40
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial),
		Subject:      pkix.Name{CommonName: subject},
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(lifetime),
	}, key, nil
}

const serialSize = 16

// newKey draws a key of the curve P-256. Few draws in 2^32 are no key.
func newKey(random io.Reader) (*ecdsa.PrivateKey, error) {
	for {
		scalar := make([]byte, (elliptic.P256().Params().N.BitLen()+7)/8)
		if _, err := io.ReadFull(random, scalar); err != nil {
			return nil, err
		}
		if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar); err == nil {
			return key, nil
		}
	}
}

// sign signs with no randomness but that of the key (RFC 6979).
func sign(template, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(nil, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate of %s: %w", template.Subject.CommonName, err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the certificate of %s: %w", template.Subject.CommonName, err)
	}
	return signed, nil
}

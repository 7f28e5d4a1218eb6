// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package pki makes the certificates and keys of a control plane that lives as
// long as a test.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Pair is a certificate and its key, in PEM.
type Pair struct {
	Certificate, Key []byte
}

// Authority signs certificates.
type Authority struct {
	Certificate []byte // PEM
	parsed      *x509.Certificate
	key         *ecdsa.PrivateKey
}

// lifetime is longer than any test, and begins before now for a clock that is
// a little behind.
const (
	lifetime = 30 * 24 * time.Hour
	backdate = time.Hour
)

// NewAuthority makes an authority.
func NewAuthority(name string) (Authority, error) {
	template, key, err := begin(pkix.Name{CommonName: name})
	if err != nil {
		return Authority{}, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage |= x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return Authority{}, fmt.Errorf("make the authority %s: %w", name, err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return Authority{}, fmt.Errorf("make the authority %s: %w", name, err)
	}
	return Authority{encode("CERTIFICATE", der), parsed, key}, nil
}

// Server signs the certificate of a server on this machine's loopback
// addresses, which may have further DNS names.
func (a Authority) Server(names ...string) (Pair, error) {
	return a.sign(pkix.Name{CommonName: "server"}, func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		c.DNSNames = append([]string{"localhost"}, names...)
		c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	})
}

// Client signs the certificate of a Kubernetes user.
func (a Authority) Client(user string, groups ...string) (Pair, error) {
	return a.sign(pkix.Name{CommonName: user, Organization: groups}, func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
}

func (a Authority) sign(name pkix.Name, finish func(*x509.Certificate)) (Pair, error) {
	template, key, err := begin(name)
	if err != nil {
		return Pair{}, err
	}
	finish(template)
	der, err := x509.CreateCertificate(rand.Reader, template, a.parsed, &key.PublicKey, a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("sign the certificate of %s: %w", name, err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("encode the key of %s: %w", name, err)
	}
	return Pair{encode("CERTIFICATE", der), encode("PRIVATE KEY", private)}, nil
}

// Keys are a signing key and the public key that checks its signatures, in PEM.
type Keys struct {
	Public, Private []byte
}

// NewKeys makes the keys with which an API server signs service accounts'
// tokens.
func NewKeys() (Keys, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Keys{}, fmt.Errorf("make the token keys: %w", err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return Keys{}, fmt.Errorf("encode the token keys: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return Keys{}, fmt.Errorf("encode the token keys: %w", err)
	}
	return Keys{Public: encode("PUBLIC KEY", public), Private: encode("EC PRIVATE KEY", private)}, nil
}

func begin(name pkix.Name) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make the key of %s: %w", name, err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, fmt.Errorf("number the certificate of %s: %w", name, err)
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      name,
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(lifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}, key, nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

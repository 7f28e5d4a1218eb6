// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"slices"

	"k8s.io/client-go/rest"

	"github.com/kubeovn/sriov-network-operator/test/kube/pki"
)

// Proxy stands before an API server. It speaks TLS and HTTP/2, like the server.
type Proxy struct {
	seed     uint64
	record   *record
	target   *url.URL
	admin    http.RoundTripper // for who shows no token
	bearer   http.RoundTripper // for who does
	server   *http.Server
	listener net.Listener
}

// New returns a proxy that has yet to be started. The first rule that strikes a
// request decides about it; the same seed gives the same lots.
func New(seed uint64, rules ...Rule) *Proxy {
	return &Proxy{seed: seed, record: newRecord(newScript(seed, rules))}
}

// Start begins to listen, and returns the configuration of clients that come
// through the proxy. A client that shows a token is who the token says; any
// other is the upstream's user, whom it may impersonate with.
func (p *Proxy) Start(ctx context.Context, upstream *rest.Config) (*rest.Config, error) {
	target, err := url.Parse(upstream.Host)
	if err != nil {
		return nil, fmt.Errorf("start the proxy: parse the API server's address: %w", err)
	}
	p.target = target
	if p.admin, err = rest.TransportFor(plain(upstream)); err != nil {
		return nil, fmt.Errorf("start the proxy: connect to the API server: %w", err)
	}
	if p.bearer, err = rest.TransportFor(rest.AnonymousClientConfig(upstream)); err != nil {
		return nil, fmt.Errorf("start the proxy: connect to the API server: %w", err)
	}
	authority, certificate, err := identity()
	if err != nil {
		return nil, err
	}
	if p.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("start the proxy: %w", err)
	}
	p.server = &http.Server{
		Handler:     http.HandlerFunc(p.serve),
		TLSConfig:   &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connection{}, c) },
		// Broken connections are its trade; there is nothing to tell of them.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() { _ = p.server.ServeTLS(p.listener, "", "") }()
	through := rest.AnonymousClientConfig(upstream)
	through.Host = "https://" + p.listener.Addr().String()
	through.TLSClientConfig = rest.TLSClientConfig{CAData: authority.Certificate}
	return through, nil
}

// plain returns a configuration that authenticates and does nothing else.
func plain(c *rest.Config) *rest.Config {
	p := rest.AnonymousClientConfig(c)
	p.CertData, p.KeyData, p.BearerToken = c.CertData, c.KeyData, c.BearerToken
	return p
}

func identity() (pki.Authority, tls.Certificate, error) {
	authority, err := pki.NewAuthority("kube-rig-proxy")
	if err != nil {
		return pki.Authority{}, tls.Certificate{}, err
	}
	pair, err := authority.Server()
	if err != nil {
		return pki.Authority{}, tls.Certificate{}, err
	}
	certificate, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		return pki.Authority{}, tls.Certificate{}, fmt.Errorf("read the proxy's certificate: %w", err)
	}
	return authority, certificate, nil
}

// Close ends the proxy and every connection.
func (p *Proxy) Close() error {
	if p.server == nil {
		return nil
	}
	if err := p.server.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close the proxy: %w", err)
	}
	return nil
}

// connection is the key of a request's connection in its context.
type connection struct{}

// serve answers one request.
func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	request := parse(r)
	fault, end := p.record.begin(request)
	defer end()
	switch f := fault.(type) {
	case Answer:
		refuse(w, request, f.Code, f.RetryAfter)
		return
	case Delay, Hold, Expire:
		if Watches(request) {
			break
		}
		if _, expired := f.(Expire); expired {
			refuse(w, request, http.StatusGone, 0)
			return
		}
		if err := pause(r.Context(), f); err != nil {
			return
		}
	case nil, Cut, Drop, End, Repeat:
	}
	p.forward(w, r, request, fault)
}

// forward asks the API server and passes its answer on, as far as the fault lets it.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request, request Request, fault Fault) {
	events := Watches(request) && eventful(fault)
	response, err := p.ask(r, events)
	if err != nil {
		// The API server is away; through a proxy that looks so.
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = response.Body.Close() }()
	if _, ok := fault.(Drop); ok && !Watches(request) {
		drop(r)
		return
	}
	for name, values := range response.Header {
		if !slices.Contains(hopByHop(), name) {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(response.StatusCode)
	s := stream{w: w, flush: http.NewResponseController(w).Flush, hangUp: func() { drop(r) }}
	// A client of a watch waits for the beginning of the answer, and then for events.
	if Watches(request) && s.flush() != nil {
		return
	}
	switch f := fault.(type) {
	case Cut:
		s.cut(response.Body, f.Bytes)
	case nil, Delay, Hold, Answer, Drop, End, Expire, Repeat:
		if events && response.StatusCode == http.StatusOK {
			s.events(r.Context(), response.Body, fault)
			return
		}
		s.copy(response.Body)
	}
}

// eventful reports whether a fault has to see the single events of a watch.
func eventful(f Fault) bool {
	switch f.(type) {
	case Delay, Hold, Drop, End, Expire, Repeat:
		return true
	case nil, Answer, Cut:
		return false
	}
	return false
}

// hopByHop are headers of one connection, of which each side has its own.
func hopByHop() []string {
	return []string{"Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "Te", "Trailer", "Proxy-Connection"}
}

// ask sends a request on. Where events have to be told apart it asks for them
// in JSON, whatever encoding the client prefers; clients take what they get.
func (p *Proxy) ask(r *http.Request, events bool) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.Host, out.RequestURI = p.target.Scheme, p.target.Host, p.target.Host, ""
	for _, name := range hopByHop() {
		out.Header.Del(name)
	}
	if events {
		out.Header["Accept"] = []string{inJSON(out.Header.Values("Accept"))}
		out.Header.Del("Accept-Encoding")
	}
	transport := p.admin
	if out.Header.Get("Authorization") != "" {
		transport = p.bearer
	}
	return transport.RoundTrip(out)
}

// drop closes the connection that a request came over, without a word.
func drop(r *http.Request) {
	if secure, ok := r.Context().Value(connection{}).(*tls.Conn); ok {
		if raw, ok := secure.NetConn().(*net.TCPConn); ok {
			_ = raw.SetLinger(0) // with a reset, as a machine that vanished does
		}
		_ = secure.NetConn().Close()
	}
	panic(http.ErrAbortHandler)
}

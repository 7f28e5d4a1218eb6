// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"

	"github.com/kubeovn/sriov-network-operator/internal/admission"
)

const (
	// farewell is how long a webhook that was told to end still answers: endpoints take
	// a while to leave every API server's list.
	farewell = 5 * time.Second
	// lastWords is how long the requests that are open then may take.
	lastWords = 10 * time.Second
	// mostTime is more than an API server ever waits for an answer.
	mostTime = 40 * time.Second
)

// run serves on the listener, with what it knows of the API server's objects, until the
// context ends; then for a while still.
func run(ctx context.Context, api *rest.Config, listener net.Listener, o options, log *slog.Logger) error {
	certs, err := certwatcher.New(o.CertFile, o.KeyFile)
	if err != nil {
		return fmt.Errorf("read the certificate %s and its key %s: %w", o.CertFile, o.KeyFile, err)
	}
	watch, err := admission.NewWatch(api, o.Namespace)
	if err != nil {
		return fmt.Errorf("prepare the watch of the API server: %w", err)
	}
	know := func() admission.Knowledge {
		k := watch.Know()
		k.AllowUnlisted = o.DevMode
		return k
	}
	var leaving atomic.Bool
	server := newServer(o, routes(admission.Handler(know, log), &leaving), certs.GetCertificate, log)
	// Certificates and objects are looked at for as long as there are answers.
	inner, done := context.WithCancelCause(context.WithoutCancel(ctx))
	defer done(nil)
	var all sync.WaitGroup
	all.Go(func() { watch.Run(inner) })
	all.Go(func() {
		if err := certs.Start(inner); err != nil {
			done(fmt.Errorf("watch the certificate %s: %w", o.CertFile, err))
		}
	})
	all.Go(func() {
		if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
			done(fmt.Errorf("serve on %s: %w", listener.Addr(), err))
		}
	})
	log.InfoContext(ctx, "serving", "address", listener.Addr().String())
	select {
	case <-ctx.Done():
		leaving.Store(true)
		err = leave(inner, server)
	case <-inner.Done():
		err = errors.Join(context.Cause(inner), server.Close())
	}
	done(nil)
	all.Wait()
	return err
}

// leave lets the API servers notice that the webhook ends, and then ends it.
func leave(ctx context.Context, server *http.Server) error {
	server.SetKeepAlivesEnabled(false)
	wait, stop := context.WithTimeout(ctx, farewell)
	defer stop()
	<-wait.Done()
	last, stop := context.WithTimeout(ctx, lastWords)
	defer stop()
	if err := server.Shutdown(last); err != nil {
		return errors.Join(fmt.Errorf("answer the last requests: %w", err), server.Close())
	}
	return nil
}

// newServer serves HTTP/1.1, and HTTP/2 where it is asked for.
func newServer(o options, handler http.Handler, certificate certificates, log *slog.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(o.HTTP2)
	return &http.Server{
		Handler: handler, Protocols: &protocols,
		TLSConfig: &tls.Config{
			MinVersion: o.MinVersion, CipherSuites: o.Suites, CurvePreferences: o.Curves, GetCertificate: certificate,
		},
		ReadHeaderTimeout: mostTime, ReadTimeout: mostTime, WriteTimeout: mostTime, IdleTimeout: 3 * mostTime,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// certificates gives each connection the certificate as it is then.
type certificates = func(*tls.ClientHelloInfo) (*tls.Certificate, error)

// routes are the webhook's paths and those of probes.
func routes(webhook http.Handler, leaving *atomic.Bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", webhook)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if leaving.Load() {
			http.Error(w, "the webhook is ending", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusOK)
	})
	return mux
}

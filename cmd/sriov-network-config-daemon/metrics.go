// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/cert"

	"github.com/kubeovn/sriov-network-operator/internal/scrape"
)

// newRegistry has the figures of the process; the daemon adds its own.
func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// serveMetrics serves the metrics over TLS to those who may get /metrics. A node whose
// metrics cannot be served is configured all the same. The function that it returns ends
// it.
func serveMetrics(ctx context.Context, o startOptions, config *rest.Config, from prometheus.Gatherer, log *slog.Logger) func() {
	if slices.Contains([]string{"", "0"}, o.metrics) {
		return func() {}
	}
	server, err := newMetricsServer(o, config, from, log)
	var listener net.Listener
	if err == nil {
		listener, err = new(net.ListenConfig).Listen(ctx, "tcp", o.metrics)
	}
	if err != nil {
		log.Error("metrics are not served", "address", o.metrics, "err", err)
		return func() {}
	}
	log.Info("serving metrics", "address", listener.Addr().String())
	go func() {
		if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics are no longer served", "err", err)
		}
	}()
	return func() { _ = server.Close() }
}

func newMetricsServer(o startOptions, config *rest.Config, from prometheus.Gatherer, log *slog.Logger) (*http.Server, error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	guard, err := scrape.NewGuard(config, client, func(err error) { log.Error("who asks for metrics cannot be told", "err", err) })
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", guard.Before(promhttp.HandlerFor(from, promhttp.HandlerOpts{})))
	certs := &certificates{folder: o.metricsCerts, own: sync.OnceValues(selfSigned)}
	return &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:  slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certs.now},
	}, nil
}

// certificates are what the metrics are served with: the one in a folder, as soon as it is
// there, and until then one of its own, which no reader can verify.
type certificates struct {
	folder string
	own    func() (*tls.Certificate, error)
}

// now reads the folder for each connection: a certificate that was renewed is served at
// once, and there are a few connections a minute at most.
func (c *certificates) now(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c.folder == "" {
		return c.own()
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(c.folder, "tls.crt"), filepath.Join(c.folder, "tls.key"))
	if errors.Is(err, fs.ErrNotExist) {
		return c.own()
	}
	if err != nil {
		return nil, fmt.Errorf("read the certificate for metrics: %w", err)
	}
	return &pair, nil
}

func selfSigned() (*tls.Certificate, error) {
	public, private, err := cert.GenerateSelfSignedCertKey("sriov-network-config-daemon", nil, nil)
	if err != nil {
		return nil, fmt.Errorf("make a certificate for metrics: %w", err)
	}
	pair, err := tls.X509KeyPair(public, private)
	if err != nil {
		return nil, fmt.Errorf("make a certificate for metrics: %w", err)
	}
	return &pair, nil
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/decide"
	"github.com/kubeovn/sriov-network-operator/internal/execute"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
)

// Metric is one that the daemon serves of itself.
type Metric struct {
	Name string
	// Type is "gauge", "counter" or "histogram".
	Type string
	Help string
	// Label is its only label, empty when it has none, and Values are all that the label
	// can have.
	Label  string
	Values []string
}

// The metrics.
const (
	metricSync     = "sriov_daemon_sync"
	metricSuccess  = "sriov_daemon_last_success_timestamp_seconds"
	metricApplies  = "sriov_daemon_applies_total"
	metricSteps    = "sriov_daemon_step_seconds"
	metricRequests = "sriov_daemon_requests_total"
	metricWaits    = "sriov_daemon_grant_wait_seconds"
)

// What sriov_daemon_applies_total counts.
const (
	applyDone   = "done"
	applyFailed = "failed"
	applyStale  = "stale"
)

// Metrics are all metrics of the daemon.
func Metrics() []Metric {
	requests := []string{decide.AskDrain.String(), decide.AskReboot.String()}
	return []Metric{
		{metricSync, "gauge", "1 for the node's syncStatus, 0 for the others.", "status", syncs()},
		{metricSuccess, "gauge", "When the node was last seen to be as desired, in seconds since 1970; 0 before.", "", nil},
		{metricApplies, "counter", "Plans that were carried out, by how it ended; stale ones found another machine than they were made for, and a new one follows.", "result", []string{applyDone, applyFailed, applyStale}},
		{metricSteps, "histogram", "How long a step of a plan took, in seconds, by its action.", "action", plan.Actions()},
		{metricRequests, "counter", "Requests that pods leave the node, or that it restarts.", "request", requests},
		{metricWaits, "histogram", "How long it took from a request until it was granted, in seconds.", "request", requests},
	}
}

func syncs() []string {
	return []string{string(sriovv1.SyncStatusSucceeded), string(sriovv1.SyncStatusInProgress), string(sriovv1.SyncStatusFailed)}
}

// help is what a metric says.
func help(name string) string {
	for _, m := range Metrics() {
		if m.Name == name {
			return m.Help
		}
	}
	return ""
}

// metrics are what the daemon tells of itself.
type metrics struct {
	sync              *prometheus.GaugeVec
	success           prometheus.Gauge
	applies, requests *prometheus.CounterVec
	steps, waits      *prometheus.HistogramVec
	// asked is since when a request waits; zero when none does.
	asked time.Time
}

// newMetrics registers the metrics, unless there is no registry.
func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		sync:     prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: metricSync, Help: help(metricSync)}, []string{"status"}),
		success:  prometheus.NewGauge(prometheus.GaugeOpts{Name: metricSuccess, Help: help(metricSuccess)}),
		applies:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricApplies, Help: help(metricApplies)}, []string{"result"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricRequests, Help: help(metricRequests)}, []string{"request"}),
		// From a write to sysfs to hundreds of VFs of half a second each.
		steps: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: metricSteps, Help: help(metricSteps), Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}, []string{"action"}),
		// From a node that is alone to hours of turns.
		waits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: metricWaits, Help: help(metricWaits), Buckets: prometheus.ExponentialBuckets(1, 4, 8),
		}, []string{"request"}),
	}
	if registry == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.sync, m.success, m.applies, m.requests, m.steps, m.waits} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register the metrics: %w", err)
		}
	}
	return m, nil
}

// synced notes the sync status.
func (m *metrics) synced(now sriovv1.SyncStatus, at time.Time) {
	for _, status := range syncs() {
		is := 0.0
		if status == string(now) {
			is = 1
		}
		m.sync.WithLabelValues(status).Set(is)
	}
	if now == sriovv1.SyncStatusSucceeded {
		m.success.Set(float64(at.UnixMilli()) / 1000)
	}
}

// stepped notes a step that has ended.
func (m *metrics) stepped(p execute.Progress) {
	if p.State == execute.Done || p.State == execute.Failed {
		m.steps.WithLabelValues(p.Step.Do.Does()).Observe(p.Took.Seconds())
	}
}

// applied notes how a plan ended.
func (m *metrics) applied(err error) {
	result := applyDone
	switch {
	case errors.Is(err, execute.ErrStale):
		result = applyStale
	case err != nil:
		result = applyFailed
	}
	m.applies.WithLabelValues(result).Inc()
}

// requested notes what is asked for from now on.
func (m *metrics) requested(r, before decide.Request, at time.Time) {
	if r == before {
		return
	}
	switch r {
	case decide.AskNothing:
		m.asked = time.Time{}
	case decide.AskDrain, decide.AskReboot:
		m.requests.WithLabelValues(r.String()).Inc()
		m.asked = at
	}
}

// granted notes that a request was granted. A daemon that was started meanwhile does not
// know how long it took.
func (m *metrics) granted(f decide.Facts, at time.Time) {
	if m.asked.IsZero() || f.Request == decide.AskNothing || f.Grant != decide.Granted {
		return
	}
	m.waits.WithLabelValues(f.Request.String()).Observe(at.Sub(m.asked).Seconds())
	m.asked = time.Time{}
}

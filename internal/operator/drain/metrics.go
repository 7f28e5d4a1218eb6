// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package drain

import "github.com/prometheus/client_golang/prometheus"

// metrics are what the controllers tell of themselves.
type metrics struct {
	took      prometheus.Histogram
	evictions *prometheus.CounterVec
	yields    prometheus.Counter
}

// newMetrics registers the metrics. The gauges are counted when they are asked for.
func newMetrics(registry prometheus.Registerer, b *board) (*metrics, error) {
	m := &metrics{
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sriov_operator_drain_seconds", Help: "How long it took from a node's turn until it was free.",
			Buckets: prometheus.ExponentialBuckets(0.1, 2.5, 10),
		}),
		evictions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sriov_operator_evictions_total", Help: "Pods that were asked to leave a node, by whether they may.",
		}, []string{"outcome"}),
		yields: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sriov_operator_drain_yields_total", Help: "Drains that took too long and gave their turn to another node.",
		}),
	}
	for _, c := range []prometheus.Collector{m.took, m.evictions, m.yields, &gauge{board: b, nodes: prometheus.NewDesc(
		"sriov_operator_drain_nodes", "Nodes that wait for their turn, drain, are being changed, or are blocked.", []string{"state"}, nil)}} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// gauge counts what is on the board.
type gauge struct {
	board *board
	nodes *prometheus.Desc
}

// Describe tells of the gauge.
func (g *gauge) Describe(out chan<- *prometheus.Desc) { out <- g.nodes }

// Collect counts.
func (g *gauge) Collect(out chan<- prometheus.Metric) {
	for state, n := range g.board.counts() {
		out <- prometheus.MustNewConstMetric(g.nodes, prometheus.GaugeValue, float64(n), state)
	}
}

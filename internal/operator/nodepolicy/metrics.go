// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodepolicy

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what the controller tells of itself.
type metrics struct {
	render prometheus.Histogram
	write  *prometheus.HistogramVec
}

// newMetrics registers the metrics. The gauges are counted when they are asked for.
func newMetrics(registry prometheus.Registerer, b *board) (*metrics, error) {
	m := &metrics{
		render: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sriov_operator_render_seconds", Help: "How long it took to render one node.",
			Buckets: prometheus.ExponentialBuckets(0.00001, 4, 10),
		}),
		write: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sriov_operator_write_seconds", Help: "How long a write to the API took, by what was written.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}, []string{"object"}),
	}
	for _, c := range []prometheus.Collector{m.render, m.write, newGauges(b)} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// gauges count what is on the board.
type gauges struct {
	board                      *board
	policies, nodes, conflicts *prometheus.Desc
}

func newGauges(b *board) *gauges {
	return &gauges{
		board:     b,
		policies:  prometheus.NewDesc("sriov_operator_policies", "Policies by readiness.", []string{"ready"}, nil),
		nodes:     prometheus.NewDesc("sriov_operator_nodes", "Nodes by how far they are in becoming what they should be.", []string{"sync"}, nil),
		conflicts: prometheus.NewDesc("sriov_operator_conflicts", "Wishes of policies that do not stand because of others.", nil, nil),
	}
}

// Describe tells of the gauges.
func (g *gauges) Describe(out chan<- *prometheus.Desc) {
	out <- g.policies
	out <- g.nodes
	out <- g.conflicts
}

// Collect counts.
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	t := g.board.totals()
	for ready, n := range t.ready {
		out <- prometheus.MustNewConstMetric(g.policies, prometheus.GaugeValue, float64(n), strconv.FormatBool(ready))
	}
	for s, n := range t.nodes {
		out <- prometheus.MustNewConstMetric(g.nodes, prometheus.GaugeValue, float64(n), s.String())
	}
	out <- prometheus.MustNewConstMetric(g.conflicts, prometheus.GaugeValue, float64(t.conflicts))
}

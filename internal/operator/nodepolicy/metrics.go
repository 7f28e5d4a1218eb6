// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodepolicy

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// Metric is one that the operator serves of itself.
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
	metricPolicies  = "sriov_operator_policies"
	metricNodes     = "sriov_operator_nodes"
	metricConflicts = "sriov_operator_conflicts"
	metricBroken    = "sriov_operator_broken_entries"
	metricBases     = "sriov_operator_full_renderings_total"
	metricRender    = "sriov_operator_render_seconds"
)

// Metrics are all metrics of these controllers.
func Metrics() []Metric {
	return []Metric{
		{metricPolicies, "gauge", "Policies by whether their condition Ready is true.", "ready", []string{"true", "false"}},
		{metricNodes, "gauge", "Nodes by how far they are in becoming what they should be.", "sync", []string{pending.String(), synced.String(), failed.String()}},
		{metricConflicts, "gauge", "Wishes of policies, each a field or VF group on one PF, that do not stand because of other policies.", "", nil},
		{metricBroken, "gauge", "Keys of sriov-configmap and entries of supported-nic-ids that cannot be read.", "", nil},
		{metricBases, "counter", "How often every node was rendered, because something changed that concerns all of them.", "", nil},
		{metricRender, "histogram", "How long it took to render one node, in seconds.", "", nil},
	}
}

// metricOf is the metric of a name.
func metricOf(name string) Metric {
	for _, m := range Metrics() {
		if m.Name == name {
			return m
		}
	}
	return Metric{Name: name}
}

func (m Metric) labels() []string {
	if m.Label == "" {
		return nil
	}
	return []string{m.Label}
}

func (m Metric) desc() *prometheus.Desc { return prometheus.NewDesc(m.Name, m.Help, m.labels(), nil) }

// histogram makes the metric, with buckets that grow from the shortest.
func (m Metric) histogram(shortest, factor float64, count int) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: m.Name, Help: m.Help, Buckets: prometheus.ExponentialBuckets(shortest, factor, count),
	}, m.labels())
}

// metrics are what the controller tells of itself.
type metrics struct {
	bases  prometheus.Counter
	render prometheus.Observer
}

// newMetrics registers the metrics. The gauges are counted when they are asked for.
func newMetrics(registry prometheus.Registerer, count func() totals) (*metrics, error) {
	render := metricOf(metricRender).histogram(0.00001, 4, 10)
	bases := prometheus.NewCounter(prometheus.CounterOpts{Name: metricBases, Help: metricOf(metricBases).Help})
	for _, c := range []prometheus.Collector{render, bases, newGauges(count)} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return &metrics{bases: bases, render: render.WithLabelValues()}, nil
}

// gauges count when they are asked for.
type gauges struct {
	count                              func() totals
	policies, nodes, conflicts, broken *prometheus.Desc
}

func newGauges(count func() totals) *gauges {
	return &gauges{
		count: count, policies: metricOf(metricPolicies).desc(), nodes: metricOf(metricNodes).desc(),
		conflicts: metricOf(metricConflicts).desc(), broken: metricOf(metricBroken).desc(),
	}
}

// Describe tells of the gauges.
func (g *gauges) Describe(out chan<- *prometheus.Desc) {
	out <- g.policies
	out <- g.nodes
	out <- g.conflicts
	out <- g.broken
}

// Collect counts.
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	t := g.count()
	gauge := func(d *prometheus.Desc, value int, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
	}
	for ready, n := range t.ready {
		gauge(g.policies, n, strconv.FormatBool(ready))
	}
	for s, n := range t.nodes {
		gauge(g.nodes, n, s.String())
	}
	gauge(g.conflicts, t.conflicts)
	gauge(g.broken, t.broken)
}

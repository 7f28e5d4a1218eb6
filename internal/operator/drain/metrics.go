// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package drain

import "github.com/prometheus/client_golang/prometheus"

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
	metricNodes     = "sriov_operator_drain_nodes"
	metricSeconds   = "sriov_operator_drain_seconds"
	metricEvictions = "sriov_operator_evictions_total"
	metricYields    = "sriov_operator_drain_yields_total"
)

// What sriov_operator_drain_nodes counts.
const (
	nodesWaiting  = "waiting"
	nodesDraining = "draining"
	nodesChanging = "changing"
	nodesBlocked  = "blocked"
)

// What sriov_operator_evictions_total counts.
const (
	evictionDone    = "done"
	evictionRefused = "refused"
)

// Metrics are all metrics of these controllers.
func Metrics() []Metric {
	return []Metric{
		{metricNodes, "gauge", "Nodes that wait for their turn, that pods are leaving, that are free and being changed, and whose pods may not leave.", "state", []string{nodesWaiting, nodesDraining, nodesChanging, nodesBlocked}},
		{metricSeconds, "histogram", "How long it took from a node's turn until it was free, in seconds.", "", nil},
		{metricEvictions, "counter", "Requests that a pod leaves a node, by what the API server said.", "outcome", []string{evictionDone, evictionRefused}},
		{metricYields, "counter", "Drains that took too long and gave their turn to another node.", "", nil},
	}
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

// metrics are what the controllers tell of themselves.
type metrics struct {
	took      prometheus.Histogram
	evictions *prometheus.CounterVec
	yields    prometheus.Counter
}

// newMetrics registers the metrics. The gauge is counted when it is asked for.
func newMetrics(registry prometheus.Registerer, b *board) (*metrics, error) {
	m := &metrics{
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: metricSeconds, Help: help(metricSeconds), Buckets: prometheus.ExponentialBuckets(0.1, 2.5, 10),
		}),
		evictions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricEvictions, Help: help(metricEvictions)}, []string{"outcome"}),
		yields:    prometheus.NewCounter(prometheus.CounterOpts{Name: metricYields, Help: help(metricYields)}),
	}
	nodes := &gauge{board: b, nodes: prometheus.NewDesc(metricNodes, help(metricNodes), []string{"state"}, nil)}
	for _, c := range []prometheus.Collector{m.took, m.evictions, m.yields, nodes} {
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

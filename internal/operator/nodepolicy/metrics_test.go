// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodepolicy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
)

// TestTheListOfMetricsIsWhatIsServed holds Metrics, from which the page is written, against
// a registry.
func TestTheListOfMetricsIsWhatIsServed(t *testing.T) {
	registry := prometheus.NewRegistry()
	if _, err := newMetrics(registry, newBoard().totals); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []Metric
	for _, f := range families {
		m := Metric{Name: f.GetName(), Type: strings.ToLower(f.GetType().String()), Help: f.GetHelp()}
		for _, one := range f.GetMetric() {
			for _, label := range one.GetLabel() {
				m.Label = label.GetName()
				m.Values = append(m.Values, label.GetValue())
			}
		}
		got = append(got, m)
	}
	byName := func(a, b Metric) bool { return a.Name < b.Name }
	unordered := cmpopts.SortSlices(func(a, b string) bool { return a < b })
	if diff := cmp.Diff(Metrics(), got, cmpopts.SortSlices(byName), unordered); diff != "" {
		t.Errorf("metrics (-listed +served):\n%s", diff)
	}
}

func TestMetricsCountWhatIsOnTheBoard(t *testing.T) {
	b := newBoard()
	b.put("a", 1, summary{standing: synced})
	b.put("b", 1, summary{standing: failed})
	b.tell("p", &verdict{readyReason: "InProgress", losses: 2})
	b.tell("q", &verdict{readyReason: "AllNodesSynced", losses: 1})
	b.tell("r", &verdict{readyReason: "AllNodesSynced"})
	registry := prometheus.NewRegistry()
	if _, err := newMetrics(registry, b.totals); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if m.GetGauge() == nil {
				continue
			}
			name := []string{f.GetName()}
			for _, label := range m.GetLabel() {
				name = append(name, label.GetValue())
			}
			got[strings.Join(name, " ")] = m.GetGauge().GetValue()
		}
	}
	want := map[string]float64{
		"sriov_operator_nodes pending": 0, "sriov_operator_nodes synced": 1, "sriov_operator_nodes failed": 1,
		"sriov_operator_policies true": 2, "sriov_operator_policies false": 1,
		"sriov_operator_conflicts": 3, "sriov_operator_broken_entries": 0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("gauges (-want +got):\n%s", diff)
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package meter measures how long every write to the API takes, where all of them pass: at the
// connection to the API server.
package meter

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metric is one that the operator serves of itself.
type Metric struct {
	Name string
	// Type is "histogram".
	Type string
	Help string
	// Label is its only label, and Values are all that the label can have.
	Label  string
	Values []string
}

// What a write is about.
const (
	nodeState  = "nodestate"
	policy     = "policy"
	condition  = "condition"
	configMap  = "configmap"
	node       = "node"
	attachment = "attachment"
	pod        = "pod"
	event      = "event"
	lease      = "lease"
	other      = "other"
)

// Metrics are all metrics of this package.
func Metrics() []Metric {
	return []Metric{{
		"sriov_operator_write_seconds", "histogram",
		"How long a write to the API took, in seconds, by what was written: specs of node states, the status of policies, conditions " +
			"of anything else, ConfigMaps, labels and taints of nodes, network attachments, pods that are made to leave, events, leases, " +
			"and whatever else is deployed. A write that the API server refused is one, too.",
		"object", []string{nodeState, policy, condition, configMap, node, attachment, pod, event, lease, other},
	}}
}

// Wrap registers the metric and returns what measures the writes of a client: the wrapper of a
// rest.Config's transport.
func Wrap(registry prometheus.Registerer, now func() time.Time) (func(http.RoundTripper) http.RoundTripper, error) {
	m := Metrics()[0]
	write := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: m.Name, Help: m.Help, Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
	}, []string{m.Label})
	if err := registry.Register(write); err != nil {
		return nil, fmt.Errorf("register the metric of writes: %w", err)
	}
	// All that there can be is there from the start.
	for _, object := range m.Values {
		write.WithLabelValues(object)
	}
	return func(next http.RoundTripper) http.RoundTripper {
		return &trip{next: next, now: now, write: write}
	}, nil
}

// trip measures the requests that pass it.
type trip struct {
	next  http.RoundTripper
	now   func() time.Time
	write *prometheus.HistogramVec
}

// RoundTrip lets a request pass, and measures it if it is a write that was answered.
func (t *trip) RoundTrip(request *http.Request) (*http.Response, error) {
	object, is := written(request.Method, request.URL.Path)
	if !is {
		return t.next.RoundTrip(request)
	}
	began := t.now()
	response, err := t.next.RoundTrip(request)
	if err == nil {
		t.write.WithLabelValues(object).Observe(t.now().Sub(began).Seconds())
	}
	return response, err
}

// written is what a request is about, and false for one that changes nothing. Questions to the
// API server that are asked by making a review change nothing.
func written(method, path string) (string, bool) {
	switch method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return "", false
	}
	resource, subresource := target(path)
	if resource == "" || strings.HasSuffix(resource, "reviews") {
		return "", false
	}
	if subresource == "status" && resource != "sriovnetworknodepolicies" {
		return condition, true
	}
	object, known := map[string]string{
		"sriovnetworknodestates": nodeState, "sriovnetworknodepolicies": policy, "configmaps": configMap, "nodes": node,
		"network-attachment-definitions": attachment, "pods": pod, "events": event, "leases": lease,
	}[resource]
	if !known {
		return other, true
	}
	return object, true
}

// target is the resource and the subresource of a path of the API: /api/v1 or /apis/GROUP/VERSION,
// perhaps namespaces/NAMESPACE, the resource, a name, the subresource
// (https://kubernetes.io/docs/reference/using-api/api-concepts/).
func target(path string) (resource, subresource string) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		parts = parts[3:]
	default:
		return "", ""
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		parts = parts[2:]
	}
	if len(parts) > 2 {
		subresource = parts[2]
	}
	return parts[0], subresource
}

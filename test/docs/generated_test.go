// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeovn/sriov-network-operator/internal/daemon"
	"github.com/kubeovn/sriov-network-operator/internal/operator/drain"
	"github.com/kubeovn/sriov-network-operator/internal/operator/meter"
	"github.com/kubeovn/sriov-network-operator/internal/operator/nodepolicy"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// generated compares a page with what it is generated from, or writes it.
func generated(t *testing.T, name, want string) {
	t.Helper()
	file := filepath.Join(root, name)
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), want); diff != "" {
		t.Errorf("%s is stale; run: go test ./test/docs -update (-page +fresh):\n%s", name, diff)
	}
}

func TestThePageOfReasonsIsFresh(t *testing.T) {
	var b strings.Builder
	b.WriteString(`<!-- Written by: go test ./test/docs -update. Do not edit. -->

# Reasons

A reason is one word that says why a step is taken, why something is not done, or what became of a
policy. Software may read it; it keeps its meaning. In ` + "`" + `plan -o json` + "`" + ` it is ` + "`" + `why.reason` + "`" + `.

`)
	for _, g := range reasonGroups(t) {
		fmt.Fprintf(&b, "## %s\n\n", g.title)
		if g.fixes() {
			b.WriteString("| Reason | It means | What to do |\n| --- | --- | --- |\n")
		} else {
			b.WriteString("| Reason | It means |\n| --- | --- |\n")
		}
		for _, r := range g.reasons {
			fmt.Fprintf(&b, "| `%s` | %s |", r, cell(r.Sentence()))
			if g.fixes() {
				fmt.Fprintf(&b, " %s |", cell(r.Fix()))
			}
			b.WriteByte('\n')
		}
		b.WriteByte('\n')
	}
	generated(t, "docs/reference/reasons.md", strings.TrimSuffix(b.String(), "\n"))
}

// cell is text in a table. What looks like a tag is kept from being one, outside
// of code, where it is none.
func cell(s string) string {
	s = strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", "\\|")
	parts := strings.Split(s, "`")
	for i := range parts {
		if i%2 == 0 {
			parts[i] = strings.NewReplacer("<", "&lt;", ">", "&gt;").Replace(parts[i])
		}
	}
	return strings.Join(parts, "`")
}

// sentence is the first sentence of a text.
func sentence(s string) string {
	first, _, _ := strings.Cut(strings.Join(strings.Fields(s), " ")+" ", ". ")
	return strings.TrimSuffix(strings.TrimSpace(first), ".") + "."
}

// group is one of the lists of constants in package reason.
type group struct {
	title   string
	reasons []reason.Reason
}

func (g group) fixes() bool {
	for _, r := range g.reasons {
		if r.Fix() != "" {
			return true
		}
	}
	return false
}

func reasonGroups(t *testing.T) []group {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "internal/reason/reason.go"), nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var out []group
	count := 0
	for _, d := range file.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok || decl.Tok != token.CONST {
			continue
		}
		g := group{title: strings.TrimSuffix(strings.TrimSpace(decl.Doc.Text()), ".")}
		for _, s := range decl.Specs {
			for _, v := range s.(*ast.ValueSpec).Values {
				text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				g.reasons = append(g.reasons, reason.Reason(text))
				count++
			}
		}
		out = append(out, g)
	}
	if count != len(reason.All()) {
		t.Fatalf("%d reasons are declared and %d exist", count, len(reason.All()))
	}
	return out
}

func TestThePageOfMetricsIsFresh(t *testing.T) {
	var b strings.Builder
	b.WriteString(`<!-- Written by: go test ./test/docs -update. Do not edit. -->

# Metrics

The controller serves these at ` + "`/metrics`" + ` over TLS, by default on port 8443, to everybody who may ` + "`get`" + ` the path
` + "`/metrics`" + ` (a ClusterRole with ` + "`nonResourceURLs: [/metrics]`" + `); the token of the service account goes into the header
Authorization. Only the replica that leads has figures. Those of the Kubernetes libraries are served beside them: queues
(` + "`workqueue_`" + `), reconciliations (` + "`controller_runtime_`" + `), requests to the API server (` + "`rest_client_`" + `), Go.

| Metric | Type | Labels | It says |
| --- | --- | --- | --- |
`)
	metrics := nodepolicy.Metrics()
	for _, m := range meter.Metrics() {
		metrics = append(metrics, nodepolicy.Metric(m))
	}
	for _, m := range drain.Metrics() {
		metrics = append(metrics, nodepolicy.Metric(m))
	}
	listMetrics(&b, metrics)
	b.WriteString(`
What to watch: ` + "`sriov_operator_nodes{sync=\"failed\"}`" + ` and ` + "`sriov_operator_broken_entries`" + ` should be 0, and the sum of
` + "`sriov_operator_nodes{sync=\"pending\"}`" + ` falls after every change. While ` + "`sriov_operator_drain_nodes{state=\"blocked\"}`" + ` is above 0, a pod
may not leave its node, and the condition of the node's pool names it. A histogram has ` + "`_bucket`" + `, ` + "`_sum`" + ` and ` + "`_count`" + `.
`)
	b.WriteString(`
## Of the daemon

With the feature gate ` + "`metricsExporter`" + ` every node's daemon serves these in the same way at ` + "`/metrics`" + `, on the node's address and
port 9111 (` + "`CONFIG_DAEMON_METRICS_PORT`" + ` of the operator), with the exporter's certificate. The Service
` + "`sriov-network-config-daemon-metrics`" + ` leads there, and where the Prometheus operator is installed a ServiceMonitor of that name tells
Prometheus, which adds the label ` + "`node`" + `. Without the gate no port of a node is opened.

| Metric | Type | Labels | It says |
| --- | --- | --- | --- |
`)
	metrics = nil
	for _, m := range daemon.Metrics() {
		metrics = append(metrics, nodepolicy.Metric(m))
	}
	listMetrics(&b, metrics)
	b.WriteString(`
What to watch: ` + "`sriov_daemon_sync{status=\"Failed\"}`" + ` should be 0, and ` + "`time() - sriov_daemon_last_success_timestamp_seconds`" + ` is
small but while a node is being changed: an idle daemon looks every ten minutes.
`)
	generated(t, "docs/reference/metrics.md", b.String())
}

func listMetrics(b *strings.Builder, metrics []nodepolicy.Metric) {
	for _, m := range metrics {
		labels := ""
		if m.Label != "" {
			labels = "`" + m.Label + "`: `" + strings.Join(m.Values, "`, `") + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", m.Name, m.Type, labels, cell(m.Help))
	}
}

// TestEveryConditionsReasonIsExplained holds pages against the API's constants.
func TestEveryConditionsReasonIsExplained(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "api/v1/constants.go"), nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{
		"Reasons of ConditionReady and ConditionConflicted on policies":             "docs/reference/policies.md",
		"Reasons of ConditionConfigMapAccepted and ConditionDevicePluginConfigured": "docs/reference/nodestate.md",
	}
	explained := 0
	for _, d := range file.Decls {
		group, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for title, page := range pages {
			if !strings.HasPrefix(group.Doc.Text(), title) {
				continue
			}
			text, err := os.ReadFile(filepath.Join(root, page))
			if err != nil {
				t.Fatal(err)
			}
			for _, spec := range group.Specs {
				value := spec.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value
				explained++
				if !strings.Contains(string(text), "`"+strings.Trim(value, `"`)+"`") {
					t.Errorf("%s does not explain %s", page, value)
				}
			}
		}
	}
	if explained != 9 {
		t.Errorf("%d reasons were looked for, want 9", explained)
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package kube_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/kubeovn/sriov-network-operator/test/kube"
)

// notYet is a condition as controllers write it.
const notYet = "[{type: Ready, status: 'False', reason: %s, message: %s, lastTransitionTime: '2026-01-01T00:00:00Z'}]"

// shown are objects that are not done, and what an administrator sees of them: what is after | only with -o wide.
// Age comes last, as kubectl has it, and is left out.
var shown = []struct{ kind, plural, spec, status, want string }{
	{
		"SriovNetworkNodePolicy", "sriovnetworknodepolicies", "{resourceName: vfs, numVfs: 4, nodeSelector: {}, nicSelector: {vendor: '15b3'}}",
		"{matchedNodeCount: 3, syncedNodeCount: 2, matchedPFCount: 6, conditions: " + fmt.Sprintf(notYet, "NodesPending", "1 of 3 nodes waits") + "}",
		`
NAME  PRIORITY  RESOURCE  NUMVFS  NODES  SYNCED  READY  REASON        | MESSAGE             DEVICE TYPE  PFS  CONFLICTED
it    99        vfs       4       3      2       False  NodesPending  | 1 of 3 nodes waits  netdevice    6    -
`,
	},
	{
		"SriovNetworkNodeState", "sriovnetworknodestates", "{}",
		"{syncStatus: Failed, lastSyncError: ens1f0 has 0 VFs, conditions: " + fmt.Sprintf(notYet, "Failed", "ens1f0 has 0 VFs") + "}",
		`
NAME  SYNC STATUS  DESIRED SYNC STATE  CURRENT SYNC STATE  REASON  | LAST ERROR
it    Failed       Drain_Required      Draining            Failed  | ens1f0 has 0 VFs
`,
	},
	{
		"SriovNetworkPoolConfig", "sriovnetworkpoolconfigs", "{maxUnavailable: 25%, rdmaMode: exclusive}",
		"{matchedNodeCount: 8, conditions: " + fmt.Sprintf(notYet, "InvalidSelector", "the selector cannot be read") + "}",
		`
NAME  MAX UNAVAILABLE  RDMA MODE  NODES  READY  REASON           | MESSAGE
it    25%              exclusive  8      False  InvalidSelector  | the selector cannot be read
`,
	},
	{
		"SriovOperatorConfig", "sriovoperatorconfigs", "{}",
		"{conditions: " + fmt.Sprintf(notYet, "Progressing", "the webhook starts") + "}",
		`
NAME  READY  REASON       | MESSAGE
it    False  Progressing  | the webhook starts
`,
	},
	{
		"SriovNetwork", "sriovnetworks", "{resourceName: vfs}",
		"{conditions: " + fmt.Sprintf(notYet, "NamespaceNotFound", "there is no namespace apps") + "}",
		`
NAME  READY  REASON             | RESOURCE  MESSAGE
it    False  NamespaceNotFound  | vfs       there is no namespace apps
`,
	},
	{
		"SriovIBNetwork", "sriovibnetworks", "{resourceName: vfs}",
		"{conditions: " + fmt.Sprintf(notYet, "NamespaceNotFound", "there is no namespace apps") + "}",
		`
NAME  READY  REASON             | RESOURCE  MESSAGE
it    False  NamespaceNotFound  | vfs       there is no namespace apps
`,
	},
	{
		"OVSNetwork", "ovsnetworks", "{resourceName: vfs}",
		"{conditions: " + fmt.Sprintf(notYet, "NamespaceNotFound", "there is no namespace apps") + "}",
		`
NAME  READY  REASON             | RESOURCE  MESSAGE
it    False  NamespaceNotFound  | vfs       there is no namespace apps
`,
	},
}

func TestTheColumnsOfEveryKindSayWhetherItIsDoneAndIfNotWhy(t *testing.T) {
	c := plane.Cluster(t)
	namespace := c.Namespace(t)
	for _, s := range shown {
		t.Run(s.kind, func(t *testing.T) {
			o := &unstructured.Unstructured{Object: map[string]any{}}
			text := fmt.Sprintf("apiVersion: sriovnetwork.openshift.io/v1\nkind: %s\nmetadata: {name: it, namespace: %s}\nspec: %s\n", s.kind, namespace, s.spec)
			if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
				t.Fatal(err)
			}
			if s.kind == "SriovNetworkNodeState" {
				o.SetAnnotations(map[string]string{"sriovnetwork.openshift.io/desired-state": "Drain_Required", "sriovnetwork.openshift.io/current-state": "Draining"})
			}
			if err := c.Client().Create(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			var status map[string]any
			if err := yaml.Unmarshal([]byte(s.status), &status); err != nil {
				t.Fatal(err)
			}
			o.Object["status"] = status
			if err := c.Client().Status().Update(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(s.want, "\n"+columns(t, table(t, c, namespace, s.plural))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// table asks the API server for objects as kubectl get does.
func table(t *testing.T, c *kube.Cluster, namespace, plural string) metav1.Table {
	t.Helper()
	doer, err := rest.HTTPClientFor(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("%s/apis/sriovnetwork.openshift.io/v1/namespaces/%s/%s", c.Config().Host, namespace, plural)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
	response, err := doer.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
	var out metav1.Table
	if err == nil {
		err = yaml.Unmarshal(text, &out)
	}
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v\n%s", response.Status, err, text)
	}
	return out
}

// columns are a table in text; those that are shown with -o wide alone come last.
func columns(t *testing.T, all metav1.Table) string {
	t.Helper()
	if last := all.ColumnDefinitions[len(all.ColumnDefinitions)-1]; last.Name != "Age" || last.Priority != 0 {
		t.Errorf("the last column is %s, want Age", last.Name)
	}
	lines := make([]string, 1+len(all.Rows))
	for wide := range int32(2) {
		if wide == 1 {
			for i := range lines {
				lines[i] += "| "
			}
		}
		for column, d := range all.ColumnDefinitions {
			if d.Name == "Age" || d.Priority != wide {
				continue
			}
			cells := []string{strings.ToUpper(d.Name)}
			for _, row := range all.Rows {
				cell := "-"
				if value := row.Cells[column]; value != nil {
					cell = fmt.Sprint(value)
				}
				cells = append(cells, cell)
			}
			width := 0
			for _, cell := range cells {
				width = max(width, len(cell))
			}
			for i, cell := range cells {
				lines[i] += fmt.Sprintf("%-*s  ", width, cell)
			}
		}
	}
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

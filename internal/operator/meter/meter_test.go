// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

func TestWhatAWriteIsAbout(t *testing.T) {
	const states = "/apis/sriovnetwork.openshift.io/v1/namespaces/kube-system/sriovnetworknodestates"
	for request, want := range map[string]string{
		"PUT " + states + "/node-1":          "nodestate",
		"POST " + states:                     "nodestate",
		"PATCH " + states + "/node-1":        "nodestate",
		"PATCH " + states + "/node-1/status": "condition",
		"GET " + states + "/node-1":          "",
		"PATCH /apis/sriovnetwork.openshift.io/v1/namespaces/kube-system/sriovnetworknodepolicies/p/status": "policy",
		"PATCH /apis/sriovnetwork.openshift.io/v1/namespaces/apps/sriovnetworks/n/status":                   "condition",
		"PATCH /api/v1/namespaces/kube-system/configmaps/device-plugin-config":                              "configmap",
		"PATCH /api/v1/nodes/node-1":                                                       "node",
		"POST /api/v1/namespaces/apps/pods/p/eviction":                                     "pod",
		"DELETE /apis/k8s.cni.cncf.io/v1/namespaces/apps/network-attachment-definitions/n": "attachment",
		"POST /apis/events.k8s.io/v1/namespaces/apps/events":                               "event",
		"PUT /apis/coordination.k8s.io/v1/namespaces/kube-system/leases/l":                 "lease",
		"PATCH /apis/apps/v1/namespaces/kube-system/daemonsets/d":                          "other",
		"DELETE /apis/rbac.authorization.k8s.io/v1/clusterroles/c":                         "other",
		"PATCH /api/v1/namespaces/apps":                                                    "other",
		"POST /apis/authentication.k8s.io/v1/tokenreviews":                                 "",
		"POST /apis/authorization.k8s.io/v1/subjectaccessreviews":                          "",
		"POST /version": "",
	} {
		method, path, _ := strings.Cut(request, " ")
		if got, is := written(method, path); got != want || is != (want != "") {
			t.Errorf("%s is about %q, want %q", request, got, want)
		}
	}
}

func TestEveryWriteThatIsAnsweredIsMeasured(t *testing.T) {
	registry := prometheus.NewRegistry()
	at := time.Unix(1000, 0)
	wrap, err := Wrap(registry, func() time.Time { at = at.Add(time.Second); return at })
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusConflict) }))
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	t.Cleanup(server.Close)
	doer := &http.Client{Transport: wrap(http.DefaultTransport)}
	ask := func(method, url string) error {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := doer.Do(request)
		if err != nil {
			return err
		}
		return response.Body.Close()
	}
	for range 2 {
		if err := ask(http.MethodPatch, server.URL+"/api/v1/nodes/n"); err != nil {
			t.Fatal(err)
		}
	}
	if err := ask(http.MethodGet, server.URL+"/api/v1/nodes/n"); err != nil {
		t.Fatal(err)
	}
	if ask(http.MethodPatch, gone.URL+"/api/v1/nodes/n") == nil {
		t.Fatal("a server that is gone answers")
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got, seconds := map[string]uint64{}, 0.0
	for _, m := range families[0].GetMetric() {
		got[m.GetLabel()[0].GetValue()] = m.GetHistogram().GetSampleCount()
		seconds += m.GetHistogram().GetSampleSum()
	}
	want := map[string]uint64{}
	for _, object := range Metrics()[0].Values {
		want[object] = 0
	}
	want["node"] = 2
	if diff := cmp.Diff(want, got); diff != "" || seconds != 2 {
		t.Errorf("%v seconds; writes (-want +got):\n%s", seconds, diff)
	}
}

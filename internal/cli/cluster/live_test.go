// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/kubeovn/sriov-network-operator/internal/cli/cluster"
)

// TestWhoStopsWaitingIsNotToldThatTheClusterIsFar interrupts a question to an API server that
// does not answer.
func TestWhoStopsWaitingIsNotToldThatTheClusterIsFar(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		stop()
		<-r.Context().Done()
	}))
	defer server.Close()
	live, err := cluster.Connect(&rest.Config{Host: server.URL}, "kube-system")
	if err != nil {
		t.Fatal(err)
	}
	_, err = live.Objects(ctx, "")
	if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "can be reached") {
		t.Errorf("got %v, want that it was cancelled and nothing else", err)
	}
	server.Close()
	if _, err = live.Objects(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "see whether the cluster can be reached") {
		t.Errorf("got %v of a server that is gone, want what to look at", err)
	}
}

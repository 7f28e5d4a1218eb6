// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package daemon_test

import (
	"net/http"
	"testing"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/test/kube/proxy"
)

func TestAStatusThatLosesAgainstOthersAgainAndAgainIsWrittenInTheEnd(t *testing.T) {
	n := newNode(t, connectX5)
	n.start()
	n.awaitSync(sriovv1.SyncStatusSucceeded)
	match := func(q proxy.Request) bool { return q.Verb == "update" && q.Subresource == "status" }
	n.proxy.Script(proxy.Rule{Match: match, Times: 7, Fault: proxy.Answer{Code: http.StatusConflict}})
	n.want(pf(0, 2))
	if s := n.awaitSync(sriovv1.SyncStatusSucceeded); s.Status.Interfaces[0].NumVfs != 2 {
		t.Errorf("the status shows %d VFs", s.Status.Interfaces[0].NumVfs)
	}
	if len(n.proxy.Struck()) == 0 {
		t.Error("no write was refused")
	}
}

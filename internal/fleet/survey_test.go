// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/claims"
	"github.com/kubeovn/sriov-network-operator/internal/fleet"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

func policy(vfs int) sriovv1.SriovNetworkNodePolicy {
	return sriovv1.SriovNetworkNodePolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "net", Namespace: sriovv1.DefaultNamespace},
		Spec: sriovv1.SriovNetworkNodePolicySpec{
			ResourceName: "net", NumVfs: vfs, NicSelector: sriovv1.SriovNetworkNicSelector{PfNames: []string{"ens1f0"}},
		},
	}
}

func of(o fleet.Objects) *fleet.Rules { return fleet.New(o, claims.Claims{}) }

// TestANodeWhoseSpecIsNotWrittenYetIsPending: a daemon that is done with the spec of yesterday
// does not make the node synced.
func TestANodeWhoseSpecIsNotWrittenYetIsPending(t *testing.T) {
	node := nodestate.Node{Name: "a", Labels: map[string]string{
		corev1.LabelOSStable: "linux", sriovv1.LabelSriovCapable: sriovv1.LabelSriovCapableTrue,
	}}
	with := func(vfs int) fleet.Objects {
		return fleet.Objects{Policies: []sriovv1.SriovNetworkNodePolicy{policy(vfs)}}
	}
	claimed := func(text string) fleet.Objects {
		o := with(4)
		o.ConfigMaps = []corev1.ConfigMap{{ObjectMeta: metav1.ObjectMeta{Name: sriovv1.ConfigMapSriovConfig}, Data: map[string]string{"a": text}}}
		return o
	}
	pool := with(4)
	pool.Pools = []sriovv1.SriovNetworkPoolConfig{{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: sriovv1.SriovNetworkPoolConfigSpec{RdmaMode: sriovv1.RdmaModeExclusive}}}
	twoPools := pool
	twoPools.Pools = append(twoPools.Pools[:1:1], sriovv1.SriovNetworkPoolConfig{ObjectMeta: metav1.ObjectMeta{Name: "q"}})
	tests := map[string]struct {
		now     fleet.Objects
		partial bool
		want    fleet.Standing
	}{
		"as it was rendered":                     {with(4), false, fleet.Synced},
		"the policy has changed":                 {with(8), false, fleet.Pending},
		"the policy is gone":                     {fleet.Objects{}, false, fleet.Pending},
		"the policies are not known":             {fleet.Objects{}, true, fleet.Synced},
		"the node's pool has another RDMA mode":  {pool, false, fleet.Pending},
		"the node is in two pools and keeps its": {twoPools, false, fleet.Synced},
		"a broken entry, so it keeps its spec":   {claimed("{"), false, fleet.Synced},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			state := sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Name: "a", Generation: 3}}
			state.Status = sriovv1.SriovNetworkNodeStateStatus{
				ObservedGeneration: 3, SyncStatus: sriovv1.SyncStatusSucceeded, Interfaces: []sriovv1.InterfaceExt{{
					Name: "ens1f0", PciAddress: "0000:18:00.0", Vendor: "8086", DeviceID: "159b", Driver: "ice", TotalVfs: 128, LinkType: sriovv1.LinkTypeETH,
				}},
			}
			was, err := of(with(4)).Render(node, &state)
			if err != nil || len(was.Spec.Interfaces) != 1 {
				t.Fatalf("rendered %+v: %v", was.Spec, err)
			}
			state.Spec = was.Spec
			s := of(test.now).Look(fleet.Members{
				Nodes: []nodestate.Node{node}, States: []sriovv1.SriovNetworkNodeState{state}, Whole: !test.partial,
			}, nil)
			n := s.Nodes[0]
			if n.Standing != test.want || (n.Reason == fleet.SpecNotWritten) != (test.want == fleet.Pending) || s.Moving() != (test.want == fleet.Pending) {
				t.Errorf("the node is %v: %s %s, want %v", n.Standing, n.Reason, n.Why, test.want)
			}
		})
	}
}

func TestABootThatWentWrongIsSaidOfASyncedNode(t *testing.T) {
	state := sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
	state.Status.SyncStatus = sriovv1.SyncStatusSucceeded
	for status, want := range map[metav1.ConditionStatus]string{metav1.ConditionFalse: "Boot 1: no.", metav1.ConditionTrue: ""} {
		state.Status.Conditions = []metav1.Condition{{Type: sriovv1.ConditionRestoredAtBoot, Status: status, Reason: "BootRestoreFailed", Message: "Boot 1: no."}}
		n := of(fleet.Objects{}).Look(fleet.Members{Unknown: true, States: []sriovv1.SriovNetworkNodeState{state}}, nil).Nodes[0]
		if n.Boot != want || n.Standing != fleet.Synced {
			t.Errorf("RestoredAtBoot is %s: %q and %v, want %q", status, n.Boot, n.Standing, want)
		}
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

func pools(selectors ...*metav1.LabelSelector) []pool {
	var configs []sriovv1.SriovNetworkPoolConfig
	for i, s := range selectors {
		configs = append(configs, sriovv1.SriovNetworkPoolConfig{
			ObjectMeta: metav1.ObjectMeta{Name: string(rune('a' + i))},
			Spec:       sriovv1.SriovNetworkPoolConfigSpec{NodeSelector: s, RdmaMode: sriovv1.RdmaModeExclusive},
		})
	}
	return newPools(configs)
}

func TestTheRDMAModeIsThatOfTheOnePool(t *testing.T) {
	labelled := &metav1.LabelSelector{MatchLabels: map[string]string{"rack": "1"}}
	broken := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "rack", Operator: "Near"}}}
	node := map[string]string{"rack": "1"}
	tests := map[string]struct {
		pools []pool
		want  hw.RDMAMode
		fails string
	}{
		"without pools nothing is asked for":               {},
		"a pool without a selector has every node":         {pools: pools(nil), want: hw.RDMAExclusive},
		"a pool of other nodes does not count":             {pools: pools(&metav1.LabelSelector{MatchLabels: map[string]string{"rack": "2"}})},
		"two pools are an error with both names":           {pools: pools(labelled, nil), fails: "pools a and b"},
		"a selector that cannot be read may mean the node": {pools: pools(labelled, broken), fails: "pool b"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in, err := poolOf(test.pools, node)
			if (err != nil) != (test.fails != "") || err != nil && !strings.Contains(err.Error(), test.fails) {
				t.Fatalf("error %v, want %q", err, test.fails)
			}
			if in.mode != test.want {
				t.Errorf("mode %q, want %q", in.mode, test.want)
			}
		})
	}
}

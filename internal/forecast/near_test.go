// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package forecast_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/claims"
	"github.com/kubeovn/sriov-network-operator/internal/converge"
	"github.com/kubeovn/sriov-network-operator/internal/execute"
	"github.com/kubeovn/sriov-network-operator/internal/fleet"
	"github.com/kubeovn/sriov-network-operator/internal/forecast"
	"github.com/kubeovn/sriov-network-operator/internal/host/sim"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

// wish asks for VFs of one PF.
func wish(pf string, vfs, mtu int, driver sriovv1.DeviceType, mode sriovv1.EswitchMode) []sriovv1.SriovNetworkNodePolicy {
	if vfs == 0 {
		return nil
	}
	return []sriovv1.SriovNetworkNodePolicy{{
		ObjectMeta: metav1.ObjectMeta{Name: "p"},
		Spec: sriovv1.SriovNetworkNodePolicySpec{
			ResourceName: "r", NumVfs: vfs, Mtu: mtu, DeviceType: driver, EswitchMode: mode, AllowInUse: true,
			NicSelector: sriovv1.SriovNetworkNicSelector{PfNames: []string{pf}},
		},
	}}
}

// TestWhatIsForetoldIsWhatTheMachinePlans brings described machines from one wish to
// another, and compares what is foretold from afar with what the machine itself plans.
func TestWhatIsForetoldIsWhatTheMachinePlans(t *testing.T) {
	for machine, pf := range map[string]string{"two-port-connectx5": "ens41f0np0", "e810": "ens785f1", "igb-4ports": "eth1"} {
		for name, c := range map[string]struct {
			from, to []sriovv1.SriovNetworkNodePolicy
		}{
			"the first VFs":    {nil, wish(pf, 4, 0, "", "")},
			"more VFs":         {wish(pf, 2, 0, "", ""), wish(pf, 4, 0, "", "")},
			"fewer VFs":        {wish(pf, 4, 0, "", ""), wish(pf, 2, 0, "", "")},
			"a higher MTU":     {wish(pf, 2, 0, "", ""), wish(pf, 2, 3000, "", "")},
			"no MTU any more":  {wish(pf, 2, 3000, "", ""), wish(pf, 2, 0, "", "")},
			"userspace":        {wish(pf, 2, 0, "", ""), wish(pf, 2, 0, "vfio-pci", "")},
			"back to a kernel": {wish(pf, 2, 0, "vfio-pci", ""), wish(pf, 2, 0, "", "")},
			"switchdev":        {wish(pf, 2, 0, "", ""), wish(pf, 2, 0, "", "switchdev")},
			"legacy again":     {wish(pf, 2, 0, "", "switchdev"), wish(pf, 2, 0, "", "")},
			"nothing any more": {wish(pf, 2, 3000, "", ""), nil},
			"too many VFs":     {wish(pf, 2, 0, "", ""), wish(pf, 4000, 0, "", "")},
		} {
			t.Run(machine+"/"+name, func(t *testing.T) { foretells(t, machine, c.from, c.to) })
		}
	}
}

func foretells(t *testing.T, machine string, from, to []sriovv1.SriovNetworkNodePolicy) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../test/machines", machine+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := sim.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	nics := catalog.Default()
	node := nodestate.Node{Name: "n", Labels: nodestate.DefaultNodeSelector()}
	foresee := func(policies []sriovv1.SriovNetworkNodePolicy) converge.Outlook {
		t.Helper()
		seen, err := converge.Look(t.Context(), m.Host().Reader, nics)
		if err != nil {
			t.Fatal(err)
		}
		return converge.Foresee(converge.Wish{Policies: nodestate.Compile(policies, nodestate.Options{Catalog: nics}), Node: node}, seen, nics)
	}
	first := foresee(from)
	if err := converge.Execute(t.Context(), m.Host(), first.Plan, execute.Options{Now: time.Now, StepTimeout: 20 * time.Second}); err != nil {
		t.Fatal(err)
	}
	near := foresee(to)
	state := converge.NodeState("n", "", near)
	state.Spec = converge.NodeState("n", "", first).Spec
	change := forecast.Change{
		Before: fleet.New(fleet.Objects{Policies: from}, claims.Claims{}), After: fleet.New(fleet.Objects{Policies: to}, claims.Claims{}),
	}
	far, _, err := change.Look(forecast.Node{Node: node, State: &state})
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(near.Plan.Blocked, func(b plan.Blocker) bool { return b.Why.Reason == reason.EswitchUnsupported }) {
		if !strings.Contains(strings.Join(far.Doubts, ""), "has an eSwitch") {
			t.Errorf("the machine has no eSwitch, and the doubts are %v", far.Doubts)
		}
		return
	}
	if far.Plan.Class() != near.Plan.Class() || (len(far.Plan.Blocked) > 0) != (len(near.Plan.Blocked) > 0) {
		t.Errorf("foretold is %s, blocked %v; the machine plans %s, blocked %v", far.Plan.Class(), far.Plan.Blocked, near.Plan.Class(), near.Plan.Blocked)
	}
	if diff := cmp.Diff(near.Plan.Takes(), far.Plan.Takes()); diff != "" {
		t.Errorf("VFs that are taken (-machine +foretold):\n%s", diff)
	}
	if diff := cmp.Diff(deeds(near.Plan), deeds(far.Plan)); diff != "" {
		t.Errorf("steps (-machine +foretold):\n%s", diff)
	}
}

// deeds are the actions on PFs that somebody may notice.
func deeds(p plan.Plan) []string {
	var out []string
	for _, l := range p.Lanes {
		for _, s := range l.Steps {
			if s.Class > 0 {
				out = append(out, s.Do.Does()+" "+s.Class.String())
			}
		}
	}
	return out
}

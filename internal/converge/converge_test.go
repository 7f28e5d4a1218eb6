// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package converge_test

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/converge"
	"github.com/kubeovn/sriov-network-operator/internal/execute"
	"github.com/kubeovn/sriov-network-operator/internal/host/sim"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/ledger"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

func machine(t *testing.T) *sim.Machine {
	t.Helper()
	text, err := os.ReadFile("../../test/machines/two-port-connectx5.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m, err := sim.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func policy(name, pf string, numVFs int) sriovv1.SriovNetworkNodePolicy {
	return sriovv1.SriovNetworkNodePolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: sriovv1.SriovNetworkNodePolicySpec{
			ResourceName: name, NumVfs: numVFs, EswitchMode: sriovv1.EswitchModeSwitchdev,
			NicSelector: sriovv1.SriovNetworkNicSelector{PfNames: []string{pf}},
		},
	}
}

func wish(policies ...sriovv1.SriovNetworkNodePolicy) converge.Wish {
	return converge.Wish{
		Policies: nodestate.Compile(policies, nodestate.Options{Catalog: catalog.Default()}),
		Node:     nodestate.Node{Name: "node1", LabelsUnknown: true},
	}
}

func foresee(t *testing.T, m *sim.Machine, w converge.Wish) converge.Outlook {
	t.Helper()
	seen, err := converge.Look(t.Context(), m.Reader(), catalog.Default())
	if err != nil {
		t.Fatal(err)
	}
	return converge.Foresee(w, seen, catalog.Default())
}

func carryOut(t *testing.T, m *sim.Machine, w converge.Wish) error {
	t.Helper()
	return converge.Execute(t.Context(), m.Host(), foresee(t, m, w).Plan, execute.Options{Now: time.Now, StepTimeout: time.Minute})
}

func TestAMachineConvergesAndIsJudged(t *testing.T) {
	m, w := machine(t), wish(policy("a", "ens41f0np0", 2), policy("b", "ens41f1np1", 3))
	if status, why := converge.Judge(foresee(t, m, w), nil); status != sriovv1.SyncStatusFailed || !strings.Contains(why, "left to do") {
		t.Errorf("before: %s %q", status, why)
	}
	if err := carryOut(t, m, w); err != nil {
		t.Fatal(err)
	}
	out := foresee(t, m, w)
	if status, why := converge.Judge(out, nil); status != sriovv1.SyncStatusSucceeded || why != "" || !out.Plan.Empty() {
		t.Errorf("after: %s %q %v", status, why, out.Plan)
	}
	state := converge.NodeState("node1", "kube-system", out)
	if n := state.Status.Interfaces[1].NumVfs; n != 3 || state.Spec.Interfaces[1].NumVfs != 3 {
		t.Errorf("the second PF has %d VFs in the status", n)
	}
}

func TestD28AMachineThatCannotBeAsDesiredIsNeverSucceeded(t *testing.T) {
	m, w := machine(t), wish(policy("many", "ens41f0np0", 99))
	out := foresee(t, m, w)
	status, why := converge.Judge(out, nil)
	if status != sriovv1.SyncStatusFailed || !strings.Contains(why, "the hardware offers 8") || !strings.Contains(why, reason.TotalVFsExceeded.Fix()) {
		t.Errorf("got %s %q", status, why)
	}
	if warnings := converge.NodeState("n", "ns", out).Status.Interfaces[0].Warnings; len(warnings) != 1 {
		t.Errorf("the PF's warnings are %q", warnings)
	}
	cause := errors.New("the disk is full")
	if status, why := converge.Judge(converge.Outlook{}, cause); status != sriovv1.SyncStatusFailed || why != cause.Error() {
		t.Errorf("after a failure: %s %q", status, why)
	}
}

func TestAPFIsGivenBackOnlyWhenItIsCertainThatNobodyAsksForIt(t *testing.T) {
	m := machine(t)
	if err := carryOut(t, m, wish(policy("a", "ens41f0np0", 2), policy("b", "ens41f1np1", 2))); err != nil {
		t.Fatal(err)
	}
	less := wish(policy("a", "ens41f0np0", 2))
	less.Uncertain = true
	out := foresee(t, m, less)
	if want := []hw.PCIAddr{{Bus: 0x5f, Function: 1}}; !out.Plan.Empty() || !slices.Equal(out.Spared, want) {
		t.Errorf("uncertain: plan %v, spared %v", out.Plan, out.Spared)
	}
	less.Uncertain = false
	if err := carryOut(t, m, less); err != nil {
		t.Fatal(err)
	}
	out = foresee(t, m, less)
	if pf, _ := out.Inventory.PF(hw.PCIAddr{Bus: 0x5f, Function: 1}); pf.NumVFs != 0 || len(out.Memory) != 1 {
		t.Errorf("certain: %d VFs are left and %d records", pf.NumVFs, len(out.Memory))
	}
}

func TestATornRecordIsAWordInThePlan(t *testing.T) {
	m, w := machine(t), wish(policy("a", "ens41f0np0", 2))
	if err := carryOut(t, m, w); err != nil {
		t.Fatal(err)
	}
	if err := m.Host().Conf.Replace(t.Context(), ledger.Dir+"/0000:5f:00.0", []byte(`{"pciAd`), 0o600); err != nil {
		t.Fatal(err)
	}
	out := foresee(t, m, w)
	var got []reason.Reason
	for _, n := range out.Plan.Notices {
		got = append(got, n.Why.Reason)
	}
	if diff := cmp.Diff([]reason.Reason{reason.LedgerTorn}, got); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
	if err := carryOut(t, m, w); err != nil {
		t.Fatal(err)
	}
	if again := foresee(t, m, w); !again.Plan.Empty() || len(again.Torn) != 0 {
		t.Errorf("afterwards: %v, torn %v", again.Plan, again.Torn)
	}
}

func TestARecordThatMayNotBeReadIsNotTorn(t *testing.T) {
	m := machine(t)
	if err := carryOut(t, m, wish(policy("a", "ens41f0np0", 2))); err != nil {
		t.Fatal(err)
	}
	m.Fail("read:"+ledger.Dir+"/0000:5f:00.0", fs.ErrPermission)
	if _, err := converge.Look(t.Context(), m.Reader(), catalog.Default()); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v", err)
	}
}

func TestAMachineThatCannotBeReadIsAnError(t *testing.T) {
	m := machine(t)
	cause := errors.New("no netlink")
	m.Fail("read:links", cause)
	if _, err := converge.Look(t.Context(), m.Reader(), catalog.Default()); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

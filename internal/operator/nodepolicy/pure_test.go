// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nodepolicy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/claims"
	"github.com/kubeovn/sriov-network-operator/internal/fleet"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
)

// policyFor is a policy for a PF by its name.
func policyFor(name, pf string, vfs int) sriovv1.SriovNetworkNodePolicy {
	return sriovv1.SriovNetworkNodePolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 1},
		Spec: sriovv1.SriovNetworkNodePolicySpec{
			ResourceName: name, NumVfs: vfs, NicSelector: sriovv1.SriovNetworkNicSelector{PfNames: []string{pf}},
		},
	}
}

func stateWith(nics ...sriovv1.InterfaceExt) *sriovv1.SriovNetworkNodeState {
	return &sriovv1.SriovNetworkNodeState{
		ObjectMeta: metav1.ObjectMeta{Name: "n", Generation: 3},
		Status:     sriovv1.SriovNetworkNodeStateStatus{Interfaces: nics, SyncStatus: sriovv1.SyncStatusSucceeded, ObservedGeneration: 3},
	}
}

func cx5() sriovv1.InterfaceExt {
	return sriovv1.InterfaceExt{Name: "ens1f0", PciAddress: "0000:d8:00.0", Driver: "mlx5_core", Vendor: "15b3", DeviceID: "1017", TotalVfs: 8, LinkType: "ETH"}
}

func mustRender(t *testing.T, b *basis, state *sriovv1.SriovNetworkNodeState) rendering {
	t.Helper()
	r, err := b.render(nodestate.Node{Name: "n", Labels: map[string]string{sriovv1.LabelOS: "linux", sriovv1.LabelSriovCapable: "true"}}, state)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestANodeWithoutInventoryKeepsItsSpecAndItsPluginsConfiguration(t *testing.T) {
	b := newBasis(objects{policies: []sriovv1.SriovNetworkNodePolicy{policyFor("p", "ens1f0", 4)}}, claims.Claims{}, 1)
	state := stateWith()
	state.Spec.Interfaces = []sriovv1.Interface{{PciAddress: "0000:d8:00.0", NumVfs: 7}}
	r := mustRender(t, b, state)
	if diff := cmp.Diff(state.Spec, r.Spec); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	if r.Plugin != "" || r.summary.standing != pending {
		t.Errorf("plugin %q, %s; want nothing said, and pending", r.Plugin, r.summary.standing)
	}
}

func TestAnUnknownClaimKeepsWhatIsRendered(t *testing.T) {
	broken := corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: sriovv1.ConfigMapSriovConfig}, Data: map[string]string{"n": "interfaces: {"}}
	b := newBasis(objects{configMaps: []corev1.ConfigMap{broken}}, claims.Claims{}, 1)
	state := stateWith(cx5())
	state.Spec.Interfaces = []sriovv1.Interface{{PciAddress: "0000:d8:00.0", NumVfs: 7}}
	r := mustRender(t, b, state)
	if diff := cmp.Diff(state.Spec, r.Spec); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	if len(b.Complaints) != 1 || b.Complaints[0].Reason != fleet.ReasonBadKey {
		t.Errorf("complaints %v, want one about the key", b.Complaints)
	}
}

func TestAfterARestartABrokenKeyStillAsksForWhatItsNodeKeeps(t *testing.T) {
	broken := corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: sriovv1.ConfigMapSriovConfig}, Data: map[string]string{
		"n":      "interfaces: {",
		"intact": "interfaces: [{nicName: ens1f0, numVfs: 2, resourceName: read, deviceType: netdevice}]",
	}}
	b := newBasis(objects{configMaps: []corev1.ConfigMap{broken}}, claims.Claims{}, 1)
	group := func(resource string) []sriovv1.Interface {
		return []sriovv1.Interface{{PciAddress: "0000:d8:00.0", NumVfs: 2, VfGroups: []sriovv1.VfGroup{{ResourceName: resource, DeviceType: sriovv1.DeviceTypeVfioPci}}}}
	}
	kept, intact := *stateWith(cx5()), *stateWith(cx5())
	kept.Spec.Interfaces = group("kept")
	intact.Name, intact.Spec.Interfaces = "intact", group("stale")
	var got []string
	for _, p := range append(wishes(b.Claims), keptWishes(b.Claims, []sriovv1.SriovNetworkNodeState{kept, intact})...) {
		got = append(got, p.Spec.ResourceName+" "+string(p.Spec.DeviceType))
	}
	if diff := cmp.Diff([]string{"read netdevice", "kept vfio-pci"}, got); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
}

func TestAPFOfAnotherTypeThanClaimedIsHeld(t *testing.T) {
	good := "interfaces:\n- nicName: ens1f0\n  nicType: ConnectX-5\n  numVfs: 4\n  resourceName: r\n"
	cm := corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: sriovv1.ConfigMapSriovConfig}, Data: map[string]string{"n": good}}
	b := newBasis(objects{configMaps: []corev1.ConfigMap{cm}}, claims.Claims{}, 1)
	if len(b.Complaints) > 0 {
		t.Fatal(b.Complaints)
	}
	state := stateWith(cx5())
	state.Spec = mustRender(t, b, state).Spec
	if len(state.Spec.Interfaces) != 1 {
		t.Fatalf("rendered %v, want the PF", state.Spec.Interfaces)
	}
	was := mustRender(t, b, state).Plugin
	other := cm.DeepCopy()
	other.Data["n"] = strings.ReplaceAll(good, "ConnectX-5", "ixgbe")
	b = newBasis(objects{configMaps: []corev1.ConfigMap{*other}}, b.Claims, 2)
	if len(b.Complaints) > 0 {
		t.Fatal(b.Complaints)
	}
	r := mustRender(t, b, state)
	if diff := cmp.Diff(state.Spec, r.Spec); diff != "" {
		t.Errorf("spec (-was +is):\n%s", diff)
	}
	if diff := cmp.Diff(was, r.Plugin); diff != "" {
		t.Errorf("the device plugin's configuration (-was +is):\n%s", diff)
	}
}

func TestAMalformedNICEntryIsReportedAndTheOthersCount(t *testing.T) {
	list := corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: sriovv1.ConfigMapSupportedNICIDs}, Data: map[string]string{"good": "15b3 1017 1018", "bad": "15b3 1017"}}
	b := newBasis(objects{configMaps: []corev1.ConfigMap{list}, policies: []sriovv1.SriovNetworkNodePolicy{policyFor("p", "ens1f0", 4)}}, claims.Claims{}, 1)
	if len(b.Complaints) != 1 || b.Complaints[0].Reason != fleet.ReasonBadNICEntry || !strings.Contains(b.Complaints[0].Text, "bad") {
		t.Errorf("complaints %v, want one about the entry", b.Complaints)
	}
	if r := mustRender(t, b, stateWith(cx5())); len(r.Spec.Interfaces) != 1 {
		t.Errorf("rendered %v, want the NIC of the good entry", r.Spec.Interfaces)
	}
}

func TestANodeIsSyncedOnlyForItsPresentSpec(t *testing.T) {
	b := newBasis(objects{policies: []sriovv1.SriovNetworkNodePolicy{policyFor("p", "ens1f0", 4)}}, claims.Claims{}, 1)
	state := stateWith(cx5())
	if got := mustRender(t, b, state).summary.standing; got != pending {
		t.Errorf("%s before the spec is written, want pending", got)
	}
	state.Spec = mustRender(t, b, state).Spec
	if got := mustRender(t, b, state).summary.standing; got != synced {
		t.Errorf("%s, want synced", got)
	}
	state.Generation++
	if got := mustRender(t, b, state).summary.standing; got != pending {
		t.Errorf("%s while the daemon has not seen the spec, want pending", got)
	}
}

func TestTheFirstThatHoldsIsWhyAPolicyIsNotReady(t *testing.T) {
	good := policyFor("p", "ens1f0", 4)
	bad := policyFor("p", "ens1f0", -1)
	empty := policyFor("p", "ens1f0", 4)
	empty.Spec.NicSelector = sriovv1.SriovNetworkNicSelector{}
	old := policyFor(sriovv1.DefaultPolicyName, "ens1f0", 4)
	tests := map[string]struct {
		policy sriovv1.SriovNetworkNodePolicy
		tally  tally
		want   string
		says   string
	}{
		"a bad field":              {policy: bad, want: string(reason.BadPolicy), says: "spec.numVfs"},
		"an empty selector":        {policy: empty, tally: tally{nodes: 1}, want: string(reason.EmptySelector)},
		"the policy named default": {policy: old, want: string(reason.DeprecatedDefault)},
		"no node":                  {policy: good, want: string(reason.NodeNotSelected)},
		"a failed node":            {policy: good, tally: tally{nodes: 2, pfs: 2, failed: 1, synced: 1, failure: "node a: no firmware"}, want: sriovv1.ReasonNodesFailed, says: "1 of 2 nodes failed; node a: no firmware"},
		"nothing stands":           {policy: good, tally: tally{nodes: 1, pfs: 1, synced: 1, lost: 1}, want: sriovv1.ReasonLostToOthers},
		"a node on its way":        {policy: good, tally: tally{nodes: 2, pfs: 2, synced: 1}, want: sriovv1.ReasonInProgress, says: "1 of 2"},
		"no PF anywhere":           {policy: good, tally: tally{nodes: 2, synced: 2, idle: 2}, want: string(reason.NoPFMatches)},
		"all is well":              {policy: good, tally: tally{nodes: 2, pfs: 2, synced: 2}, want: sriovv1.ReasonAllNodesSynced},
		"well where there are PFs": {policy: good, tally: tally{nodes: 2, pfs: 1, synced: 2, idle: 1}, want: sriovv1.ReasonAllNodesSynced, says: "on 1 of them no PF"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			v := judge(&test.policy, test.tally)
			if v.readyReason != test.want || !strings.Contains(v.readyText, test.says) {
				t.Errorf("%s: %s; want %s: %s", v.readyReason, v.readyText, test.want, test.says)
			}
			if v.readyText == "" {
				t.Error("there is no message")
			}
		})
	}
}

func TestConditionsKeepTheirTimeAndWhatStaysWrongIsToldOnce(t *testing.T) {
	p := policyFor("p", "ens1f0", 4)
	v := judge(&p, tally{nodes: 1, pfs: 1, synced: 1, losses: 5, sentences: []string{"one", "two", "three"}})
	first := metav1.NewTime(time.Unix(1000, 0))
	p.Status = v.status(&p, first)
	if got := len(announcements(sriovv1.SriovNetworkNodePolicyStatus{}, p.Status)); got != 1 {
		t.Errorf("%d events at first, want 1", got)
	}
	again := v.status(&p, metav1.NewTime(time.Unix(2000, 0)))
	if diff := cmp.Diff(p.Status, again); diff != "" {
		t.Errorf("the status changed (-was +is):\n%s", diff)
	}
	if got := announcements(p.Status, again); len(got) > 0 {
		t.Errorf("events %v for what was told, want none", got)
	}
	c := meta.FindStatusCondition(again.Conditions, sriovv1.ConditionConflicted)
	if c.Status != metav1.ConditionTrue || c.Message != "one; two; three; and 2 more" {
		t.Errorf("Conflicted is %s: %s", c.Status, c.Message)
	}
}

func TestThePolicyIsCountedOnceEveryNodeWasRendered(t *testing.T) {
	b := newBoard()
	b.begin(1, []string{"a", "b", "gone"})
	won := summary{standing: synced, shares: map[string]share{"p": {pfs: 2, reason: reason.Won}}}
	lost := summary{standing: failed, cause: "broken", shares: map[string]share{"p": {pfs: 1, reason: reason.LostToPriority, losses: 1, sentences: []string{"lost"}}}}
	b.put("a", 1, won)
	if _, complete := b.count("p", 1); complete {
		t.Error("counted although nodes are open")
	}
	b.put("b", 1, lost)
	if c := b.drop("gone", 1); !c.complete {
		t.Error("the last node does not complete the basis")
	}
	got, complete := b.count("p", 1)
	if !complete {
		t.Fatal("not counted although no node is open")
	}
	want := tally{nodes: 2, pfs: 3, synced: 1, failed: 1, lost: 1, losses: 1, sentences: []string{"lost"}, failure: "node b: broken", lostTo: "node b: " + reason.LostToPriority.Sentence()}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(tally{})); diff != "" {
		t.Errorf("tally (-want +got):\n%s", diff)
	}
	if c := b.put("a", 1, won); len(c.policies) > 0 {
		t.Errorf("policies %v are to be looked at although nothing changed", c.policies)
	}
	if c := b.drop("a", 1); !cmp.Equal(c.policies, []string{"p"}) {
		t.Errorf("policies %v are to be looked at after a node went, want p", c.policies)
	}
}

func TestOnlyWhatAskedForSomethingElseIsChanged(t *testing.T) {
	o := func() objects {
		claims := corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: sriovv1.ConfigMapSriovConfig, UID: "c"}, Data: map[string]string{"n": "text"}}
		config := &sriovv1.SriovOperatorConfig{ObjectMeta: metav1.ObjectMeta{Name: sriovv1.DefaultConfigName, UID: "d", Generation: 1}}
		pools := []sriovv1.SriovNetworkPoolConfig{{ObjectMeta: metav1.ObjectMeta{Name: "pool", UID: "e", Generation: 1}}}
		policies := []sriovv1.SriovNetworkNodePolicy{policyFor("p", "ens1f0", 4), policyFor("q", "ens1f1", 4)}
		return objects{policies: policies, pools: pools, config: config, configMaps: []corev1.ConfigMap{claims}}
	}
	tests := map[string]struct {
		change func(*objects)
		want   []string
	}{
		"nothing":                        {func(*objects) {}, nil},
		"their order":                    {func(o *objects) { slices.Reverse(o.policies) }, nil},
		"a status":                       {func(o *objects) { o.policies[0].ResourceVersion = "9" }, nil},
		"a ConfigMap that is not read":   {func(o *objects) { o.configMaps = append(o.configMaps, corev1.ConfigMap{}) }, nil},
		"a policy's spec":                {func(o *objects) { o.policies[1].Generation++ }, []string{"SriovNetworkNodePolicy q"}},
		"a policy made again":            {func(o *objects) { o.policies[1].UID = "other" }, []string{"SriovNetworkNodePolicy q"}},
		"a policy that is gone":          {func(o *objects) { o.policies = o.policies[:1] }, []string{"SriovNetworkNodePolicy q"}},
		"a pool, and a policy that came": {func(o *objects) { o.pools[0].Generation++; o.policies = append(o.policies, policyFor("r", "x", 1)) }, []string{"SriovNetworkNodePolicy r", "SriovNetworkPoolConfig pool"}},
		"the operator configuration":     {func(o *objects) { o.config = nil }, []string{"SriovOperatorConfig default"}},
		"a key":                          {func(o *objects) { o.configMaps[0].Data["n"] = "other" }, []string{"ConfigMap sriov-configmap"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			is := o()
			test.change(&is)
			if diff := cmp.Diff(test.want, versionsOf(is).since(versionsOf(o()))); diff != "" {
				t.Errorf("changed (-want +got):\n%s", diff)
			}
		})
	}
	if got, want := listed([]string{"a", "b", "c", "d", "e", "f", "g"}), "a, b, c, d, e and 2 more"; got != want {
		t.Errorf("listed %q, want %q", got, want)
	}
}

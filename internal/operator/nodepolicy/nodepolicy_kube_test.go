// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package nodepolicy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/test/kube/proxy"
)

// awaitCondition waits until a condition of a policy has a status and a reason, and returns
// its message.
func (o *operator) awaitCondition(policy, kind string, status metav1.ConditionStatus, reason string) string {
	o.t.Helper()
	var message string
	o.await("condition "+kind+" of "+policy, func() string {
		var p sriovv1.SriovNetworkNodePolicy
		if err := o.api.Get(o.t.Context(), client.ObjectKey{Namespace: o.ns, Name: policy}, &p); err != nil {
			return err.Error()
		}
		c := meta.FindStatusCondition(p.Status.Conditions, kind)
		if c == nil {
			return "without it"
		}
		message = c.Message
		if c.Status == status && c.Reason == reason {
			return ""
		}
		return fmt.Sprintf("%s, %s: %s", c.Status, c.Reason, c.Message)
	})
	return message
}

func TestAPolicyBecomesASpecAndIsToldWhatBecameOfIt(t *testing.T) {
	o := newOperator(t, time.Hour)
	o.create(o.policy("early", 10, 4, "ens1f0"))
	o.awaitCondition("early", sriovv1.ConditionReady, metav1.ConditionFalse, "NodeNotSelected")
	node := o.node("a")
	o.publish(node, nic(0), nic(1))
	o.awaitVFs(node, 4)
	state, err := o.get(node)
	if err != nil {
		t.Fatal(err)
	}
	if len(state.OwnerReferences) != 1 || state.OwnerReferences[0].Name != sriovv1.DefaultConfigName {
		t.Errorf("owners %v, want the operator configuration", state.OwnerReferences)
	}
	o.awaitCondition("early", sriovv1.ConditionReady, metav1.ConditionFalse, "InProgress")
	o.synced(node)
	o.awaitCondition("early", sriovv1.ConditionReady, metav1.ConditionTrue, "AllNodesSynced")
	var p sriovv1.SriovNetworkNodePolicy
	if err := o.api.Get(t.Context(), client.ObjectKey{Namespace: o.ns, Name: "early"}, &p); err != nil {
		t.Fatal(err)
	}
	got := []int{*p.Status.MatchedNodeCount, *p.Status.MatchedPFCount, *p.Status.SyncedNodeCount, *p.Status.FailedNodeCount}
	if diff := cmp.Diff([]int{1, 1, 1, 0}, got); diff != "" {
		t.Errorf("matched nodes, matched PFs, synced, failed (-want +got):\n%s", diff)
	}
	o.report(node, func(s *sriovv1.SriovNetworkNodeStateStatus) {
		s.SyncStatus, s.LastSyncError = sriovv1.SyncStatusFailed, "the firmware offers no VFs"
	})
	if said := o.awaitCondition("early", sriovv1.ConditionReady, metav1.ConditionFalse, "NodesFailed"); !strings.Contains(said, "the firmware offers no VFs") {
		t.Errorf("the condition says %q, want the node's reason", said)
	}
}

func TestD13ABadPolicyBlocksNoOther(t *testing.T) {
	o := newOperator(t, time.Hour)
	bad := o.policy("bad", 10, 4, "ens1f0")
	bad.Spec.NicSelector.Vendor = "mellanox"
	o.create(bad)
	o.create(o.policy("good", 10, 3, "ens1f1"))
	node := o.node("a")
	o.publish(node, nic(0), nic(1))
	o.awaitVFs(node, 3)
	if said := o.awaitCondition("bad", sriovv1.ConditionReady, metav1.ConditionFalse, "BadPolicy"); !strings.Contains(said, "spec.nicSelector.vendor") {
		t.Errorf("the condition says %q, want the field", said)
	}
}

func TestW6ANodeThatCannotBeReadOrWrittenBlocksNoOther(t *testing.T) {
	o := newOperator(t, time.Hour)
	mute, garbled, refused, good := o.node("a"), o.node("b"), o.node("c"), o.node("d")
	o.publish(garbled, sriovv1.InterfaceExt{
		Name: "ens1f0", PciAddress: "nowhere", Vendor: "mellanox", DeviceID: "?", LinkType: "?", LinkSpeed: "fast", TotalVfs: -1,
		VFs: []sriovv1.VirtualFunction{{PciAddress: "?", VfID: -1}},
	})
	o.publish(refused, nic(0))
	o.publish(good, nic(0))
	o.proxy.Script(proxy.Rule{Fault: proxy.Answer{Code: 500}, Match: func(r proxy.Request) bool {
		return proxy.Writes(r) && r.Resource == "sriovnetworknodestates" && r.Name == refused
	}})
	o.create(o.policy("p", 10, 3, "ens1f0"))
	o.awaitVFs(good, 3)
	o.await("the policy's status", func() string {
		p := &sriovv1.SriovNetworkNodePolicy{ObjectMeta: o.meta("p")}
		if err := o.api.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
			return err.Error()
		}
		if p.Status.MatchedNodeCount == nil || *p.Status.MatchedNodeCount != 4 || p.Status.ObservedGeneration != p.Generation {
			return fmt.Sprintf("%+v", p.Status)
		}
		return ""
	})
	for _, node := range []string{mute, garbled, refused} {
		o.awaitVFs(node)
	}
	// What was in the way goes, and the node follows.
	o.proxy.Script()
	o.awaitVFs(refused, 3)
}

func TestW7ANodeInTwoPoolsKeepsItsRDMAModeAndBlocksNoOther(t *testing.T) {
	o := newOperator(t, time.Hour)
	one := &sriovv1.SriovNetworkPoolConfig{ObjectMeta: o.meta("one"), Spec: sriovv1.SriovNetworkPoolConfigSpec{
		NodeSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"pool": "x"}}, RdmaMode: sriovv1.RdmaModeExclusive,
	}}
	o.create(one)
	node, other := o.node("a"), o.node("b")
	edit(o, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}, func(n *corev1.Node) { n.Labels["pool"] = "x" })
	o.publish(node, nic(0))
	o.publish(other, nic(0))
	o.create(o.policy("p", 10, 2, "ens1f0"))
	o.awaitVFs(node, 2)
	mode := func() sriovv1.RdmaMode {
		state, err := o.get(node)
		if err != nil {
			t.Fatal(err)
		}
		return state.Spec.System.RdmaMode
	}
	if mode() != sriovv1.RdmaModeExclusive {
		t.Fatalf("rdmaMode %q, want that of the pool", mode())
	}
	two := one.DeepCopy()
	two.ObjectMeta, two.Spec.RdmaMode = o.meta("two"), ""
	o.create(two)
	edit(o, o.policy("p", 10, 2), func(p *sriovv1.SriovNetworkNodePolicy) { p.Spec.NumVfs = 5 })
	o.awaitVFs(node, 5)
	o.awaitVFs(other, 5)
	if mode() != sriovv1.RdmaModeExclusive {
		t.Errorf("rdmaMode %q after the node came into a second pool, want exclusive", mode())
	}
}

func TestASpecThatWasEditedByHandIsRestored(t *testing.T) {
	o := newOperator(t, time.Hour)
	node := o.node("a")
	o.publish(node, nic(0))
	o.create(o.policy("p", 10, 2, "ens1f0"))
	o.awaitVFs(node, 2)
	state, err := o.get(node)
	if err != nil {
		t.Fatal(err)
	}
	want := state.Spec
	for name, damage := range map[string]func(*sriovv1.SriovNetworkNodeState){
		"a value is changed": func(s *sriovv1.SriovNetworkNodeState) { s.Spec.Interfaces[0].NumVfs = 7 },
		"a part is added": func(s *sriovv1.SriovNetworkNodeState) {
			s.Spec.Bridges.OVS = []sriovv1.OVSConfigExt{{Name: "br-by-hand"}}
		},
		"everything is removed": func(s *sriovv1.SriovNetworkNodeState) { s.Spec = sriovv1.SriovNetworkNodeStateSpec{} },
	} {
		t.Run(name, func(t *testing.T) {
			before, err := o.get(node)
			if err != nil {
				t.Fatal(err)
			}
			edit(o, &sriovv1.SriovNetworkNodeState{ObjectMeta: o.meta(node)}, damage)
			o.await("the spec", func() string {
				s, err := o.get(node)
				if err != nil {
					return err.Error()
				}
				if s.Generation < before.Generation+2 {
					return "not written back"
				}
				return cmp.Diff(want, s.Spec)
			})
		})
	}
}

func TestANodeStateThatWasDeletedIsMadeAgain(t *testing.T) {
	o := newOperator(t, time.Hour)
	node := o.node("a")
	o.publish(node, nic(0))
	state, err := o.get(node)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.api.Delete(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	o.await("the node state", func() string {
		again, err := o.get(node)
		if err == nil && again.UID == state.UID {
			return "the old one"
		}
		return text(err)
	})
}

func TestOneNodesLabelChangeWritesOneNode(t *testing.T) {
	o := newOperator(t, time.Hour)
	p := o.policy("p", 10, 2, "ens1f0")
	p.Spec.NodeSelector = map[string]string{"want": "vfs"}
	o.create(p)
	var nodes []string
	for _, n := range []string{"a", "b", "c"} {
		nodes = append(nodes, o.node(n))
	}
	for _, n := range nodes {
		o.publish(n, nic(0))
	}
	o.awaitQuiet()
	o.proxy.Reset()
	edit(o, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodes[1]}}, func(n *corev1.Node) { n.Labels["want"] = "vfs" })
	o.awaitVFs(nodes[1], 2)
	o.awaitQuiet()
	want := map[string]int{
		"update sriovnetworknodestates/":        1,
		"patch configmaps/":                     1,
		"patch sriovnetworknodestates/":         1, // its daemon learns which plugin configuration is stored
		"patch nodes/":                          1, // the device plugin may run
		"patch sriovnetworknodepolicies/status": 1,
	}
	if diff := cmp.Diff(want, o.writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

func TestANewlyPublishedNICIsRenderedAtOnce(t *testing.T) {
	o := newOperator(t, time.Hour)
	o.create(o.policy("p", 10, 2, "ens1f0", "ens1f1"))
	node := o.node("a")
	o.publish(node, nic(0))
	o.awaitVFs(node, 2)
	began := time.Now()
	o.publish(node, nic(0), nic(1))
	o.awaitVFs(node, 2, 2)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestNothingIsWrittenWhenNothingChanged(t *testing.T) {
	o := newOperator(t, time.Hour)
	o.create(o.policy("p", 10, 2, "ens1f0"))
	node := o.node("a")
	o.publish(node, nic(0))
	o.awaitVFs(node, 2)
	o.synced(node)
	o.awaitCondition("p", sriovv1.ConditionReady, metav1.ConditionTrue, "AllNodesSynced")
	o.awaitQuiet()
	before, err := o.get(node)
	if err != nil {
		t.Fatal(err)
	}
	o.proxy.Reset()
	// A policy that selects nothing lets every node be rendered again.
	idle := o.policy("idle", 10, 2, "ens1f0")
	idle.Spec.NodeSelector = map[string]string{"no": "node"}
	o.create(idle)
	o.awaitCondition("idle", sriovv1.ConditionReady, metav1.ConditionFalse, "NodeNotSelected")
	o.awaitQuiet()
	if diff := cmp.Diff(map[string]int{"patch sriovnetworknodepolicies/status": 1}, o.writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	after, err := o.get(node)
	if err != nil {
		t.Fatal(err)
	}
	if before.ResourceVersion != after.ResourceVersion {
		t.Errorf("resourceVersion was %s and is %s", before.ResourceVersion, after.ResourceVersion)
	}
}

// What a policy, a pool, the operator configuration or a ConfigMap that is read asks for
// concerns all nodes. Nothing else may cost a rendering of each.
func TestEveryNodeIsRenderedOnlyForWhatConcernsAll(t *testing.T) {
	release := make(chan struct{})
	o := newOperatorThatHolds(t, release)
	a, b := o.node("a"), o.node("b")
	p := o.policy("p", 10, 2, "ens1f0")
	o.create(p)
	o.publish(a, nic(0))
	o.awaitVFs(a, 2)
	o.awaitQuiet()
	if got := o.renderings(); got != 2 {
		t.Errorf("every node was rendered %d times, want once at the start and once for the policy", got)
	}
	at := o.renderings()
	o.publish(b, nic(0))
	o.awaitVFs(b, 2)
	o.synced(a)
	o.synced(b)
	o.awaitCondition("p", sriovv1.ConditionReady, metav1.ConditionTrue, "AllNodesSynced")
	edit(o, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: a}}, func(n *corev1.Node) { n.Labels["colour"] = "blue" })
	edit(o, p, func(p *sriovv1.SriovNetworkNodePolicy) { p.Annotations = map[string]string{"note": "text"} })
	edit(o, &sriovv1.SriovOperatorConfig{ObjectMeta: o.meta(sriovv1.DefaultConfigName)}, func(c *sriovv1.SriovOperatorConfig) {
		c.Annotations = map[string]string{"note": "text"}
	})
	edit(o, &sriovv1.SriovOperatorConfig{ObjectMeta: o.meta(sriovv1.DefaultConfigName)}, func(c *sriovv1.SriovOperatorConfig) {
		c.Finalizers = []string{"example.com/none"}
	})
	edit(o, &sriovv1.SriovOperatorConfig{ObjectMeta: o.meta(sriovv1.DefaultConfigName)}, func(c *sriovv1.SriovOperatorConfig) {
		c.Finalizers = nil
	})
	o.create(&corev1.ConfigMap{ObjectMeta: o.meta("somebodys"), Data: map[string]string{"key": "value"}})
	// A policy that comes and goes before anybody looks is as if it had never been.
	transient := o.policy("transient", 5, 4, "ens1f0")
	o.create(transient)
	if err := o.api.Delete(t.Context(), transient); err != nil {
		t.Fatal(err)
	}
	close(release)
	o.awaitQuiet()
	if got := o.renderings(); got != at {
		t.Errorf("every node was rendered %d more times for what concerns one or none", got-at)
	}
	edit(o, p, func(p *sriovv1.SriovNetworkNodePolicy) { p.Spec.NumVfs = 3 })
	o.awaitVFs(a, 3)
	o.awaitVFs(b, 3)
	o.awaitQuiet()
	if got := o.renderings(); got != at+1 {
		t.Errorf("every node was rendered %d times for the change of a policy, want once", got-at)
	}
}

func TestTwentyPoliciesAtOnceAreOneWritePerNode(t *testing.T) {
	release := make(chan struct{})
	o := newOperatorThatHolds(t, release)
	nodes := []string{o.node("a"), o.node("b"), o.node("c")}
	for _, n := range nodes {
		o.publish(n, nic(0), nic(1))
	}
	first := o.policy("first", 99, 1, "ens1f9")
	o.create(first)
	o.awaitCondition("first", sriovv1.ConditionReady, metav1.ConditionFalse, "InProgress")
	o.await("the next watch", func() string {
		if o.proxy.Struck()["hold"] == 0 {
			return "not held"
		}
		return ""
	})
	o.awaitQuiet()
	o.proxy.Reset()
	done := make(chan error)
	for i := range 20 {
		go func() {
			done <- o.api.Create(t.Context(), o.policy(fmt.Sprintf("p%d", i), i, 2+i%3, fmt.Sprintf("ens1f%d", i%2)))
		}()
	}
	for range 20 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	close(release)
	for _, n := range nodes {
		o.awaitVFs(n, 2, 3)
	}
	o.awaitQuiet()
	if got := o.writes()["update sriovnetworknodestates/"]; got != len(nodes) {
		t.Errorf("%d writes of node states, want %d: %v", got, len(nodes), o.writes())
	}
	if got := o.writes()["patch configmaps/"]; got != 1 {
		t.Errorf("%d writes of the device plugin's configurations, want 1: %v", got, o.writes())
	}
}

// Somebody applies a folder: each policy is there before the next one comes.
func TestPoliciesOneAfterTheOtherAreOneWriteOfThePluginsConfigurations(t *testing.T) {
	o := newOperator(t, time.Hour)
	node := o.node("a")
	o.publish(node, nic(0), nic(1))
	o.awaitQuiet()
	o.proxy.Reset()
	for i := range 20 {
		o.create(o.policy(fmt.Sprintf("p%02d", i), i, 2, "ens1f0"))
		// Each is rendered before the next one comes.
		o.await("the policy's status", func() string {
			p := &sriovv1.SriovNetworkNodePolicy{ObjectMeta: o.meta(fmt.Sprintf("p%02d", i))}
			if err := o.api.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
				return err.Error()
			}
			if p.Status.ObservedGeneration == 0 {
				return "not rendered"
			}
			return ""
		})
	}
	o.awaitQuiet()
	// On a slow machine this takes longer than a write may wait.
	if got := o.writes()["patch configmaps/"]; got < 1 || got > 2 {
		t.Errorf("%d writes of the device plugin's configurations, want 1 or 2: %v", got, o.writes())
	}
	t.Logf("%v", o.writes())
}

func TestD11WhatIsLostIsToldWithWinnerAndPF(t *testing.T) {
	o := newOperator(t, time.Hour)
	o.create(o.policy("low", 50, 2, "ens1f0"))
	o.create(o.policy("high", 10, 4, "ens1f0"))
	node := o.node("a")
	o.publish(node, nic(0))
	o.awaitVFs(node, 4)
	said := o.awaitCondition("low", sriovv1.ConditionConflicted, metav1.ConditionTrue, "LostToOthers")
	for _, word := range []string{"node " + node, "ens1f0 (0000:d8:00.0)", "lost to policy high"} {
		if !strings.Contains(said, word) {
			t.Errorf("the condition says %q, want %q in it", said, word)
		}
	}
	o.awaitCondition("high", sriovv1.ConditionConflicted, metav1.ConditionFalse, "NoConflict")
}

func TestTheStateOfANodeThatIsGoneIsKeptForAWhile(t *testing.T) {
	for name, delay := range map[string]time.Duration{"deleted at once without a delay": 0, "deleted after the delay": 2 * time.Second} {
		t.Run(name, func(t *testing.T) {
			o := newOperator(t, delay)
			node := o.node("a")
			o.publish(node, nic(0))
			edit(o, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}, func(n *corev1.Node) { delete(n.Labels, "test") })
			o.await("the node state", func() string {
				_, err := o.get(node)
				if apierrors.IsNotFound(err) {
					return ""
				}
				return "there"
			})
		})
	}
	t.Run("kept when the node comes back", func(t *testing.T) {
		o := newOperator(t, time.Hour)
		node := o.node("a")
		o.publish(node, nic(0))
		kept := func() string {
			state, err := o.get(node)
			if err != nil {
				return err.Error()
			}
			return state.Annotations[sriovv1.AnnotationKeepStateUntil]
		}
		edit(o, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}, func(n *corev1.Node) { delete(n.Labels, "test") })
		o.await("the annotation", func() string {
			if _, err := time.Parse(time.RFC3339, kept()); err != nil {
				return err.Error()
			}
			return ""
		})
		edit(o, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}, func(n *corev1.Node) { n.Labels = map[string]string{"test": o.ns} })
		o.await("the annotation", kept)
	})
}

func TestD22ABrokenKeyOfSriovConfigMapKeepsWhatWasGood(t *testing.T) {
	o := newOperator(t, time.Hour)
	one, two := o.node("a"), o.node("b")
	o.publish(one, nic(0))
	o.publish(two, nic(0))
	entry := func(vfs int) string {
		return fmt.Sprintf("interfaces:\n- nicName: ens1f0\n  numVfs: %d\n  resourceName: claimed\n", vfs)
	}
	cm := &corev1.ConfigMap{ObjectMeta: o.meta(sriovv1.ConfigMapSriovConfig), Data: map[string]string{one: entry(3), "default": entry(2)}}
	o.create(cm)
	o.awaitVFs(one, 3)
	o.awaitVFs(two, 2)
	edit(o, cm, func(c *corev1.ConfigMap) {
		c.Data[one] = "interfaces:\n- nicName: ens1f0\n  numVvs: 9\n"
		c.Data["default"] = entry(4)
	})
	o.awaitVFs(two, 4)
	o.awaitVFs(one, 3)
	o.await("the event", func() string {
		var events corev1.EventList
		if err := o.api.List(t.Context(), &events, client.InNamespace(o.ns)); err != nil {
			return err.Error()
		}
		for _, e := range events.Items {
			if e.Reason == "BadKey" && strings.Contains(e.Message, "key "+one+", line 3") && strings.Contains(e.Message, "numVvs") {
				return ""
			}
		}
		return fmt.Sprintf("missing among %d events", len(events.Items))
	})
	broken := func(conditions []metav1.Condition) string {
		if c := meta.FindStatusCondition(conditions, sriovv1.ConditionConfigMapAccepted); c != nil {
			return fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
		}
		return "nothing"
	}
	tells := func(want ...string) {
		t.Helper()
		o.await("the conditions", func() string {
			first, err := o.get(one)
			second, err2 := o.get(two)
			var config sriovv1.SriovOperatorConfig
			if err := errors.Join(err, err2, o.api.Get(t.Context(), client.ObjectKey{Namespace: o.ns, Name: sriovv1.DefaultConfigName}, &config)); err != nil {
				return err.Error()
			}
			for i, got := range []string{broken(first.Status.Conditions), broken(second.Status.Conditions), broken(config.Status.Conditions)} {
				if !strings.HasPrefix(got, want[i]) {
					return fmt.Sprintf("%d says %q, want %q", i, got, want[i])
				}
			}
			return ""
		})
	}
	line3 := "False BadKey: ConfigMap sriov-configmap, key " + one + ", line 3, column 3: interfaces[0].numVvs: "
	tells(line3, "nothing", line3)
	// A daemon that writes its whole status does not silence it.
	o.report(one, func(s *sriovv1.SriovNetworkNodeStateStatus) { s.Conditions = nil })
	tells(line3, "nothing", line3)
	edit(o, cm, func(c *corev1.ConfigMap) { c.Data[one] = entry(5) })
	o.awaitVFs(one, 5)
	tells("nothing", "nothing", "nothing")
	edit(o, cm, func(c *corev1.ConfigMap) { c.Data["default"] = "interfaces: 5" })
	tells("nothing", "nothing", "False BadKey: ConfigMap sriov-configmap, key default, line 1")
}

// An operator that starts has never seen what the key said before it broke.
func TestD22AKeyThatBreaksWhileNoOperatorRunsTakesNothingFromItsNode(t *testing.T) {
	o := newOperator(t, time.Hour)
	one, two := o.node("a"), o.node("b")
	o.publish(one, nic(0))
	o.publish(two, nic(0))
	entry := func(vfs int) string {
		return fmt.Sprintf("interfaces:\n- nicName: ens1f0\n  numVfs: %d\n  resourceName: claimed\n", vfs)
	}
	cm := &corev1.ConfigMap{ObjectMeta: o.meta(sriovv1.ConfigMapSriovConfig), Data: map[string]string{one: entry(3), two: entry(2)}}
	o.create(cm)
	o.awaitVFs(one, 3)
	o.awaitVFs(two, 2)
	o.awaitQuiet()
	before, err := o.get(one)
	if err != nil {
		t.Fatal(err)
	}
	o.stop()
	edit(o, cm, func(c *corev1.ConfigMap) { c.Data[one], c.Data[two] = "interfaces: {nicName: [", entry(4) })
	o.run(time.Hour)
	o.awaitVFs(two, 4)
	o.await("the condition", func() string {
		state, err := o.get(one)
		if err != nil {
			return err.Error()
		}
		if c := meta.FindStatusCondition(state.Status.Conditions, sriovv1.ConditionConfigMapAccepted); c == nil || c.Reason != sriovv1.ReasonBadKey {
			return fmt.Sprintf("%v", c)
		}
		return ""
	})
	o.awaitQuiet()
	after, err := o.get(one)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before.Spec, after.Spec); diff != "" || before.Generation != after.Generation {
		t.Errorf("the spec of the node with the broken key (-before +after):\n%s", diff)
	}
	edit(o, cm, func(c *corev1.ConfigMap) { c.Data[one] = entry(5) })
	o.awaitVFs(one, 5)
}

// Who takes an entry away takes its VFs away, and no restart is needed for any of it.
func TestD22AKeyThatGoesLeavesItsNodeToTheDefaultAndThenAlone(t *testing.T) {
	o := newOperator(t, time.Hour)
	one, two := o.node("a"), o.node("b")
	o.publish(one, nic(0), nic(1))
	o.publish(two, nic(0), nic(1))
	entry := func(nic string, vfs int) string {
		return fmt.Sprintf("- nicName: %s\n  numVfs: %d\n  resourceName: claimed\n", nic, vfs)
	}
	cm := &corev1.ConfigMap{ObjectMeta: o.meta(sriovv1.ConfigMapSriovConfig), Data: map[string]string{
		one: "interfaces:\n" + entry("ens1f0", 3) + entry("ens1f1", 4), "default": "interfaces:\n" + entry("ens1f0", 2),
	}}
	o.create(cm)
	o.awaitVFs(one, 3, 4)
	o.awaitVFs(two, 2)
	edit(o, cm, func(c *corev1.ConfigMap) { c.Data[one] = "interfaces:\n" + entry("ens1f1", 4) })
	o.awaitVFs(one, 4)
	edit(o, cm, func(c *corev1.ConfigMap) { delete(c.Data, one) })
	o.awaitVFs(one, 2)
	edit(o, cm, func(c *corev1.ConfigMap) {
		delete(c.Data, "default")
		c.Data[two] = "interfaces:\n" + entry("ens1f1", 5)
	})
	o.awaitVFs(one)
	o.awaitVFs(two, 5)
	if err := o.api.Delete(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	o.awaitVFs(two)
}

// Both sources are one merge: at the same priority a policy object stands, and a higher
// priority stands wherever it comes from.
func TestD22APolicyWinsATieWithSriovConfigMapAndLosesToAHigherPriority(t *testing.T) {
	o := newOperator(t, time.Hour)
	node := o.node("a")
	o.publish(node, nic(0))
	entry := func(priority int) map[string]string {
		return map[string]string{node: fmt.Sprintf("interfaces:\n- {nicName: ens1f0, numVfs: 3, resourceName: claimed, eSwitchMode: switchdev, priority: %d}\n", priority)}
	}
	cm := &corev1.ConfigMap{ObjectMeta: o.meta(sriovv1.ConfigMapSriovConfig), Data: entry(50)}
	o.create(cm)
	// Its name comes before any that the entries have.
	p := o.policy("0", 50, 2, "ens1f0")
	p.Spec.ResourceName = "wished"
	o.create(p)
	first := func(resource string, mode sriovv1.EswitchMode) {
		t.Helper()
		o.await("the spec", func() string {
			state, err := o.get(node)
			if err != nil || len(state.Spec.Interfaces) != 1 || len(state.Spec.Interfaces[0].VfGroups) != 1 {
				return fmt.Sprintf("without its one group: %+v, %v", state.Spec.Interfaces, err)
			}
			got := state.Spec.Interfaces[0]
			if got.VfGroups[0].ResourceName != resource || got.EswitchMode != mode {
				return fmt.Sprintf("for %s in mode %q, want %s in mode %q", got.VfGroups[0].ResourceName, got.EswitchMode, resource, mode)
			}
			return ""
		})
	}
	first("wished", "") // which is legacy
	edit(o, cm, func(c *corev1.ConfigMap) { c.Data = entry(49) })
	first("claimed", sriovv1.EswitchModeSwitchdev)
	o.awaitCondition("0", sriovv1.ConditionReady, metav1.ConditionFalse, "LostToOthers")
	edit(o, cm, func(c *corev1.ConfigMap) { c.Data = entry(51) })
	first("wished", "") // which is legacy
}

func TestThePluginsConfigurationHasAKeyPerNodeAndTheLabelFollows(t *testing.T) {
	o := newOperator(t, 0)
	p := o.policy("p", 10, 2, "ens1f0")
	p.Spec.NodeSelector = map[string]string{"want": "vfs"}
	o.create(p)
	with, without := o.node("a"), o.node("b")
	edit(o, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: with}}, func(n *corev1.Node) { n.Labels["want"] = "vfs" })
	o.publish(with, nic(0))
	o.publish(without, nic(0))
	label := func(node, want string) {
		t.Helper()
		o.await("the label of "+node, func() string {
			var n corev1.Node
			if err := o.api.Get(t.Context(), client.ObjectKey{Name: node}, &n); err != nil {
				return err.Error()
			}
			if got := n.Labels[sriovv1.LabelDevicePlugin]; got != want {
				return fmt.Sprintf("%q, want %q", got, want)
			}
			return ""
		})
	}
	label(with, sriovv1.LabelDevicePluginEnabled)
	label(without, sriovv1.LabelDevicePluginDisabled)
	data := func() map[string]string {
		var cm corev1.ConfigMap
		if err := o.api.Get(t.Context(), client.ObjectKey{Namespace: o.ns, Name: sriovv1.ConfigMapDevicePluginConfig}, &cm); err != nil {
			t.Fatal(err)
		}
		return cm.Data
	}
	want := map[string]string{
		with:    `{"resourceList":[{"resourceName":"p","selectors":{"pfNames":["ens1f0"],"IsRdma":false,"NeedVhostNet":false},"SelectorObj":null}]}`,
		without: `{"resourceList":null}`,
	}
	if diff := cmp.Diff(want, data()); diff != "" {
		t.Errorf("the ConfigMap (-want +got):\n%s", diff)
	}
	edit(o, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: with}}, func(n *corev1.Node) { delete(n.Labels, "test") })
	label(with, "")
	delete(want, with)
	if diff := cmp.Diff(want, data()); diff != "" {
		t.Errorf("the ConfigMap after the node went (-want +got):\n%s", diff)
	}
}

func TestTheEndIsTheSameBehindAHostileAPI(t *testing.T) {
	o := newOperator(t, time.Hour)
	nodes := []string{o.node("a"), o.node("b"), o.node("c")}
	for _, n := range nodes {
		o.publish(n, nic(0), nic(1))
	}
	o.proxy.Script(proxy.Storm()...)
	for i := range 6 {
		o.create(o.policy(fmt.Sprintf("p%d", i), 20-i, 2+i, fmt.Sprintf("ens1f%d", i%2)))
	}
	// Faults strike by chance: go on until some have.
	const enough, most = 3, 60
	for round := range most {
		vfs := 8 + round%3
		edit(o, o.policy("p5", 0, 0), func(p *sriovv1.SriovNetworkNodePolicy) { p.Spec.NumVfs = vfs })
		for _, n := range nodes {
			o.awaitVFs(n, 6, vfs)
		}
		if round >= 2 && len(o.proxy.Struck()) >= enough {
			break
		}
	}
	if len(o.proxy.Struck()) < enough {
		t.Errorf("%d faults struck", len(o.proxy.Struck()))
	}
	o.proxy.Script()
	for _, n := range nodes {
		o.synced(n)
	}
	o.awaitCondition("p5", sriovv1.ConditionReady, metav1.ConditionTrue, "AllNodesSynced")
	o.awaitCondition("p0", sriovv1.ConditionConflicted, metav1.ConditionTrue, "LostToOthers")
}

func TestD21TheNICListIsReadLive(t *testing.T) {
	o := newOperator(t, time.Hour)
	node := o.node("a")
	o.publish(node, nic(0))
	o.create(o.policy("p", 10, 2, "ens1f0"))
	o.awaitVFs(node, 2)
	// Another list takes the place of the shipped one, and a bad entry spoils no other.
	list := &corev1.ConfigMap{ObjectMeta: o.meta(sriovv1.ConfigMapSupportedNICIDs), Data: map[string]string{"e810": "8086 1592 1889", "typo": "15b3 1017"}}
	o.create(list)
	o.awaitVFs(node)
	o.await("the condition of the operator configuration", func() string {
		var config sriovv1.SriovOperatorConfig
		if err := o.api.Get(t.Context(), client.ObjectKey{Namespace: o.ns, Name: sriovv1.DefaultConfigName}, &config); err != nil {
			return err.Error()
		}
		c := meta.FindStatusCondition(config.Status.Conditions, sriovv1.ConditionConfigMapAccepted)
		if c == nil || c.Reason != sriovv1.ReasonBadNICEntry || !strings.Contains(c.Message, "typo") {
			return fmt.Sprintf("%+v", c)
		}
		return ""
	})
	edit(o, list, func(c *corev1.ConfigMap) { c.Data["typo"] = "15b3 1017 1018" })
	o.awaitVFs(node, 2)
	if err := o.api.Delete(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	edit(o, o.policy("p", 10, 2), func(p *sriovv1.SriovNetworkNodePolicy) { p.Spec.NumVfs = 3 })
	o.awaitVFs(node, 3)
}

func TestD3TheOperatorsNodesAreChosenLive(t *testing.T) {
	o := newOperator(t, 0)
	node := o.node("a")
	o.publish(node, nic(0))
	config := &sriovv1.SriovOperatorConfig{ObjectMeta: o.meta(sriovv1.DefaultConfigName)}
	edit(o, config, func(c *sriovv1.SriovOperatorConfig) {
		c.Spec.ConfigDaemonNodeSelector = map[string]string{"test": o.ns, "rack": "7"}
	})
	o.await("the node state", func() string {
		if _, err := o.get(node); !apierrors.IsNotFound(err) {
			return fmt.Sprintf("there (%v)", err)
		}
		return ""
	})
	edit(o, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}, func(n *corev1.Node) { n.Labels["rack"] = "7" })
	o.await("the node state", func() string { _, err := o.get(node); return text(err) })
}

func TestD22FurtherConfigMapsAreReadByLabelAndANodeNamedTwiceIsRefusedByName(t *testing.T) {
	o := newOperator(t, time.Hour)
	one, two := o.node("a"), o.node("b")
	o.publish(one, nic(0))
	o.publish(two, nic(0))
	entry := func(vfs int) string {
		return fmt.Sprintf("interfaces: [{nicName: ens1f0, numVfs: %d, resourceName: claimed}]", vfs)
	}
	rack := func(name string, data map[string]string) *corev1.ConfigMap {
		cm := &corev1.ConfigMap{ObjectMeta: o.meta(name), Data: data}
		cm.Labels = map[string]string{sriovv1.LabelSriovConfigMap: sriovv1.LabelSriovConfigMapTrue}
		return cm
	}
	o.create(rack("rack-1", map[string]string{one: entry(3)}))
	o.create(rack("rack-2", map[string]string{two: entry(2)}))
	o.awaitVFs(one, 3)
	o.awaitVFs(two, 2)
	edit(o, rack("rack-2", nil), func(c *corev1.ConfigMap) { c.Data[one], c.Data[two] = entry(7), entry(5) })
	o.awaitVFs(two, 5)
	o.await("the condition", func() string {
		state, err := o.get(one)
		if err != nil {
			return err.Error()
		}
		c := meta.FindStatusCondition(state.Status.Conditions, sriovv1.ConditionConfigMapAccepted)
		if c == nil || !strings.Contains(c.Message, "the key is also in ConfigMap rack-2") || !strings.Contains(c.Message, "the key is also in ConfigMap rack-1") {
			return fmt.Sprintf("%+v", c)
		}
		return ""
	})
	o.awaitVFs(one, 3)
	// A policy object of equal priority stands over an entry.
	o.create(o.policy("zero", sriovv1.DefaultPriority, 6, "ens1f0"))
	o.awaitVFs(one, 6)
}

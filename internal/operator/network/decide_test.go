// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	render "github.com/kubeovn/sriov-network-operator/internal/render/network"
)

const ours = "SriovNetwork.sriovnetwork.openshift.io/kube-system/net"

// attachment is one in namespace blue; without an owner it has no annotation of ours.
func attachment(owner, config string) render.NetworkAttachmentDefinition {
	n := render.NetworkAttachmentDefinition{ObjectMeta: metav1.ObjectMeta{Namespace: "blue", Name: "net", Annotations: map[string]string{}}}
	if owner != "" {
		n.Annotations[sriovv1.AnnotationOwnerRef] = owner
		n.Annotations[sriovv1.AnnotationResourceName] = "openshift.io/vfs"
	}
	n.Spec.Config = config
	return n
}

func TestOnlyAnAttachmentOfOursIsWritten(t *testing.T) {
	const config = `{"type": "sriov", "vlan": 0}`
	wanted := attachment(ours, config)
	found := func(edit func(*render.NetworkAttachmentDefinition)) *render.NetworkAttachmentDefinition {
		n := attachment(ours, config)
		edit(&n)
		return &n
	}
	now := metav1.NewTime(time.Unix(1, 0))
	cases := map[string]struct {
		found  *render.NetworkAttachmentDefinition
		place  place
		want   act
		reason string
	}{
		"there is none and its namespace is there":   {nil, placeReady, create, "NetworkReady"},
		"there is no namespace":                      {nil, placeMissing, stop, "NamespaceNotFound"},
		"the namespace is being deleted":             {nil, placeEnding, stop, "NamespaceNotFound"},
		"ours is as wanted":                          {found(func(*render.NetworkAttachmentDefinition) {}), placeReady, keep, "NetworkReady"},
		"ours has another configuration":             {found(func(n *render.NetworkAttachmentDefinition) { n.Spec.Config = "{}" }), placeReady, amend, "NetworkReady"},
		"ours has lost its resource":                 {found(func(n *render.NetworkAttachmentDefinition) { delete(n.Annotations, sriovv1.AnnotationResourceName) }), placeReady, amend, "NetworkReady"},
		"others added to ours":                       {found(func(n *render.NetworkAttachmentDefinition) { n.Annotations["a"] = "b"; n.Labels = n.Annotations }), placeReady, keep, "NetworkReady"},
		"ours is being deleted":                      {found(func(n *render.NetworkAttachmentDefinition) { n.DeletionTimestamp = &now }), placeReady, stop, "NetworkAttachmentDefinitionNotFound"},
		"it belongs to another network":              {found(func(n *render.NetworkAttachmentDefinition) { n.Annotations[sriovv1.AnnotationOwnerRef] = "x" }), placeReady, stop, "NetworkAttachmentDefinitionInvalid"},
		"it is somebody's and says something else":   {new(attachment("", `{"type":"bridge"}`)), placeReady, stop, "NetworkAttachmentDefinitionInvalid"},
		"it is somebody's and says the same":         {new(attachment("", `{"vlan":0,"type":"sriov"}`)), placeReady, amend, "NetworkReady"},
		"it is somebody's and is not even JSON":      {new(attachment("", `{`)), placeReady, stop, "NetworkAttachmentDefinitionInvalid"},
		"it is somebody's and says more than once":   {new(attachment("", config+config)), placeReady, stop, "NetworkAttachmentDefinitionInvalid"},
		"ours is there in a namespace that is going": {found(func(*render.NetworkAttachmentDefinition) {}), placeEnding, keep, "NetworkReady"},
	}
	for name, x := range cases {
		t.Run(name, func(t *testing.T) {
			got := decide(wanted, x.found, x.place, ready(nil))
			if got.act != x.want || got.verdict.reason != x.reason {
				t.Errorf("got act %d and reason %s", got.act, got.verdict.reason)
			}
			if (got.verdict.status == metav1.ConditionTrue) != (x.reason == "NetworkReady") {
				t.Errorf("status %s with reason %s", got.verdict.status, x.reason)
			}
		})
	}
}

func TestAnAttachmentBesideItsNetworkNeedsTheReferenceToThisNetwork(t *testing.T) {
	n := &sriovv1.SriovNetwork{ObjectMeta: metav1.ObjectMeta{Namespace: "blue", Name: "net", UID: "new"}}
	wanted := owned(attachment(ours, "{}"), sriovNetwork, n)
	found := wanted
	if differs(wanted, found) {
		t.Error("an attachment differs from itself")
	}
	found.OwnerReferences = []metav1.OwnerReference{{APIVersion: "sriovnetwork.openshift.io/v1", Kind: "SriovNetwork", Name: "net", UID: "old"}}
	if !differs(wanted, found) {
		t.Error("the reference to a network that is gone is enough")
	}
	n.Namespace = "kube-system"
	if got := owned(attachment(ours, "{}"), sriovNetwork, n); len(got.OwnerReferences) != 0 {
		t.Errorf("a reference across namespaces: %v", got.OwnerReferences)
	}
}

func TestAnAttachmentIsLookedForWhereItCanBeAndNowhereElse(t *testing.T) {
	cases := map[string]struct {
		namespace, asks, last string
		want                  []string
		previous              string
	}{
		"a new network":                         {"kube-system", "", "", []string{"kube-system"}, ""},
		"a network that stays":                  {"kube-system", "blue", "blue", []string{"blue"}, ""},
		"a network that moves":                  {"kube-system", "blue", "red", []string{"blue", "red"}, "red"},
		"a network that moves back to its own":  {"kube-system", "", "red", []string{"kube-system", "red"}, "red"},
		"a tenant's network with a false past":  {"tenant", "", "red", []string{"tenant"}, ""},
		"a tenant's network with a false place": {"tenant", "blue", "", []string{"tenant"}, ""},
	}
	for name, x := range cases {
		t.Run(name, func(t *testing.T) {
			n := &sriovv1.OVSNetwork{ObjectMeta: metav1.ObjectMeta{Namespace: x.namespace, Name: "net"}}
			n.Spec.NetworkNamespace = x.asks
			if x.last != "" {
				n.Annotations = map[string]string{sriovv1.AnnotationLastNetworkNamespace: x.last}
			}
			if diff := cmp.Diff(x.want, places(ask(n), "kube-system")); diff != "" {
				t.Errorf("places (-want +got):\n%s", diff)
			}
			if got := previous(ask(n), "kube-system", x.want[0]); got != x.previous {
				t.Errorf("previous is %q, want %q", got, x.previous)
			}
		})
	}
}

func TestTheTimeOfAConditionIsThatOfItsStatus(t *testing.T) {
	then, now := metav1.NewTime(time.Unix(1, 0)), metav1.NewTime(time.Unix(2, 0))
	before := conditionAfter(nil, invalid("one"), 1, then)
	if before.LastTransitionTime != then || before.Type != "Ready" || before.ObservedGeneration != 1 {
		t.Errorf("got %+v", before)
	}
	if got := conditionAfter(&before, invalid("two"), 2, now); got.LastTransitionTime != then || got.Message != "two" || got.ObservedGeneration != 2 {
		t.Errorf("got %+v", got)
	}
	if got := conditionAfter(&before, ready(nil), 2, now); got.LastTransitionTime != now {
		t.Errorf("got %+v", got)
	}
	if got := conditionAfter(&before, invalid("one"), 1, now); got != before {
		t.Errorf("the same again is %+v", got)
	}
}

func TestWhatWasSaidCountsUntilTheObjectIsNewer(t *testing.T) {
	at := func(version string) asked {
		return ask(&sriovv1.SriovNetwork{ObjectMeta: metav1.ObjectMeta{UID: "u", ResourceVersion: version}})
	}
	here := target{kind: sriovNetwork}
	v := &voice{said: map[target]utterance{here: {uid: "u", version: "10", condition: metav1.Condition{Message: "said"}}}}
	for version, want := range map[string]bool{"9": true, "10": false, "11": false} {
		if got := v.last(here, at(version)) != nil; got != want {
			t.Errorf("at version %s: %t", version, got)
		}
	}
	v.forget(here)
	if v.last(here, at("9")) != nil {
		t.Error("what was said of a network that is gone is remembered")
	}
}

func TestAKindIsServedOnceItIsEstablishedAndUntilItsEndBegins(t *testing.T) {
	good := func() *apiextensionsv1.CustomResourceDefinition {
		d := &apiextensionsv1.CustomResourceDefinition{}
		d.Spec.Versions = []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true}}
		d.Status.Conditions = []apiextensionsv1.CustomResourceDefinitionCondition{{Type: apiextensionsv1.Established, Status: apiextensionsv1.ConditionTrue}}
		return d
	}
	if !served(good()) {
		t.Error("a good definition is not served")
	}
	for name, spoil := range map[string]func(*apiextensionsv1.CustomResourceDefinition){
		"not yet established": func(d *apiextensionsv1.CustomResourceDefinition) { d.Status.Conditions[0].Status = "False" },
		"another version":     func(d *apiextensionsv1.CustomResourceDefinition) { d.Spec.Versions[0].Name = "v2" },
		"not served":          func(d *apiextensionsv1.CustomResourceDefinition) { d.Spec.Versions[0].Served = false },
		"being deleted":       func(d *apiextensionsv1.CustomResourceDefinition) { d.DeletionTimestamp = &metav1.Time{} },
	} {
		d := good()
		spoil(d)
		if served(d) {
			t.Errorf("a definition that is %s is served", name)
		}
	}
}

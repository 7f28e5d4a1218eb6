// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package network_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	eventsv1 "k8s.io/api/events/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	render "github.com/kubeovn/sriov-network-operator/internal/render/network"
	"github.com/kubeovn/sriov-network-operator/test/kube"
	"github.com/kubeovn/sriov-network-operator/test/kube/proxy"
)

// value reads a key of an attachment's configuration, nil if it is not there.
func value(t *testing.T, n *render.NetworkAttachmentDefinition, key string) any {
	t.Helper()
	var config map[string]any
	if err := json.Unmarshal([]byte(n.Spec.Config), &config); err != nil {
		t.Fatalf("%v in %s", err, n.Spec.Config)
	}
	return config[key]
}

func has(text string) func(*render.NetworkAttachmentDefinition) error {
	return func(n *render.NetworkAttachmentDefinition) error {
		if !strings.Contains(n.Spec.Config, text) {
			return fmt.Errorf("the configuration has no %s: %s", text, n.Spec.Config)
		}
		return nil
	}
}

func TestNetworksOfEveryKindAreAttachedFollowedAndTakenAway(t *testing.T) {
	r := start(t, plane.Cluster(t))
	elsewhere := r.cluster.Namespace(t)
	cases := []struct {
		plugin string
		object client.Object
		change func(client.Object)
	}{
		{"sriov", &sriovv1.SriovNetwork{
			ObjectMeta: named(r.namespace, "ethernet"), Spec: sriovv1.SriovNetworkSpec{ResourceName: "vfs", NetworkNamespace: elsewhere},
		}, func(o client.Object) { o.(*sriovv1.SriovNetwork).Spec.IPAM = `{"type":"changed"}` }},
		{"ib-sriov", &sriovv1.SriovIBNetwork{
			ObjectMeta: named(r.namespace, "infiniband"), Spec: sriovv1.SriovIBNetworkSpec{ResourceName: "vfs", NetworkNamespace: elsewhere},
		}, func(o client.Object) { o.(*sriovv1.SriovIBNetwork).Spec.IPAM = `{"type":"changed"}` }},
		{"ovs", &sriovv1.OVSNetwork{
			ObjectMeta: named(r.namespace, "switched"), Spec: sriovv1.OVSNetworkSpec{ResourceName: "vfs", NetworkNamespace: elsewhere},
		}, func(o client.Object) { o.(*sriovv1.OVSNetwork).Spec.IPAM = `{"type":"changed"}` }},
	}
	for _, x := range cases {
		t.Run(x.plugin, func(t *testing.T) {
			name := x.object.GetName()
			r.create(x.object)
			c := r.condition(x.object, "NetworkReady")
			if c.Status != metav1.ConditionTrue || c.Message != "NetworkAttachmentDefinition is provisioned and ready" {
				t.Errorf("the condition is %+v", c)
			}
			n := r.attachment(elsewhere, name, fine)
			want := map[string]string{
				"k8s.v1.cni.cncf.io/resourceName":     "openshift.io/vfs",
				"sriovnetwork.openshift.io/owner-ref": render.OwnerRef(x.object),
			}
			if diff := cmp.Diff(want, n.Annotations); diff != "" || len(n.OwnerReferences) != 0 {
				t.Errorf("annotations (-want +got):\n%s\nowners %v", diff, n.OwnerReferences)
			}
			if got := value(t, n, "type"); got != x.plugin {
				t.Errorf("the plugin is %v", got)
			}
			if f := x.object.GetFinalizers(); len(f) != 1 || f[0] != "netattdef.finalizers.sriovnetwork.openshift.io" {
				t.Errorf("the finalizers are %q", f)
			}
			if got := x.object.GetAnnotations()["operator.sriovnetwork.openshift.io/last-network-namespace"]; got != elsewhere {
				t.Errorf("the last namespace is %q", got)
			}
			edit(r, x.object, x.change)
			r.attachment(elsewhere, name, has("changed"))
			r.condition(x.object, "NetworkReady")
			r.remove(x.object)
			r.noAttachment(elsewhere, name)
			eventually(t, func() error {
				return gone(r.client.Get(t.Context(), client.ObjectKeyFromObject(x.object), x.object), x.object)
			})
		})
	}
}

func TestAnAttachmentBesideItsNetworkGoesByItsOwnerReference(t *testing.T) {
	r := start(t, plane.Cluster(t))
	tenant := r.cluster.Namespace(t)
	n := r.sriov("net", nil)
	n.Namespace = tenant
	r.create(n)
	r.condition(n, "NetworkReady")
	if len(n.Finalizers)+len(n.Annotations) != 0 {
		t.Errorf("a network outside of the operator's namespace got %q and %q", n.Finalizers, n.Annotations)
	}
	want := []metav1.OwnerReference{{APIVersion: "sriovnetwork.openshift.io/v1", Kind: "SriovNetwork", Name: "net", UID: n.UID}}
	if diff := cmp.Diff(want, r.attachment(tenant, "net", fine).OwnerReferences); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	r.remove(n)
	r.noAttachment(tenant, "net")
}

func TestANetworkOfATenantCannotReachAnotherNamespace(t *testing.T) {
	r := start(t, plane.Cluster(t))
	tenant, victim := r.cluster.Namespace(t), r.cluster.Namespace(t)
	theirs := foreign(victim, "net", `{"cniVersion":"1.0.0","type":"bridge"}`, nil)
	r.create(theirs)
	n := r.sriov("net", func(s *sriovv1.SriovNetworkSpec) { s.NetworkNamespace = victim })
	n.Namespace = tenant
	n.Annotations = map[string]string{sriovv1.AnnotationLastNetworkNamespace: victim}
	n.Finalizers = []string{sriovv1.FinalizerNetwork}
	r.create(n)
	c := r.condition(n, "NetworkAttachmentDefinitionInvalid")
	if !strings.HasPrefix(c.Message, "spec.networkNamespace cannot be set when the resource is not in the operator namespace") {
		t.Errorf("the message is %q", c.Message)
	}
	if got := len(r.attachments(tenant)); got != 0 {
		t.Errorf("there are %d attachments", got)
	}
	r.remove(n)
	eventually(t, func() error { return gone(r.client.Get(t.Context(), client.ObjectKeyFromObject(n), n), n) })
	after := r.attachment(victim, "net", fine)
	if after.ResourceVersion != theirs.ResourceVersion {
		t.Errorf("the victim's attachment was touched: %+v", after)
	}
}

func TestW14ANetworkMovesAsOftenAsItIsAsked(t *testing.T) {
	r := start(t, plane.Cluster(t))
	a, b := r.cluster.Namespace(t), r.cluster.Namespace(t)
	n := r.sriov("net", func(s *sriovv1.SriovNetworkSpec) { s.NetworkNamespace = a })
	r.create(n)
	r.attachment(a, "net", fine)
	from := a
	for _, to := range []string{b, a, r.namespace, b} {
		edit(r, n, func(n *sriovv1.SriovNetwork) { n.Spec.NetworkNamespace = to })
		r.attachment(to, "net", fine)
		r.noAttachment(from, "net")
		r.condition(n, "NetworkReady")
		if got := n.Annotations[sriovv1.AnnotationLastNetworkNamespace]; got != to {
			t.Errorf("the last namespace is %q, want %q", got, to)
		}
		from = to
	}
	// What another implementation leaves in the middle of a move is no trap.
	edit(r, n, func(n *sriovv1.SriovNetwork) { n.Annotations[sriovv1.AnnotationLastNetworkNamespace] = "" })
	edit(r, n, func(n *sriovv1.SriovNetwork) { n.Spec.NetworkNamespace = b })
	eventually(t, func() error {
		if r.condition(n, "NetworkReady"); n.Annotations[sriovv1.AnnotationLastNetworkNamespace] != b {
			return errors.New("the last namespace is not written again")
		}
		return nil
	})
}

func TestANetworkWaitsForItsNamespace(t *testing.T) {
	r := start(t, plane.Cluster(t))
	here, later := r.cluster.Namespace(t), r.namespace+"-later"
	n := r.sriov("net", func(s *sriovv1.SriovNetworkSpec) { s.NetworkNamespace = here })
	r.create(n)
	r.attachment(here, "net", fine)
	edit(r, n, func(n *sriovv1.SriovNetwork) { n.Spec.NetworkNamespace = later })
	c := r.condition(n, "NamespaceNotFound")
	if want := fmt.Sprintf("target namespace %q does not exist", later); c.Message != want {
		t.Errorf("the message is %q, want %q", c.Message, want)
	}
	r.noAttachment(here, "net")
	r.quiet()
	r.proxy.Reset()
	r.quiet()
	if asked := r.proxy.Requests(); len(asked) != 0 {
		t.Errorf("while it waits the operator asks: %v", asked)
	}
	r.create(namespaceNamed(later))
	r.attachment(later, "net", fine)
	r.condition(n, "NetworkReady")
	r.remove(namespaceNamed(later))
	r.condition(n, "NamespaceNotFound")
	r.createAgain(later)
	r.attachment(later, "net", fine)
	r.remove(namespaceNamed(later))
}

// createAgain makes a namespace again as soon as its forerunner is gone.
func (r *rig) createAgain(name string) {
	r.t.Helper()
	eventually(r.t, func() error { return r.client.Create(r.t.Context(), namespaceNamed(name)) })
}

func TestW15AnAttachmentOfSomebodyElseIsLeftAlone(t *testing.T) {
	r := start(t, plane.Cluster(t))
	where := r.cluster.Namespace(t)
	theirs := map[string]*render.NetworkAttachmentDefinition{
		"unowned": foreign(where, "unowned", `{"cniVersion":"1.0.0","name":"unowned","type":"bridge"}`, map[string]string{"team": "blue"}),
		"other":   foreign(where, "other", `{"type":"bridge"}`, map[string]string{sriovv1.AnnotationOwnerRef: "OVSNetwork.sriovnetwork.openshift.io/tenant/other"}),
	}
	for name, says := range map[string]string{"unowned": "was made by somebody else", "other": "belongs to OVSNetwork.sriovnetwork.openshift.io/tenant/other"} {
		r.create(theirs[name])
		n := r.sriov(name, func(s *sriovv1.SriovNetworkSpec) { s.NetworkNamespace = where })
		r.create(n)
		c := r.condition(n, "NetworkAttachmentDefinitionInvalid")
		if !strings.Contains(c.Message, where+"/"+name) || !strings.Contains(c.Message, says) {
			t.Errorf("the message is %q", c.Message)
		}
		if got := r.attachment(where, name, fine); got.ResourceVersion != theirs[name].ResourceVersion {
			t.Errorf("%s was touched: %+v", name, got)
		}
		// Once it is out of the way, the network gets its own.
		r.remove(theirs[name])
		r.condition(n, "NetworkReady")
		// And the owner's word on what is now another's is not taken for ours.
		edit(r, r.attachment(where, name, fine), func(n *render.NetworkAttachmentDefinition) {
			n.Annotations[sriovv1.AnnotationOwnerRef] = "SriovNetwork.sriovnetwork.openshift.io/tenant/" + name
		})
		r.condition(n, "NetworkAttachmentDefinitionInvalid")
		r.remove(n)
		eventually(t, func() error { return gone(r.client.Get(t.Context(), client.ObjectKeyFromObject(n), n), n) })
		r.attachment(where, name, fine)
	}
}

func TestAnAttachmentThatSaysTheSameIsAdopted(t *testing.T) {
	r := start(t, plane.Cluster(t))
	where := r.cluster.Namespace(t)
	theirs := foreign(where, "net", `{"ipam":{},"logLevel":"info","vlanQoS":0,"vlan":0,"type":"sriov","name":"net","cniVersion":"1.0.0"}`,
		map[string]string{"team": "blue"})
	r.create(theirs)
	n := r.sriov("net", func(s *sriovv1.SriovNetworkSpec) { s.NetworkNamespace = where })
	r.create(n)
	r.condition(n, "NetworkReady")
	got := r.attachment(where, "net", fine)
	if got.UID != theirs.UID || got.Annotations["team"] != "blue" || got.Annotations[sriovv1.AnnotationOwnerRef] != render.OwnerRef(n) {
		t.Errorf("the attachment is %+v", got)
	}
}

func TestW17AnEditedOrDeletedAttachmentIsRestoredAndWhatOthersAddedStays(t *testing.T) {
	r := start(t, plane.Cluster(t))
	where := r.cluster.Namespace(t)
	n := r.sriov("net", func(s *sriovv1.SriovNetworkSpec) { s.NetworkNamespace = where })
	r.create(n)
	was := r.attachment(where, "net", fine)
	edit(r, was, func(n *render.NetworkAttachmentDefinition) {
		n.Labels = map[string]string{"team": "blue"}
		n.Annotations["note"] = "kept"
		n.Annotations[sriovv1.AnnotationResourceName] = "evil.com/vfs"
		n.Spec.Config = `{"type":"bridge"}`
	})
	got := r.attachment(where, "net", has(`"type": "sriov"`))
	want := map[string]string{"note": "kept", sriovv1.AnnotationResourceName: "openshift.io/vfs", sriovv1.AnnotationOwnerRef: render.OwnerRef(n)}
	if diff := cmp.Diff(want, got.Annotations); diff != "" || got.Labels["team"] != "blue" {
		t.Errorf("-want +got:\n%s\nlabels %v", diff, got.Labels)
	}
	edit(r, n, func(n *sriovv1.SriovNetwork) { n.Spec.Vlan = 7 })
	if got = r.attachment(where, "net", has(`"vlan": 7`)); got.Annotations["note"] != "kept" || got.Labels["team"] != "blue" {
		t.Errorf("what others added is gone: %+v", got.ObjectMeta)
	}
	r.remove(got)
	r.attachment(where, "net", func(n *render.NetworkAttachmentDefinition) error {
		if n.UID == got.UID {
			return errors.New("it is the old one")
		}
		return nil
	})
}

func TestTheKindOfAttachmentsMayComeAndGoAndComeAgain(t *testing.T) {
	t.Parallel() // beside the other that takes long; the cluster is its own
	c := kube.Start(t, kube.WithControllerManager())
	r := start(t, c)
	n, other := r.sriov("net", nil), r.sriov("other", nil)
	r.create(n, other)
	crd := kube.NetworkAttachments(t)
	without := func() {
		t.Helper()
		cond := r.condition(n, "NetworkAttachmentDefinitionNotFound")
		if !strings.Contains(cond.Message, "NetworkAttachmentDefinition") || !strings.Contains(cond.Message, "install") {
			t.Errorf("the message is %q", cond.Message)
		}
		r.condition(other, "NetworkAttachmentDefinitionNotFound")
		r.quiet()
		r.proxy.Reset()
		r.quiet()
		if asked := r.proxy.Requests(); len(asked) != 0 {
			t.Errorf("without the kind the operator asks: %v", asked)
		}
	}
	with := func() {
		t.Helper()
		c.Install(t, kube.NetworkAttachments(t))
		r.condition(n, "NetworkReady")
		// The watch is there as well: what somebody deletes comes back.
		was := r.attachment(r.namespace, "net", fine)
		r.remove(was)
		r.attachment(r.namespace, "net", func(n *render.NetworkAttachmentDefinition) error {
			if n.UID == was.UID {
				return errors.New("it is the old one")
			}
			return nil
		})
		r.condition(n, "NetworkReady")
	}
	without()
	with()
	r.condition(other, "NetworkReady")
	r.remove(&apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: crd.Name}})
	eventually(t, func() error { return gone(r.client.Get(t.Context(), client.ObjectKey{Name: crd.Name}, crd), crd) })
	without()
	// A network can be deleted without the kind.
	r.remove(other)
	eventually(t, func() error { return gone(r.client.Get(t.Context(), client.ObjectKeyFromObject(other), other), other) })
	with()
}

func TestW18HostileTextCannotEscapeItsField(t *testing.T) {
	r := start(t, plane.Cluster(t))
	victim := r.cluster.Namespace(t)
	// Well-formed text stays a value of its field, whatever it says.
	inside := `{"type":"x","metadata":{"name":"evil","namespace":"` + victim + `"},"note":"a\nnamespace: ` + victim + `"}`
	n := r.sriov("inside", func(s *sriovv1.SriovNetworkSpec) { s.IPAM = inside })
	r.create(n)
	r.condition(n, "NetworkReady")
	var want any
	if err := json.Unmarshal([]byte(inside), &want); err != nil {
		t.Fatal(err)
	}
	got := r.attachment(r.namespace, "inside", fine)
	if diff := cmp.Diff(want, value(t, got, "ipam")); diff != "" || value(t, got, "name") != "inside" {
		t.Errorf("-want +got:\n%s\n%s", diff, got.Spec.Config)
	}
	// Anything else is refused, with the place of the fault.
	cases := map[string]struct {
		change func(*sriovv1.SriovNetworkSpec)
		want   string
	}{
		"closes the object":   {func(s *sriovv1.SriovNetworkSpec) { s.IPAM = `{}, "name": "evil"` }, "spec.ipam is not valid JSON"},
		"leaves the document": {func(s *sriovv1.SriovNetworkSpec) { s.IPAM = "{}\n---\nkind: Secret" }, "(line 2, column 1)"},
		"breaks out of YAML": {func(s *sriovv1.SriovNetworkSpec) {
			s.Capabilities = "{}'\nmetadata:\n  namespace: " + victim
		}, "spec.capabilities is not valid JSON"},
		"closes the list":  {func(s *sriovv1.SriovNetworkSpec) { s.MetaPluginsConfig = `{"type":"vrf"}],"name":"evil","x":[` }, "spec.metaPlugins is not valid JSON"},
		"is no CNI plugin": {func(s *sriovv1.SriovNetworkSpec) { s.MetaPluginsConfig = `{"name":"evil"}` }, "spec.metaPlugins"},
	}
	i := 0
	for name, x := range cases {
		i++
		n := r.sriov(fmt.Sprintf("outside-%d", i), x.change)
		r.create(n)
		c := r.condition(n, "NetworkAttachmentDefinitionInvalid")
		if c.Status != metav1.ConditionFalse || !strings.Contains(c.Message, x.want) {
			t.Errorf("text that %s: the message is %q", name, c.Message)
		}
	}
	if all := append(r.attachments(victim), r.attachments(r.namespace)...); len(all) != 1 {
		t.Errorf("there are %d attachments, want the first alone", len(all))
	}
	// Bad text takes nothing away from a network that was good before.
	edit(r, n, func(n *sriovv1.SriovNetwork) { n.Spec.IPAM = "{" })
	r.condition(n, "NetworkAttachmentDefinitionInvalid")
	if now := r.attachment(r.namespace, "inside", fine); now.ResourceVersion != got.ResourceVersion {
		t.Errorf("the attachment changed: %s", now.Spec.Config)
	}
}

func TestNothingIsWrittenWhenNothingHasChanged(t *testing.T) {
	r := start(t, plane.Cluster(t))
	where := r.cluster.Namespace(t)
	good := r.sriov("good", func(s *sriovv1.SriovNetworkSpec) { s.NetworkNamespace = where })
	bad := r.sriov("bad", func(s *sriovv1.SriovNetworkSpec) { s.IPAM = "{" })
	tenants := r.sriov("tenants", nil)
	tenants.Namespace = where
	r.create(good, bad, tenants)
	r.condition(good, "NetworkReady")
	r.condition(tenants, "NetworkReady")
	r.condition(bad, "NetworkAttachmentDefinitionInvalid")
	r.quiet()
	type count struct{ verb, resource, subresource string }
	got := map[count]int{}
	for _, w := range r.writes() {
		got[count{w.Verb, w.Resource, w.Subresource}]++
	}
	// The finalizer with the annotation, the attachments, and a condition each.
	want := map[count]int{
		{"patch", "sriovnetworks", ""}:                   1,
		{"create", "network-attachment-definitions", ""}: 2,
		{"patch", "sriovnetworks", "status"}:             3,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("to attach two networks and refuse one (-want +got):\n%s", diff)
	}
	r.proxy.Reset()
	edit(r, good, func(n *sriovv1.SriovNetwork) { n.Labels = map[string]string{"team": "blue"} })
	edit(r, r.attachment(where, "good", fine), func(n *render.NetworkAttachmentDefinition) { n.Labels = map[string]string{"team": "blue"} })
	stop := r.operate() // an operator that starts again finds all as it should be
	r.quiet()
	stop()
	if w := r.writes(); len(w) != 0 {
		t.Errorf("the operator wrote: %v", w)
	}
}

func TestTwoNetworksOfOneNameDoNotFight(t *testing.T) {
	r := start(t, plane.Cluster(t))
	first := r.sriov("net", nil)
	r.create(first)
	r.condition(first, "NetworkReady")
	second := &sriovv1.OVSNetwork{ObjectMeta: named(r.namespace, "net"), Spec: sriovv1.OVSNetworkSpec{ResourceName: "vfs"}}
	r.create(second)
	c := r.condition(second, "NetworkAttachmentDefinitionInvalid")
	if !strings.Contains(c.Message, render.OwnerRef(first)) {
		t.Errorf("the message is %q", c.Message)
	}
	r.quiet()
	r.proxy.Reset()
	r.quiet()
	if asked := r.proxy.Requests(); len(asked) != 0 {
		t.Errorf("the two fight: %v", asked)
	}
	r.remove(first)
	r.condition(second, "NetworkReady")
	r.attachment(r.namespace, "net", has(`"type": "ovs"`))
}

func TestAChangeOfTheResourcePrefixReachesEveryAttachment(t *testing.T) {
	r := start(t, plane.Cluster(t))
	n := r.sriov("net", nil)
	r.create(n)
	r.condition(n, "NetworkReady")
	resource := func(want string) {
		t.Helper()
		r.attachment(r.namespace, "net", func(n *render.NetworkAttachmentDefinition) error {
			if got := n.Annotations[sriovv1.AnnotationResourceName]; got != want {
				return fmt.Errorf("the resource is %s, want %s", got, want)
			}
			return nil
		})
	}
	resource("openshift.io/vfs")
	config := &sriovv1.SriovOperatorConfig{ObjectMeta: named(r.namespace, "default"), Spec: sriovv1.SriovOperatorConfigSpec{ResourcePrefix: "mellanox.com"}}
	r.create(config)
	resource("mellanox.com/vfs")
	edit(r, config, func(c *sriovv1.SriovOperatorConfig) { c.Spec.ResourcePrefix = "intel.com" })
	resource("intel.com/vfs")
	r.remove(config)
	resource("openshift.io/vfs")
}

func TestTheDriverOfAKubeOVNNetworkFollowsThePolicies(t *testing.T) {
	r := start(t, plane.Cluster(t))
	n := r.sriov("net", func(s *sriovv1.SriovNetworkSpec) { s.KubeOVN, s.Vlan = &sriovv1.KubeOVNConfig{}, 5 })
	plain := r.sriov("plain", nil)
	r.create(n, plain)
	// Until it is known what entries of sriov-configmap ask for, only others are attached.
	r.condition(plain, "NetworkReady")
	r.quiet()
	if got := len(r.attachments(r.namespace)); got != 1 {
		t.Errorf("there are %d attachments before the entries are known", got)
	}
	r.claim()
	c := r.condition(n, "NetworkReady")
	if !strings.HasPrefix(c.Message, "NetworkAttachmentDefinition is provisioned and ready") || !strings.Contains(c.Message, "spec.vlan") {
		t.Errorf("the message is %q", c.Message)
	}
	driver := func(want any) {
		t.Helper()
		r.attachment(r.namespace, "net", func(n *render.NetworkAttachmentDefinition) error {
			if got := value(t, n, "vf_driver"); got != want {
				return fmt.Errorf("the driver is %v, want %v", got, want)
			}
			return nil
		})
	}
	driver(nil)
	p := &sriovv1.SriovNetworkNodePolicy{ObjectMeta: named(r.namespace, "policy")}
	p.Spec.ResourceName, p.Spec.NumVfs, p.Spec.NodeSelector, p.Spec.DeviceType = "vfs", 4, map[string]string{"a": "b"}, sriovv1.DeviceTypeVfioPci
	p.Spec.NicSelector.PfNames = []string{"ens1f0"}
	r.create(p)
	driver("vfio-pci")
	edit(r, p, func(p *sriovv1.SriovNetworkNodePolicy) { p.Spec.DeviceType = sriovv1.DeviceTypeNetdevice })
	driver(nil)
	// Entries of sriov-configmap are policies.
	edit(r, p, func(p *sriovv1.SriovNetworkNodePolicy) { p.Spec.ResourceName = "others" })
	r.claim(sriovv1.DeviceTypeVfioPci)
	driver("vfio-pci")
	r.claim(sriovv1.DeviceTypeVfioPci, sriovv1.DeviceTypeNetdevice)
	driver(nil)
}

// claim says which device types the entries for the networks' resource ask for.
func (r *rig) claim(types ...sriovv1.DeviceType) {
	r.t.Helper()
	var entries []sriovv1.SriovNetworkNodePolicy
	for _, kind := range types {
		entries = append(entries, sriovv1.SriovNetworkNodePolicy{Spec: sriovv1.SriovNetworkNodePolicySpec{ResourceName: "vfs", DeviceType: kind}})
	}
	if err := r.claimed.Set(r.t.Context(), entries); err != nil {
		r.t.Fatal(err)
	}
}

func TestUsersAreToldOnceAndInTheRightTone(t *testing.T) {
	r := start(t, plane.Cluster(t))
	n := r.sriov("net", func(s *sriovv1.SriovNetworkSpec) { s.IPAM = "{" })
	r.create(n)
	r.condition(n, "NetworkAttachmentDefinitionInvalid")
	edit(r, n, func(n *sriovv1.SriovNetwork) { n.Spec.IPAM = "{}" })
	r.condition(n, "NetworkReady")
	edit(r, n, func(n *sriovv1.SriovNetwork) { n.Spec.Vlan = 9 })
	r.condition(n, "NetworkReady")
	r.quiet()
	got := map[string]int{}
	eventually(t, func() error {
		list := &eventsv1.EventList{}
		if err := r.client.List(t.Context(), list, client.InNamespace(r.namespace)); err != nil {
			return err
		}
		clear(got)
		for _, e := range list.Items {
			got[e.Type+" "+e.Reason+" "+e.Regarding.Kind+"/"+e.Regarding.Name]++
		}
		if len(got) < 2 {
			return fmt.Errorf("the events are %v", got)
		}
		return nil
	})
	want := map[string]int{
		"Warning NetworkAttachmentDefinitionInvalid SriovNetwork/net": 1,
		"Normal NetworkReady SriovNetwork/net":                        1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAHostileServerChangesNothingInTheEnd(t *testing.T) {
	t.Parallel() // beside the other that takes long; of the shared cluster's operators it is the last
	every := func(match func(proxy.Request) bool, f proxy.Fault) proxy.Rule {
		r := proxy.Rule{Match: match, Fault: f, Chance: 0.15}
		if _, ends := f.(proxy.Expire); ends {
			// A client that is cut off again and again comes back after up to half a minute.
			r.Times = 4
		}
		return r
	}
	r := start(t, plane.Cluster(t),
		every(proxy.Writes, proxy.Answer{Code: 409}), every(proxy.Writes, proxy.Answer{Code: 500}), every(proxy.Writes, proxy.Drop{}),
		every(proxy.Writes, proxy.Cut{}), every(proxy.Watches, proxy.Expire{Events: 3}), every(proxy.Watches, proxy.Delay{By: 200 * time.Millisecond}),
	)
	a, b := r.cluster.Namespace(t), r.cluster.Namespace(t)
	const count = 10
	var all []*sriovv1.SriovNetwork
	for i := range count {
		n := r.sriov(fmt.Sprintf("net-%d", i), func(s *sriovv1.SriovNetworkSpec) { s.NetworkNamespace = a })
		r.create(n)
		all = append(all, n)
	}
	for i, n := range all {
		edit(r, n, func(n *sriovv1.SriovNetwork) { n.Spec.NetworkNamespace, n.Spec.Vlan = b, i })
	}
	for i, n := range all {
		r.attachment(b, n.Name, has(fmt.Sprintf(`"vlan": %d`, i)))
		r.noAttachment(a, n.Name)
		r.condition(n, "NetworkReady")
	}
	for _, n := range all {
		r.remove(n)
	}
	for _, n := range all {
		eventually(t, func() error { return gone(r.client.Get(t.Context(), client.ObjectKeyFromObject(n), n), n) })
	}
	if left := append(r.attachments(a), r.attachments(b)...); len(left) != 0 {
		t.Errorf("%d attachments are left", len(left))
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package operatorconfig_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
	"github.com/kubeovn/sriov-network-operator/test/kube/proxy"
)

// rendered are the names of what a configuration asks for, with the CAs that are in force.
func (r *rig) rendered(spec sriovv1.SriovOperatorConfigSpec, change func(*operand.Settings)) []string {
	r.t.Helper()
	s := r.settings()
	s.ControlPlane, s.Kinds.ValidatingAdmissionPolicy = operand.Elsewhere, true
	s.Certificates.WebhookCA, s.Certificates.InjectorCA = []byte("ca"), []byte("ca")
	if change != nil {
		change(&s)
	}
	config := sriovv1.SriovOperatorConfig{Spec: spec}
	out, problems := operand.Render(config, s)
	var names []string
	for _, d := range out.Deployments {
		if d.State == operand.LeftAlone {
			r.t.Fatal(problems)
		}
		for _, o := range slices.Concat(d.Apply, d.WhenServing) {
			names = append(names, operand.RefOf(o).String())
		}
	}
	for _, c := range operand.SelfMade(config, s) {
		names = append(names, operand.RefOf(c.Secret).String())
	}
	slices.Sort(names)
	return names
}

func TestWhatTheConfigurationAsksForIsThereAndNothingElse(t *testing.T) {
	r := newRig(t)
	r.nodes(2, nil)
	var spec sriovv1.SriovOperatorConfigSpec
	steps := []struct {
		name   string
		change func(*sriovv1.SriovOperatorConfigSpec)
	}{
		{"nothing more is asked for", func(*sriovv1.SriovOperatorConfigSpec) {}},
		{"everything", everything},
		{"no more injector", func(s *sriovv1.SriovOperatorConfigSpec) { s.EnableInjector = false }},
		{"no more webhook and exporter", func(s *sriovv1.SriovOperatorConfigSpec) { s.EnableOperatorWebhook, s.FeatureGates = false, nil }},
		{"everything again", everything},
	}
	for _, step := range steps {
		step.change(&spec)
		r.configure(func(s *sriovv1.SriovOperatorConfigSpec) { step.change(s) })
		ready := r.condition(sriovv1.ConditionReady, sriovv1.ReasonOperatorConfigReady)
		if ready.Status != metav1.ConditionTrue {
			t.Errorf("%s: %+v", step.name, ready)
		}
		if diff := cmp.Diff(r.rendered(spec, nil), r.there()); diff != "" {
			t.Errorf("%s: what is there (-want +got):\n%s", step.name, diff)
		}
	}
}

func TestWebhooksAreCalledWithTheCAOfTheirCertificate(t *testing.T) {
	r := newRig(t)
	r.nodes(1, nil)
	r.configure(everything)
	r.condition(sriovv1.ConditionReady, sriovv1.ReasonOperatorConfigReady)
	for secret, kinds := range map[string][]string{
		"operator-webhook-cert":           {"ValidatingWebhookConfiguration/sriov-operator-webhook-config", "MutatingWebhookConfiguration/sriov-operator-webhook-config"},
		"network-resources-injector-cert": {"MutatingWebhookConfiguration/network-resources-injector-config"},
	} {
		var s corev1.Secret
		if err := r.api.Get(t.Context(), client.ObjectKey{Namespace: r.ns, Name: secret}, &s); err != nil {
			t.Fatal(err)
		}
		for _, kind := range kinds {
			kind, name, _ := strings.Cut(kind, "/")
			var bundle []byte
			switch kind {
			case "ValidatingWebhookConfiguration":
				var c admissionv1.ValidatingWebhookConfiguration
				if err := r.api.Get(t.Context(), client.ObjectKey{Name: name}, &c); err != nil {
					t.Fatal(err)
				}
				bundle = c.Webhooks[0].ClientConfig.CABundle
			default:
				var c admissionv1.MutatingWebhookConfiguration
				if err := r.api.Get(t.Context(), client.ObjectKey{Name: name}, &c); err != nil {
					t.Fatal(err)
				}
				bundle = c.Webhooks[0].ClientConfig.CABundle
			}
			if len(bundle) == 0 || string(bundle) != string(s.Data["ca.crt"]) {
				t.Errorf("%s %s trusts another CA than the Secret %s has", kind, name, secret)
			}
		}
	}
}

func TestNothingIsAskedForAndWrittenWhileNothingChanges(t *testing.T) {
	r := newRig(t)
	r.nodes(1, nil)
	r.configure(everything)
	r.condition(sriovv1.ConditionReady, sriovv1.ReasonOperatorConfigReady)
	r.quiet()
	r.proxy.Reset()
	idle := time.NewTimer(3 * time.Second)
	<-idle.C
	for _, q := range r.proxy.Requests() {
		if !proxy.Watches(q) {
			t.Errorf("while nothing happens the operator asks %+v", q)
		}
	}
	// What is looked at again is found right.
	config := r.config()
	r.await(func() error {
		if err := r.api.Get(t.Context(), client.ObjectKeyFromObject(config), config); err != nil {
			return err
		}
		config.Annotations = map[string]string{"touched": "yes"}
		return r.api.Update(t.Context(), config)
	})
	r.quiet()
	for _, q := range r.proxy.Requests() {
		if proxy.Writes(q) {
			t.Errorf("although nothing is to be changed the operator writes %+v", q)
		}
	}
}

func TestWhatSomebodyChangesIsMended(t *testing.T) {
	r := newRig(t)
	r.nodes(1, nil)
	r.configure(everything)
	r.condition(sriovv1.ConditionReady, sriovv1.ReasonOperatorConfigReady)
	want := r.there()
	daemon, role := r.ref("DaemonSet", "sriov-network-config-daemon"), r.ref("ClusterRole", "sriov-network-config-daemon")
	webhook, account := r.ref("ValidatingWebhookConfiguration", "sriov-operator-webhook-config"), r.ref("ServiceAccount", "sriov-device-plugin")
	binding := r.ref("RoleBinding", "sriov-device-plugin-pod-access")
	var given rbacv1.ClusterRole
	convert(t, r.get(role), &given)
	rules := given.Rules

	r.edit(daemon, func(o *unstructured.Unstructured) {
		var d appsv1.DaemonSet
		convert(t, o, &d)
		d.Spec.Template.Spec.Containers[0].Image = "other:2"
		d.Spec.Template.Spec.Containers[0].Args = append(d.Spec.Template.Spec.Containers[0].Args, "--more")
		d.Spec.Template.Spec.NodeSelector["never"] = "there"
		d.Labels["app"] = "else"
		// What the operator does not say is for others to say.
		d.Annotations = map[string]string{"theirs": "stays"}
		unconvert(t, &d, o)
	})
	r.edit(role, func(o *unstructured.Unstructured) {
		set(t, o, []any{map[string]any{"apiGroups": []any{"*"}, "resources": []any{"*"}, "verbs": []any{"*"}}}, "rules")
	})
	r.edit(webhook, func(o *unstructured.Unstructured) {
		var c admissionv1.ValidatingWebhookConfiguration
		convert(t, o, &c)
		c.Webhooks[0].FailurePolicy = new(admissionv1.Ignore)
		c.Webhooks[0].ClientConfig.CABundle = nil
		unconvert(t, &c, o)
	})
	if err := r.api.Delete(t.Context(), r.get(account)); err != nil {
		t.Fatal(err)
	}
	// A binding cannot be changed to another role: somebody made it anew.
	if err := r.api.Delete(t.Context(), r.get(binding)); err != nil {
		t.Fatal(err)
	}
	_ = r.api.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: binding.Name, Labels: operand.Selector()},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "another"},
	})
	// Without its labels an object is still known by its owner.
	r.edit(r.ref("Role", "sriov-network-config-daemon"), func(o *unstructured.Unstructured) { o.SetLabels(nil) })

	r.await(func() error {
		var d appsv1.DaemonSet
		convert(t, r.get(daemon), &d)
		c := d.Spec.Template.Spec.Containers[0]
		if c.Image != "daemon:1" || slices.Contains(c.Args, "--more") || d.Spec.Template.Spec.NodeSelector["never"] != "" || d.Labels["app"] != daemon.Name {
			return fmt.Errorf("the DaemonSet has %s %v %v %v", c.Image, c.Args, d.Spec.Template.Spec.NodeSelector, d.Labels)
		}
		if d.Annotations["theirs"] != "stays" {
			return fmt.Errorf("an annotation of somebody else is gone: %v", d.Annotations)
		}
		var cr rbacv1.ClusterRole
		convert(t, r.get(role), &cr)
		if diff := cmp.Diff(rules, cr.Rules); diff != "" {
			return fmt.Errorf("the rules of the ClusterRole (-want +got):\n%s", diff)
		}
		var hook admissionv1.ValidatingWebhookConfiguration
		convert(t, r.get(webhook), &hook)
		if *hook.Webhooks[0].FailurePolicy != admissionv1.Fail || len(hook.Webhooks[0].ClientConfig.CABundle) == 0 {
			return fmt.Errorf("the webhook has %v", hook.Webhooks[0])
		}
		o := r.get(binding)
		if o == nil {
			return fmt.Errorf("there is no %s", binding)
		}
		var b rbacv1.RoleBinding
		convert(t, o, &b)
		if b.RoleRef.Name != "sriov-device-plugin-pod-access" {
			return fmt.Errorf("%s is to %s", binding, b.RoleRef.Name)
		}
		if unlabelled := r.get(r.ref("Role", "sriov-network-config-daemon")); len(unlabelled.GetLabels()) == 0 {
			return fmt.Errorf("a role has no labels")
		}
		if diff := cmp.Diff(want, r.there()); diff != "" {
			return fmt.Errorf("what is there (-want +got):\n%s", diff)
		}
		return nil
	})
}

// converter is between typed objects and others.
var converter = runtime.DefaultUnstructuredConverter

func convert(t *testing.T, o *unstructured.Unstructured, to any) {
	t.Helper()
	if err := converter.FromUnstructured(o.Object, to); err != nil {
		t.Fatal(err)
	}
}

func unconvert(t *testing.T, from any, o *unstructured.Unstructured) {
	t.Helper()
	fields, err := converter.ToUnstructured(from)
	if err != nil {
		t.Fatal(err)
	}
	o.Object = fields
}

func TestAnObjectOfSomebodyElseIsLeftAloneAndNamed(t *testing.T) {
	r := newRig(t)
	r.nodes(1, nil)
	theirs := clusterRole("network-resources-injector")
	switches := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: "nri-control-switches"}, Data: map[string]string{"theirs": "yes"}}
	r.create(theirs, switches)
	t.Cleanup(func() { _ = r.api.Delete(context.WithoutCancel(t.Context()), theirs) })
	r.configure(everything)

	c := r.condition(sriovv1.ConditionInjectorReady, sriovv1.ReasonForeignObject)
	for _, words := range []string{"ClusterRole network-resources-injector", "ConfigMap " + r.ns + "/nri-control-switches", "delete or rename"} {
		if !strings.Contains(c.Message, words) {
			t.Errorf("the condition does not say %q: %s", words, c.Message)
		}
	}
	ready := r.condition(sriovv1.ConditionReady, sriovv1.ReasonOperatorConfigSyncFailed)
	if !strings.Contains(ready.Message, "resources-injector") {
		t.Errorf("Ready does not name the group: %s", ready.Message)
	}
	// The other groups do not wait.
	r.condition(sriovv1.ConditionOperatorWebhookReady, sriovv1.ReasonDeployed)
	if o := r.get(r.ref("DaemonSet", "network-resources-injector")); o != nil {
		t.Error("the injector runs without what it needs")
	}
	// Nor are they deleted with the configuration, or when the group is turned off.
	r.configure(func(s *sriovv1.SriovOperatorConfigSpec) { s.EnableInjector = false })
	r.condition(sriovv1.ConditionInjectorReady, sriovv1.ReasonTurnedOff)
	r.configure(everything)
	r.condition(sriovv1.ConditionInjectorReady, sriovv1.ReasonForeignObject)
	for _, o := range []client.Object{theirs, switches} {
		before := o.GetResourceVersion()
		if err := r.api.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil || o.GetResourceVersion() != before {
			t.Errorf("%T %s was changed: %v", o, o.GetName(), err)
		}
	}
	// When they are gone the group is deployed.
	for _, o := range []client.Object{theirs, switches} {
		if err := r.api.Delete(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	r.configure(func(s *sriovv1.SriovOperatorConfigSpec) { s.UseCDI = true })
	r.condition(sriovv1.ConditionInjectorReady, sriovv1.ReasonDeployed)
}

func TestAWebhookIsNotCalledBeforeItCanAnswer(t *testing.T) {
	r := newRig(t)
	r.configure(everything)
	c := r.condition(sriovv1.ConditionOperatorWebhookReady, sriovv1.ReasonWaitingForPods)
	if !strings.Contains(c.Message, "Deployment "+r.ns+"/operator-webhook") {
		t.Errorf("the condition does not name what it waits for: %s", c.Message)
	}
	r.condition(sriovv1.ConditionReady, sriovv1.ReasonOperatorConfigProgressing)
	hooks := []operand.Ref{
		r.ref("ValidatingWebhookConfiguration", "sriov-operator-webhook-config"), r.ref("MutatingWebhookConfiguration", "sriov-operator-webhook-config"),
		r.ref("MutatingWebhookConfiguration", "network-resources-injector-config"),
	}
	for _, ref := range hooks {
		if r.get(ref) != nil {
			t.Errorf("%s is there, and nobody answers", ref)
		}
	}
	// As soon as a node is there to run pods, they are called.
	r.nodes(1, nil)
	r.condition(sriovv1.ConditionReady, sriovv1.ReasonOperatorConfigReady)
	for _, ref := range hooks {
		if r.get(ref) == nil {
			t.Errorf("%s is not there, and somebody answers", ref)
		}
	}
}

func TestWebhooksMoveToTheControlPlaneWhenThereIsOne(t *testing.T) {
	r := newRig(t)
	r.nodes(1, nil)
	r.configure(func(s *sriovv1.SriovOperatorConfigSpec) { s.EnableOperatorWebhook = true })
	r.condition(sriovv1.ConditionReady, sriovv1.ReasonOperatorConfigReady)
	replicas, each := r.ref("Deployment", "operator-webhook"), r.ref("DaemonSet", "operator-webhook")
	if r.get(replicas) == nil || r.get(each) != nil {
		t.Error("without nodes of the control plane there is no Deployment")
	}
	r.nodes(1, func(n *corev1.Node) { n.Labels["node-role.kubernetes.io/control-plane"] = "" })
	r.await(func() error {
		if r.get(replicas) != nil || r.get(each) == nil {
			return fmt.Errorf("the webhook did not move: Deployment %v, DaemonSet %v", r.get(replicas) != nil, r.get(each) != nil)
		}
		return nil
	})
	r.condition(sriovv1.ConditionReady, sriovv1.ReasonOperatorConfigReady)
}

func TestTheConfigurationTakesEverythingWithIt(t *testing.T) {
	r := newRig(t)
	r.nodes(1, nil)
	bystander := clusterRole(r.ns + "-bystander")
	r.create(bystander)
	t.Cleanup(func() { _ = r.api.Delete(context.WithoutCancel(t.Context()), bystander) })
	r.configure(everything)
	r.condition(sriovv1.ConditionReady, sriovv1.ReasonOperatorConfigReady)
	if config := r.config(); r.api.Get(t.Context(), client.ObjectKeyFromObject(config), config) != nil ||
		!slices.Contains(config.Finalizers, sriovv1.FinalizerOperatorConfig) {
		t.Fatalf("the configuration has the finalizers %v", config.Finalizers)
	}
	r.uninstall()
	if left := r.there(); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	if err := r.api.Get(t.Context(), client.ObjectKeyFromObject(bystander), bystander); err != nil {
		t.Errorf("an object of somebody else is gone: %v", err)
	}
	// And it can be made again.
	r.configure(everything)
	r.condition(sriovv1.ConditionReady, sriovv1.ReasonOperatorConfigReady)
}

// An operator that ends may be back in a second, or never. What it called stays as it is: a
// webhook that lets everything pass meanwhile would be none. Only its removal ends the
// calls, and before the pods that answer them go.
func TestW41TheOperatorsEndChangesNoWebhookAndItsRemovalLeavesNone(t *testing.T) {
	r := newRig(t)
	r.nodes(1, nil)
	r.configure(everything)
	r.condition(sriovv1.ConditionReady, sriovv1.ReasonOperatorConfigReady)
	called := []operand.Ref{
		r.ref("ValidatingWebhookConfiguration", "sriov-operator-webhook-config"),
		r.ref("MutatingWebhookConfiguration", "sriov-operator-webhook-config"),
		r.ref("MutatingWebhookConfiguration", "network-resources-injector-config"),
	}
	policies := func() []string {
		var out []string
		for _, ref := range called {
			live := r.get(ref)
			if live == nil {
				t.Fatalf("there is no %s", ref)
			}
			hooks, _, err := unstructured.NestedSlice(live.Object, "webhooks")
			if err != nil || len(hooks) == 0 {
				t.Fatalf("%s calls nobody: %v", ref, err)
			}
			for _, hook := range hooks {
				out = append(out, fmt.Sprint(ref, " ", live.GetResourceVersion(), " ", hook.(map[string]any)["failurePolicy"]))
			}
		}
		return out
	}
	network := &sriovv1.SriovNetwork{ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: "n", Finalizers: []string{sriovv1.FinalizerNetwork}}}
	network.Spec.ResourceName = "vfs"
	if err := r.unasked.Create(t.Context(), network); err != nil {
		t.Fatal(err)
	}
	r.quiet()
	before := policies()
	r.proxy.Reset()

	r.stop()
	for _, q := range r.proxy.Requests() {
		if proxy.Writes(q) {
			t.Errorf("an operator that ends asks for %s %s %s", q.Verb, q.Resource, q.Name)
		}
	}
	if diff := cmp.Diff(before, policies()); diff != "" {
		t.Errorf("webhooks after the operator's end (-before +after):\n%s", diff)
	}
	if err := r.api.Get(t.Context(), client.ObjectKeyFromObject(network), network); err != nil || len(network.Finalizers) != 1 {
		t.Errorf("the network's finalizers are %v after the operator's end: %v", network.Finalizers, err)
	}
	r.operate()
	r.quiet()
	if diff := cmp.Diff(before, policies()); diff != "" {
		t.Errorf("webhooks after the operator is back (-before +after):\n%s", diff)
	}

	network.Finalizers = nil
	if err := r.unasked.Update(t.Context(), network); err != nil {
		t.Fatal(err)
	}
	r.proxy.Reset()
	r.uninstall()
	for _, ref := range called {
		if r.get(ref) != nil {
			t.Errorf("%s is left and nobody answers it", ref)
		}
	}
	gone := ""
	for _, q := range r.proxy.Requests() {
		switch {
		case !proxy.Writes(q):
		case strings.HasSuffix(q.Resource, "webhookconfigurations"):
			if q.Verb != "delete" {
				t.Errorf("removal asks for %s %s %s", q.Verb, q.Resource, q.Name)
			}
			if gone != "" {
				t.Errorf("%s %s goes after %s, which may be what answers it", q.Resource, q.Name, gone)
			}
		case q.Verb == "delete" && q.Group != "admissionregistration.k8s.io": // policies answer nobody
			gone = q.Resource + " " + q.Name
		}
	}
	if gone == "" {
		t.Error("removal deletes nothing")
	}
}

func TestWhatAConfigurationLeftBehindIsSwept(t *testing.T) {
	r := newRig(t)
	r.configure(func(*sriovv1.SriovOperatorConfigSpec) {})
	r.condition(sriovv1.ConditionReady, sriovv1.ReasonOperatorConfigReady)
	// Somebody who has no patience.
	config := r.config()
	r.await(func() error {
		if err := r.api.Get(t.Context(), client.ObjectKeyFromObject(config), config); err != nil {
			return err
		}
		config.Finalizers = nil
		if err := r.api.Update(t.Context(), config); err != nil {
			return err
		}
		return r.api.Delete(t.Context(), config)
	})
	r.await(func() error {
		if left := r.there(); len(left) > 0 {
			return fmt.Errorf("left over: %v", left)
		}
		return nil
	})
}

// definition is a CRD of any content.
func definition(group, kind, plural string) *apiextensionsv1.CustomResourceDefinition {
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: plural + "." + group, Annotations: map[string]string{"api-approved.kubernetes.io": "unapproved, for a test"}},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: group, Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: kind, Plural: plural, Singular: strings.ToLower(kind), ListKind: kind + "List"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", XPreserveUnknownFields: new(true),
				}},
			}},
		},
	}
}

func TestKindsThatTheClusterLacksAreNamedAndUsedOnceTheyAreThere(t *testing.T) {
	r := newRig(t)
	r.nodes(1, nil)
	r.configure(everything)
	c := r.condition(sriovv1.ConditionKindsServed, sriovv1.ReasonKindMissing)
	for _, words := range []string{"NetworkAttachmentDefinition (k8s.cni.cncf.io/v1)", "ServiceMonitor (monitoring.coreos.com/v1)", "PrometheusRule", "install"} {
		if !strings.Contains(c.Message, words) {
			t.Errorf("the condition does not say %q: %s", words, c.Message)
		}
	}
	r.condition(sriovv1.ConditionReady, sriovv1.ReasonOperatorConfigReady)

	monitors := definition("monitoring.coreos.com", "ServiceMonitor", "servicemonitors")
	rules := definition("monitoring.coreos.com", "PrometheusRule", "prometheusrules")
	r.cluster.Install(t, monitors, rules)
	t.Cleanup(func() {
		for _, d := range []*apiextensionsv1.CustomResourceDefinition{monitors, rules} {
			_ = r.api.Delete(context.WithoutCancel(t.Context()), d)
		}
	})
	monitor, rule := r.ref("ServiceMonitor", "sriov-network-metrics-exporter"), r.ref("PrometheusRule", "sriov-vf-rules")
	for _, ref := range []operand.Ref{monitor, rule} {
		r.await(func() error {
			if r.get(ref) == nil {
				return fmt.Errorf("there is no %s", ref)
			}
			return nil
		})
	}
	// They are watched like all others.
	r.edit(monitor, func(o *unstructured.Unstructured) { set(t, o, []any{}, "spec", "endpoints") })
	r.await(func() error {
		endpoints, _, err := unstructured.NestedSlice(r.get(monitor).Object, "spec", "endpoints")
		if err != nil {
			return err
		}
		if len(endpoints) != 1 {
			return fmt.Errorf("the ServiceMonitor has %v", endpoints)
		}
		return nil
	})
	r.await(func() error {
		c := r.condition(sriovv1.ConditionKindsServed, sriovv1.ReasonKindMissing)
		if strings.Contains(c.Message, "monitoring.coreos.com") {
			return fmt.Errorf("named although they are there: %s", c.Message)
		}
		return nil
	})
	r.quiet()
	r.proxy.Reset()
	r.configure(func(s *sriovv1.SriovOperatorConfigSpec) { s.LogLevel = 1 })
	r.condition(sriovv1.ConditionReady, sriovv1.ReasonOperatorConfigReady)
	for _, q := range r.proxy.Requests() {
		if proxy.Writes(q) && strings.HasPrefix(q.Group, "monitoring") {
			t.Errorf("written although nothing differs: %+v", q)
		}
	}
	// A kind that goes is no reason to ask for it again and again.
	if err := r.api.Delete(t.Context(), monitors); err != nil {
		t.Fatal(err)
	}
	r.await(func() error {
		if c := r.condition(sriovv1.ConditionKindsServed, sriovv1.ReasonKindMissing); !strings.Contains(c.Message, "ServiceMonitor") {
			return fmt.Errorf("not named although it is gone: %s", c.Message)
		}
		return nil
	})
	r.quiet()
}

func TestASettingThatCannotBeUsedIsSaidAndStopsNoOtherGroup(t *testing.T) {
	r := newRig(t)
	r.nodes(1, nil)
	// Somebody's certificate, which nothing can be made of.
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: "operator-webhook-cert"}, Data: map[string][]byte{"tls.crt": []byte("?")},
	}
	r.create(secret)
	r.configure(func(s *sriovv1.SriovOperatorConfigSpec) {
		everything(s)
		s.FeatureGates["noSuchGate"] = true
	})
	c := r.condition(sriovv1.ConditionOperatorWebhookReady, sriovv1.ReasonOperatorConfigSyncFailed)
	if !strings.Contains(c.Message, "operator-webhook-cert") {
		t.Errorf("the condition does not name the Secret: %s", c.Message)
	}
	daemon := r.condition(sriovv1.ConditionConfigDaemonReady, sriovv1.ReasonDeployed)
	if daemon.Status != metav1.ConditionTrue || !strings.Contains(daemon.Message, "noSuchGate") {
		t.Errorf("the condition does not warn of the gate: %+v", daemon)
	}
	r.condition(sriovv1.ConditionInjectorReady, sriovv1.ReasonDeployed)
	if o := r.get(r.ref("ValidatingWebhookConfiguration", "sriov-operator-webhook-config")); o != nil {
		t.Error("the API server calls a webhook that it cannot trust")
	}
	r.await(func() error {
		var list eventsv1.EventList
		if err := r.api.List(t.Context(), &list, client.InNamespace(r.ns)); err != nil {
			return err
		}
		for _, e := range list.Items {
			if e.Regarding.Kind == sriovv1.KindSriovOperatorConfig && e.Type == corev1.EventTypeWarning && strings.Contains(e.Note, "operator-webhook-cert") {
				return nil
			}
		}
		return fmt.Errorf("no event tells of it among %d", len(list.Items))
	})
}

func TestObjectsOfTheExistingOperatorAreTakenOver(t *testing.T) {
	r := newRig(t)
	old := &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: "sriov-network-config-daemon", OwnerReferences: []metav1.OwnerReference{{
			APIVersion: sriovv1.SchemeGroupVersion.String(), Kind: sriovv1.KindSriovOperatorConfig, Name: "default", UID: "an-older-one",
		}}},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "sriov-network-config-daemon"}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "sriov-network-config-daemon"}},
				Spec: corev1.PodSpec{Containers: []corev1.Container{
					{Name: "sriov-network-config-daemon", Image: "old:1", Env: []corev1.EnvVar{{Name: "OLD", Value: "yes"}}},
					{Name: "sidecar", Image: "old:2"},
				}},
			},
		},
	}
	// Its garbage collector would find that the owner is not there: the operator is faster
	// only by chance, so the owner is there.
	r.configure(func(*sriovv1.SriovOperatorConfigSpec) {})
	r.condition(sriovv1.ConditionReady, sriovv1.ReasonOperatorConfigReady)
	config := r.config()
	if err := r.api.Get(t.Context(), client.ObjectKeyFromObject(config), config); err != nil {
		t.Fatal(err)
	}
	old.OwnerReferences[0].UID = config.UID
	r.await(func() error {
		if err := client.IgnoreNotFound(r.api.Delete(t.Context(), &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: old.Name}})); err != nil {
			return err
		}
		old.ResourceVersion, old.UID = "", ""
		return r.api.Create(t.Context(), old, client.FieldOwner("sriov-network-operator"))
	})
	r.configure(func(s *sriovv1.SriovOperatorConfigSpec) { s.UseCDI = true })
	r.await(func() error {
		var d appsv1.DaemonSet
		if err := r.api.Get(t.Context(), client.ObjectKeyFromObject(old), &d); err != nil {
			return err
		}
		containers := d.Spec.Template.Spec.Containers
		if len(containers) != 1 || containers[0].Image != "daemon:1" || slices.ContainsFunc(containers[0].Env, func(e corev1.EnvVar) bool { return e.Name == "OLD" }) {
			return fmt.Errorf("the DaemonSet has %v", containers)
		}
		return nil
	})
}

func TestTheLogLevelFollowsTheConfiguration(t *testing.T) {
	r := newRig(t)
	r.configure(func(s *sriovv1.SriovOperatorConfigSpec) { s.LogLevel = 2 })
	for level := range r.levels {
		if level == 2 {
			return
		}
	}
}

func TestAStormChangesNothingOfTheEnd(t *testing.T) {
	r := newRig(t, proxy.Storm()...)
	r.nodes(1, nil)
	var spec sriovv1.SriovOperatorConfigSpec
	for round := range 2 {
		change := everything
		if round%2 == 1 {
			change = func(s *sriovv1.SriovOperatorConfigSpec) {
				s.EnableInjector, s.EnableOperatorWebhook, s.FeatureGates = false, false, nil
			}
		}
		change(&spec)
		r.configure(change)
		r.condition(sriovv1.ConditionReady, sriovv1.ReasonOperatorConfigReady)
		r.await(func() error {
			if diff := cmp.Diff(r.rendered(spec, nil), r.there()); diff != "" {
				return fmt.Errorf("what is there (-want +got):\n%s", diff)
			}
			return nil
		})
	}
	if len(r.proxy.Struck()) < 5 {
		t.Errorf("there was no storm: %v", r.proxy.Struck())
	}
}

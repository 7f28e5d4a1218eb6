// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package operand_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
	"github.com/kubeovn/sriov-network-operator/test/kube"
)

// fleet is a cluster with two nodes, their node states, and on each the daemon's pod,
// the device plugin's and one of somebody else, with what is rendered to keep them apart.
type fleet struct {
	t         *testing.T
	cluster   *kube.Cluster
	namespace string
	a, b      string
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	c := kube.Start(t)
	f := &fleet{t: t, cluster: c, namespace: c.Namespace(t)}
	nodes := c.CreateNodes(t, 2, nil)
	f.a, f.b = nodes[0], nodes[1]
	s := settings()
	s.Namespace = f.namespace
	out, _ := operand.Render(config(sriovv1.SriovOperatorConfigSpec{}), s)
	kinds := []string{
		"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding",
		"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
	}
	for _, o := range slices.Concat(out.Of(operand.ConfigDaemon).Apply, out.Of(operand.DevicePlugin).Apply) {
		if slices.Contains(kinds, operand.RefOf(o).Kind) {
			f.create(o)
		}
	}
	for _, node := range nodes {
		f.create(&sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: node}})
		f.create(f.pod("daemon-"+node, node, "sriov-network-config-daemon", "sriov-network-config-daemon"))
		f.create(f.pod("plugin-"+node, node, "sriov-device-plugin", "sriov-device-plugin"))
		f.create(f.pod("other-"+node, node, "other", "default"))
	}
	return f
}

func (f *fleet) create(o client.Object) {
	f.t.Helper()
	if err := f.cluster.Client().Create(f.t.Context(), o); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fleet) pod(name, node, app, account string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: name, Labels: map[string]string{"app": app}},
		Spec:       corev1.PodSpec{NodeName: node, ServiceAccountName: account, Containers: []corev1.Container{{Name: "c", Image: "i"}}},
	}
}

// as is a client with another identity.
func (f *fleet) as(config *rest.Config) client.Client {
	f.t.Helper()
	scheme, err := kube.Scheme()
	if err != nil {
		f.t.Fatal(err)
	}
	config.QPS = -1
	k, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		f.t.Fatal(err)
	}
	return k
}

// try is one thing that somebody does, and what comes of it.
type try struct {
	what string
	do   func(client.Client) error
	// says is part of the refusal; empty when it is allowed.
	says string
}

func (f *fleet) run(k client.Client, tries []try) {
	f.t.Helper()
	for _, x := range tries {
		err := x.do(k)
		switch {
		case x.says == "" && err != nil:
			f.t.Errorf("%s: %v", x.what, err)
		case x.says != "" && (err == nil || !strings.Contains(err.Error(), x.says)):
			f.t.Errorf("%s: error %v, want %q", x.what, err, x.says)
		}
	}
}

func (f *fleet) node(name string) client.Object {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func (f *fleet) state(name string) client.Object {
	return &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: name}}
}

func (f *fleet) podNamed(name string) client.Object {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: name}}
}

// patch merges a text into an object.
func (f *fleet) patch(o client.Object, text string) func(client.Client) error {
	return func(k client.Client) error {
		return k.Patch(f.t.Context(), o.DeepCopyObject().(client.Object), client.RawPatch(types.MergePatchType, []byte(text)))
	}
}

// status merges a text into an object by its subresource.
func (f *fleet) status(o client.Object, text string) func(client.Client) error {
	return func(k client.Client) error {
		return k.Status().Patch(f.t.Context(), o.DeepCopyObject().(client.Object), client.RawPatch(types.MergePatchType, []byte(text)))
	}
}

// reports writes a status as a daemon does: as a whole, over what it has read.
func (f *fleet) reports(node, text string) func(client.Client) error {
	return func(k client.Client) error {
		o := f.state(node)
		if err := k.Get(f.t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(text), o); err != nil {
			return err
		}
		return k.Status().Update(f.t.Context(), o)
	}
}

func (f *fleet) deletion(o client.Object) func(client.Client) error {
	return func(k client.Client) error { return k.Delete(f.t.Context(), o) }
}

// applied is server-side apply, which makes what is not there.
func (f *fleet) applied(name string) func(client.Client) error {
	return func(k client.Client) error {
		text := fmt.Sprintf(`{"apiVersion":"sriovnetwork.openshift.io/v1","kind":"SriovNetworkNodeState","metadata":{"name":%q,"namespace":%q}}`, name, f.namespace)
		return k.Patch(f.t.Context(), f.state(name), client.RawPatch(types.ApplyPatchType, []byte(text)), client.FieldOwner("daemon"))
	}
}

// annotation is a patch with one annotation.
func annotation(key, value string) string {
	return fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, key, value)
}

// Annotations of the project, and one of somebody else.
const (
	drainAnnotation = "sriovnetwork.openshift.io/state"
	waitAnnotation  = "sriovnetwork.openshift.io/device-plugin-wait-config"
	otherAnnotation = "example.com/owner"
)

// everyRight gives a service account all rights that there are, so that nothing but the
// admission policies is in its way.
func (f *fleet) everyRight(account string) {
	f.t.Helper()
	f.create(&rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "everything-" + account},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: f.namespace, Name: account}},
	})
}

// enforced waits until the API server has taken the admission policies up.
func (f *fleet) enforced(k client.Client, do func(client.Client) error, says string) {
	f.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := do(k)
		if err != nil && strings.Contains(err.Error(), says) {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("the admission policies are not in force: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestD27ADaemonChangesItsOwnNodeAndNoOther asks a real API server with real tokens, as
// kubelets get them for pods: they carry the names of pod and node.
func TestD27ADaemonChangesItsOwnNodeAndNoOther(t *testing.T) {
	const (
		ownNode    = "a daemon changes only its own node, node-0001, and not node-0002"
		metadata   = "outside of status, a daemon changes only annotations of sriovnetwork.openshift.io"
		noMaking   = "a daemon neither makes nor deletes node states and nodes"
		noNode     = "the token names no node: use the token of the daemon's own pod"
		ownPlugin  = "a daemon changes only the device plugin's pods on its own node"
		ownStatus  = "a daemon writes the status of its node state alone"
		ownPod     = "the device plugin changes only its own pod"
		podAnnots  = "the device plugin changes only annotations of sriovnetwork.openshift.io"
		noRight    = "cannot"
		statusText = `{"status":{"syncStatus":"Succeeded","interfaces":[]}}`
		specText   = `{"spec":{"interfaces":[{"pciAddress":"0000:5f:00.0","numVfs":4}]}}`
	)
	f := newFleet(t)
	daemon := f.as(f.cluster.ServiceAccount(t, f.namespace, "sriov-network-config-daemon", "daemon-"+f.a))
	plugin := f.as(f.cluster.ServiceAccount(t, f.namespace, "sriov-device-plugin", "plugin-"+f.a))
	f.enforced(daemon, f.patch(f.node(f.b), annotation(drainAnnotation, "Drain_Required")), ownNode)
	f.enforced(plugin, f.patch(f.podNamed("other-"+f.a), annotation(waitAnnotation, "true")), ownPod)

	f.run(daemon, []try{
		{"asks for a drain of its node", f.patch(f.node(f.a), annotation(drainAnnotation, "Drain_Required")), ""},
		{"asks for a drain of another", f.patch(f.node(f.b), annotation(drainAnnotation, "Drain_Required")), ownNode},
		{"annotates its node as somebody else does", f.patch(f.node(f.a), annotation(otherAnnotation, "x")), metadata},
		{"labels its node", f.patch(f.node(f.a), `{"metadata":{"labels":{"node-role.kubernetes.io/control-plane":""}}}`), metadata},
		{"cordons its node", f.patch(f.node(f.a), `{"spec":{"unschedulable":true}}`), metadata},
		{"taints its node", f.patch(f.node(f.a), `{"spec":{"taints":[{"key":"k","effect":"NoExecute"}]}}`), metadata},
		{"writes its node's status", f.status(f.node(f.a), `{"status":{"capacity":{"example.com/vfs":"8"}}}`), noRight},
		{"deletes its node", f.deletion(f.node(f.a)), noRight},

		{"reports on its node", f.reports(f.a, statusText), ""},
		{"reports on another", f.reports(f.b, statusText), ownNode},
		{"repeats what it asks for", f.patch(f.state(f.a), annotation("sriovnetwork.openshift.io/desired-state", "Idle")), ""},
		{"repeats it for another", f.patch(f.state(f.b), annotation("sriovnetwork.openshift.io/desired-state", "Idle")), ownNode},
		{"decides for itself", f.patch(f.state(f.a), specText), metadata},
		{"decides by its status", f.reports(f.a, specText), ""}, // which changes no spec
		{"makes a node state", f.applied("elsewhere"), noRight},
		{"deletes its node state", f.deletion(f.state(f.a)), noRight},

		{"lets its device plugin start", f.patch(f.podNamed("plugin-"+f.a), annotation(waitAnnotation, "false")), ""},
		{"lets another's start", f.patch(f.podNamed("plugin-"+f.b), annotation(waitAnnotation, "false")), ownPlugin},
		{"changes a pod of somebody", f.patch(f.podNamed("other-"+f.a), annotation(waitAnnotation, "false")), ownPlugin},
		{"ends its device plugin soon", f.patch(f.podNamed("plugin-"+f.a), `{"spec":{"activeDeadlineSeconds":1}}`), metadata},
		{"deletes another's device plugin", f.deletion(f.podNamed("plugin-" + f.b)), ownPlugin},
		{"deletes a pod of somebody", f.deletion(f.podNamed("other-" + f.a)), ownPlugin},
	})
	f.checkSpec(f.a, 0)
	f.run(f.as(f.cluster.ServiceAccount(t, f.namespace, "sriov-network-config-daemon", "")), []try{
		{"a token of no pod", f.patch(f.node(f.a), annotation(drainAnnotation, "Idle")), noNode},
		{"a token of no pod, for a status", f.reports(f.a, statusText), noNode},
	})
	f.run(plugin, []try{
		{"says that it waits", f.patch(f.podNamed("plugin-"+f.a), annotation(waitAnnotation, "true")), ""},
		{"says so of another", f.patch(f.podNamed("plugin-"+f.b), annotation(waitAnnotation, "true")), ownPod},
		{"changes a pod of somebody", f.patch(f.podNamed("other-"+f.a), annotation(waitAnnotation, "true")), ownPod},
		{"annotates itself as somebody else does", f.patch(f.podNamed("plugin-"+f.a), annotation(otherAnnotation, "x")), podAnnots},
		{"labels itself", f.patch(f.podNamed("plugin-"+f.a), `{"metadata":{"labels":{"app":"other"}}}`), podAnnots},
	})

	// With all rights the policies alone are in the way.
	f.everyRight("sriov-network-config-daemon")
	f.everyRight("sriov-device-plugin")
	f.enforced(daemon, f.status(f.node(f.a), `{"status":{"capacity":{"example.com/vfs":"8"}}}`), ownStatus)
	f.enforced(plugin, f.deletion(f.podNamed("other-"+f.a)), ownPod)
	f.run(daemon, []try{
		{"makes a node state", f.applied("elsewhere"), noMaking},
		{"deletes its node state", f.deletion(f.state(f.a)), noMaking},
		{"deletes another's", f.deletion(f.state(f.b)), noMaking},
		{"deletes a node", f.deletion(f.node(f.b)), noMaking},
		{"makes a pod", func(k client.Client) error {
			return k.Create(t.Context(), f.pod("plugin-new", f.a, "sriov-device-plugin", "default"))
		}, ownPlugin},
		{"finalizes its node state", f.patch(f.state(f.a), `{"metadata":{"finalizers":["example.com/mine"]}}`), metadata},
		{"restarts its device plugin", f.deletion(f.podNamed("plugin-" + f.a)), ""},
	})
	f.run(plugin, []try{{"deletes a pod of its node", f.deletion(f.podNamed("daemon-" + f.a)), ownPod}})
}

// checkSpec wants a node state to ask for so many NICs.
func (f *fleet) checkSpec(node string, nics int) {
	f.t.Helper()
	var state sriovv1.SriovNetworkNodeState
	if err := f.cluster.Client().Get(f.t.Context(), client.ObjectKey{Namespace: f.namespace, Name: node}, &state); err != nil {
		f.t.Fatal(err)
	}
	if len(state.Spec.Interfaces) != nics {
		f.t.Errorf("%s is to have %+v", node, state.Spec.Interfaces)
	}
}

// TestNobodyButDaemonsIsHeldUp: the controller, kubelets and people.
func TestNobodyButDaemonsIsHeldUp(t *testing.T) {
	f := newFleet(t)
	daemon := f.as(f.cluster.ServiceAccount(t, f.namespace, "sriov-network-config-daemon", "daemon-"+f.a))
	f.enforced(daemon, f.patch(f.node(f.b), annotation(drainAnnotation, "Idle")), "a daemon changes only its own node")
	f.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: "sriov-network-operator"}})
	f.everyRight("sriov-network-operator")
	controller := f.as(f.cluster.ServiceAccount(t, f.namespace, "sriov-network-operator", ""))
	for _, node := range []string{f.a, f.b} {
		f.run(controller, []try{
			{"the controller writes a spec", f.patch(f.state(node), `{"spec":{"interfaces":[{"pciAddress":"0000:5f:00.0","numVfs":4}]}}`), ""},
			{"the controller labels a node", f.patch(f.node(node), `{"metadata":{"labels":{"sriovnetwork.openshift.io/device-plugin":"Enabled"}}}`), ""},
			{"the controller grants a drain", f.patch(f.state(node), annotation("sriovnetwork.openshift.io/current-state", "Draining")), ""},
			{"the controller cordons a node", f.patch(f.node(node), `{"spec":{"unschedulable":true}}`), ""},
		})
		f.checkSpec(node, 1)
		kubelet := f.as(f.cluster.User("system:node:"+node, []string{"system:nodes", "system:authenticated"}, nil))
		f.run(kubelet, []try{
			{"a kubelet writes its status", f.status(f.node(node), `{"status":{"capacity":{"example.com/vfs":"8"}}}`), ""},
			{"a kubelet annotates its node", f.patch(f.node(node), annotation("volumes.kubernetes.io/controller-managed-attach-detach", "true")), ""},
			{"a kubelet deletes a pod of its node", f.deletion(f.podNamed("other-" + node)), ""},
		})
	}
	f.run(f.cluster.Client(), []try{
		{"a person edits a node state", f.patch(f.state(f.a), `{"spec":{"interfaces":[]}}`), ""},
		{"a person labels a node", f.patch(f.node(f.a), `{"metadata":{"labels":{"rack":"1"}}}`), ""},
		{"a person deletes a device plugin", f.deletion(f.podNamed("plugin-" + f.a)), ""},
		{"a person deletes a node state", f.deletion(f.state(f.b)), ""},
	})
}

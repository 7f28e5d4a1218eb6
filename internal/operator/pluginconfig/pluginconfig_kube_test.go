// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package pluginconfig_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/operator/pluginconfig"
	"github.com/kubeovn/sriov-network-operator/test/kube"
)

var plane = kube.Share()

func TestMain(m *testing.M) { os.Exit(plane.Main(m)) }

// namespace makes a namespace with an operator configuration.
func namespace(t *testing.T) string {
	t.Helper()
	ns := plane.Cluster(t).Namespace(t)
	config := &sriovv1.SriovOperatorConfig{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: sriovv1.DefaultConfigName}}
	if err := plane.Cluster(t).Client().Create(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	return ns
}

// start runs the controllers in a namespace until the returned function is called.
func start(t *testing.T, ns string) (*pluginconfig.Store, func()) {
	t.Helper()
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	skip := true
	mgr, err := ctrl.NewManager(plane.Cluster(t).Config(), ctrl.Options{
		Scheme: scheme, Cache: cache.Options{DefaultNamespaces: map[string]cache.Config{ns: {}}},
		Metrics: server.Options{BindAddress: "0"}, Controller: config.Controller{SkipNameValidation: &skip},
	})
	if err != nil {
		t.Fatal(err)
	}
	store, err := pluginconfig.Add(mgr, pluginconfig.Options{Namespace: ns, Workers: 2, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	var ended bool
	stop := func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the manager ended with %v", err)
		}
	}
	t.Cleanup(stop)
	return store, stop
}

// awaitKeys waits until ConfigMaps have so many keys, and returns where each key is.
func awaitKeys(t *testing.T, ns string, want ...int) map[string]int {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		var list corev1.ConfigMapList
		if err := plane.Cluster(t).Client().List(t.Context(), &list, client.InNamespace(ns)); err != nil {
			t.Fatal(err)
		}
		got, at := make([]int, 0), map[string]int{}
		for i := range 4 {
			name := "device-plugin-config"
			if i > 0 {
				name += fmt.Sprintf("-%d", i)
			}
			for _, cm := range list.Items {
				if cm.Name == name {
					got = append(got, len(cm.Data))
					for key := range cm.Data {
						at[key] = i
					}
				}
			}
		}
		if fmt.Sprint(got) == fmt.Sprint(want) {
			return at
		}
		if time.Now().After(deadline) {
			t.Fatalf("the ConfigMaps have %v keys, want %v", got, want)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestD25ConfigurationsThatDoNotFitIntoOneConfigMapAreSpread(t *testing.T) {
	ns := namespace(t)
	store, _ := start(t, ns)
	big := strings.Repeat("x", 60<<10)
	for i := range 24 {
		store.Put(fmt.Sprintf("node-%02d", i), big)
	}
	// 768 KiB are 12 nodes and their names do not fit with them.
	before := awaitKeys(t, ns, 12, 12)
	store.Put("node-00", big+"y")
	store.Put("huge", strings.Repeat("z", 2<<20))
	store.Drop("node-23")
	after := awaitKeys(t, ns, 12, 11)
	for node, shard := range after {
		if before[node] != shard {
			t.Errorf("%s moved from ConfigMap %d to %d", node, before[node], shard)
		}
	}
	for i := range 20 {
		store.Put(fmt.Sprintf("node-%02d", i), "small")
	}
	awaitKeys(t, ns, 23)
}

func TestWithoutAnOperatorConfigurationNothingIsMade(t *testing.T) {
	ns, api := namespace(t), plane.Cluster(t).Client()
	store, _ := start(t, ns)
	store.Put("a", "text")
	awaitKeys(t, ns, 1)
	config := &sriovv1.SriovOperatorConfig{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: sriovv1.DefaultConfigName}}
	made := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: sriovv1.ConfigMapDevicePluginConfig}}
	// The garbage collector does the second.
	for _, o := range []client.Object{config, made} {
		if err := api.Delete(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	store.Put("b", "text")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	w, err := api.Watch(ctx, &corev1.ConfigMapList{}, client.InNamespace(ns), client.MatchingFields{"metadata.name": made.Name})
	if err != nil {
		t.Fatal(err)
	}
	for e := range w.ResultChan() {
		if e.Type == watch.Added {
			t.Fatal("it is made anew while there is no operator configuration")
		}
	}
	config = &sriovv1.SriovOperatorConfig{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: sriovv1.DefaultConfigName}}
	if err := api.Create(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	awaitKeys(t, ns, 2)
}

func TestAConfigurationThatFitsNowhereIsToldOfItsNode(t *testing.T) {
	api, ns := plane.Cluster(t).Client(), namespace(t)
	state := &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: ns + "-huge"}}
	if err := api.Create(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	store, stop := start(t, ns)
	tells := func(want string) {
		t.Helper()
		deadline := time.Now().Add(30 * time.Second)
		for {
			if err := api.Get(t.Context(), client.ObjectKeyFromObject(state), state); err != nil {
				t.Fatal(err)
			}
			got := ""
			if c := meta.FindStatusCondition(state.Status.Conditions, "DevicePluginConfigured"); c != nil {
				got = fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
			}
			if got == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("the condition says %q, want %q", got, want)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	store.Put(state.Name, strings.Repeat("z", 2<<20))
	large := "False TooLarge: the device plugin's configuration has 2097152 bytes, and a ConfigMap may have 1048576; " +
		"the plugin goes on with what is stored; let fewer policies select this node, or give them shorter selectors"
	tells(large)
	var list eventsv1.EventList
	for deadline := time.Now().Add(30 * time.Second); len(list.Items) == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("there is no event")
		}
		if err := api.List(t.Context(), &list, client.InNamespace(ns)); err != nil {
			t.Fatal(err)
		}
	}
	if e := list.Items[0]; e.Reason != "TooLarge" || e.Regarding.Name != state.Name || e.Type != "Warning" {
		t.Errorf("the event is %+v", e)
	}
	// Who comes after takes it back, too.
	stop()
	store, _ = start(t, ns)
	store.Put(state.Name, "small")
	tells("")
}

func TestAfterARestartTheKeysOfNodesThatAreNotYetRenderedStay(t *testing.T) {
	cluster := plane.Cluster(t)
	ns := namespace(t)
	for _, short := range []string{"a", "b"} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: ns + "-" + short}}
		if err := cluster.Client().Create(t.Context(), node); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := cluster.Client().Delete(context.WithoutCancel(t.Context()), node); err != nil {
				t.Error(err)
			}
		})
	}
	store, stop := start(t, ns)
	for _, short := range []string{"a", "b", "gone"} {
		store.Put(ns+"-"+short, "text")
	}
	awaitKeys(t, ns, 3)
	stop()
	store, _ = start(t, ns)
	store.Put(ns+"-a", "other")
	at := awaitKeys(t, ns, 2)
	for _, short := range []string{"a", "b"} {
		if _, ok := at[ns+"-"+short]; !ok {
			t.Errorf("the key of node %s is gone: %v", short, at)
		}
	}
}

func TestW9ADaemonIsToldThatItsDevicePluginWouldReadSomethingElse(t *testing.T) {
	api, ns := plane.Cluster(t).Client(), namespace(t)
	state := &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: ns + "-node"}}
	if err := api.Create(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	store, _ := start(t, ns)
	last := ""
	differs := func(what string) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			if err := api.Get(t.Context(), client.ObjectKeyFromObject(state), state); err != nil {
				t.Fatal(err)
			}
			if got := state.Annotations[sriovv1.AnnotationDevicePluginConfig]; got != last {
				last = got
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: the annotation is still %q", what, last)
			}
		}
	}
	store.Put(state.Name, "one")
	differs("the first configuration")
	store.Put(state.Name, "another")
	differs("another configuration")
	store.Drop(state.Name)
	differs("none")
	if last != "" {
		t.Errorf("nothing is stored, and the annotation is %q", last)
	}
}

func TestW39OneNodesConfigurationIsNoNewsForAnother(t *testing.T) {
	api, ns := plane.Cluster(t).Client(), namespace(t)
	states := map[string]*sriovv1.SriovNetworkNodeState{}
	for _, short := range []string{"a", "b"} {
		states[short] = &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: ns + "-" + short}}
		if err := api.Create(t.Context(), states[short]); err != nil {
			t.Fatal(err)
		}
	}
	store, _ := start(t, ns)
	// mark waits until a daemon is told of another configuration than it was.
	mark := func(short, was string) string {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			if err := api.Get(t.Context(), client.ObjectKeyFromObject(states[short]), states[short]); err != nil {
				t.Fatal(err)
			}
			if got := states[short].Annotations[sriovv1.AnnotationDevicePluginConfig]; got != was {
				return got
			}
			if time.Now().After(deadline) {
				t.Fatalf("the daemon of %s is still told %q", short, was)
			}
		}
	}
	store.Put(states["a"].Name, "one")
	store.Put(states["b"].Name, "one")
	first := mark("a", "")
	mark("b", "")
	untouched := states["b"].ResourceVersion
	store.Put(states["b"].Name, "one") // the same again
	store.Put(states["a"].Name, "another")
	other := mark("a", first)
	store.Put(states["a"].Name, "one")
	if again := mark("a", other); again != first {
		t.Errorf("the same configuration is told as %q and as %q", first, again)
	}
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(states["b"]), states["b"]); err != nil {
		t.Fatal(err)
	}
	if states["b"].ResourceVersion != untouched {
		t.Error("the state of a node was written although its configuration is the same")
	}
}

func TestTheLabelOfANodeThatWasNeverOursStays(t *testing.T) {
	cluster := plane.Cluster(t)
	api, ns := cluster.Client(), namespace(t)
	names := map[string]string{}
	for _, short := range []string{"foreign", "stored", "kept"} {
		names[short] = ns + "-" + short
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
			Name: names[short], Labels: map[string]string{sriovv1.LabelDevicePlugin: sriovv1.LabelDevicePluginEnabled},
		}}
		if err := api.Create(t.Context(), node); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := api.Delete(context.WithoutCancel(t.Context()), node); err != nil {
				t.Error(err)
			}
		})
	}
	// A leader before this one looked after two of them: one has a key, the other a state.
	objects := []client.Object{
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: sriovv1.ConfigMapDevicePluginConfig}, Data: map[string]string{names["stored"]: "text"}},
		&sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: names["kept"]}},
	}
	for _, o := range objects {
		if err := api.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	store, _ := start(t, ns)
	labelled := func(short string) bool {
		t.Helper()
		var node corev1.Node
		if err := api.Get(t.Context(), client.ObjectKey{Name: names[short]}, &node); err != nil {
			t.Fatal(err)
		}
		_, has := node.Labels[sriovv1.LabelDevicePlugin]
		return has
	}
	for _, order := range [][]string{{"foreign", "stored"}, {"foreign", "kept"}} {
		for _, short := range order {
			store.Drop(names[short])
		}
		for deadline := time.Now().Add(30 * time.Second); labelled(order[1]); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the label of %s stays", order[1])
			}
		}
	}
	if !labelled("foreign") {
		t.Error("the label of another operator's node is gone")
	}
}

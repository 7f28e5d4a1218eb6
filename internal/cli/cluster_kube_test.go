// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/test/kube"
	"github.com/kubeovn/sriov-network-operator/test/kube/proxy"
)

var plane = kube.Share()

func TestMain(m *testing.M) { os.Exit(plane.Main(m)) }

// documents reads the objects of a file.
func documents(t *testing.T, name string) []unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var out []unstructured.Unstructured
	for d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		var o unstructured.Unstructured
		switch err := d.Decode(&o.Object); {
		case errors.Is(err, io.EOF):
			return out
		case err != nil:
			t.Fatal(err)
		case len(o.Object) > 0:
			out = append(out, o)
		}
	}
}

// bring makes the objects in the cluster, with their status. What is said there of a
// generation is said of the one that the API gives.
func bring(t *testing.T, api client.Client, objects []unstructured.Unstructured, namespace string) {
	t.Helper()
	for _, o := range objects {
		if o.GetNamespace() == "kube-system" {
			o.SetNamespace(namespace)
		}
		status, told := o.Object["status"].(map[string]any)
		if err := api.Create(t.Context(), &o); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatalf("%s %s: %v", o.GetKind(), o.GetName(), err)
		}
		if o.GetNamespace() != namespace {
			t.Cleanup(func() { _ = api.Delete(context.WithoutCancel(t.Context()), &o) })
		}
		if !told {
			continue
		}
		if _, ok := status["observedGeneration"]; ok {
			status["observedGeneration"] = o.GetGeneration()
		}
		conditions, _ := status["conditions"].([]any)
		for _, c := range conditions {
			c.(map[string]any)["observedGeneration"] = o.GetGeneration()
		}
		o.Object["status"] = status
		if err := api.Status().Update(t.Context(), &o); err != nil {
			t.Fatalf("status of %s %s: %v", o.GetKind(), o.GetName(), err)
		}
	}
}

// viewer is a user with the rights of deploy/viewer.yaml in the namespace, and no others.
func viewer(t *testing.T, c *kube.Cluster, config *rest.Config, namespace string) *rest.Config {
	t.Helper()
	for _, o := range documents(t, "../../deploy/viewer.yaml") {
		if o.GetKind() == "Role" {
			o.SetNamespace(namespace)
		}
		if err := c.Client().Create(t.Context(), &o); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
	name := "viewer-" + namespace
	subject := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}}
	for _, o := range []client.Object{
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Subjects: subject,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "sriov-network-operator-viewer"},
		},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, Subjects: subject,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "sriov-network-operator-viewer"},
		},
	} {
		if err := c.Client().Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	return kube.As(config, name, nil, nil)
}

// ask runs a command that finds a cluster.
func ask(ctx context.Context, config *rest.Config, out io.Writer, args ...string) said {
	var text, err bytes.Buffer
	if out == nil {
		out = &text
	}
	code := Run(ctx, Env{
		In: strings.NewReader(""), Out: out, Err: &err, Now: time.Now, Name: "kubectl-sriov",
		Connect: func(string, string) (*rest.Config, error) { return config, nil },
	}, args)
	return said{out: text.String(), err: err.String(), code: code}
}

// TestALiveClusterSaysWhatItsFilesSay asks an API server that has the objects of the small
// cluster, as a user who may only read, and compares with what the files say.
func TestALiveClusterSaysWhatItsFilesSay(t *testing.T) {
	c := plane.Cluster(t)
	for _, o := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "apps"}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "default"}},
	} {
		if err := c.Client().Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	bring(t, c.Client(), documents(t, smallCluster), "kube-system")
	p := proxy.New(1)
	config := viewer(t, c, c.Behind(t, p), "kube-system")
	for name, command := range clusterCommands(t) {
		args := command.args
		if args[0] == "plan" || args[0] == "validate" {
			args = append(args, "--cluster")
		}
		live, files := ask(t.Context(), config, nil, args...), run(t, append(command.args, "--snapshot", smallCluster)...)
		if live != files {
			t.Errorf("%s: the cluster says %d\n%s%s\nand its files %d\n%s%s", name, live.code, live.err, live.out, files.code, files.err, files.out)
		}
	}
	asked := 0
	for _, r := range p.Requests() {
		asked++
		if proxy.Writes(r) {
			t.Errorf("%s %s/%s/%s was sent", r.Verb, r.Resource, r.Namespace, r.Name)
		}
	}
	t.Logf("%d commands made %d requests", len(clusterCommands(t)), asked)
}

func TestWhoMayNotReadIsToldWhatToDo(t *testing.T) {
	c := plane.Cluster(t)
	got := ask(t.Context(), c.User("nobody", nil, nil), nil, "status")
	if got.code != ExitError || !strings.Contains(got.err, `User "nobody" cannot list`) || !strings.Contains(got.err, "ask for the roles of deploy/viewer.yaml") {
		t.Errorf("ends with %d: %s", got.code, got.err)
	}
	dead := c.Config()
	dead.Host = "https://127.0.0.1:1"
	got = ask(t.Context(), dead, nil, "status")
	if got.code != ExitError || !strings.Contains(got.err, "see whether the cluster can be reached") {
		t.Errorf("ends with %d: %s", got.code, got.err)
	}
}

// lines is a writer that tells of each line.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
	come chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.come <- struct{}{}:
	default:
	}
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// member is a node that the operator of a namespace looks after, with the state of a
// described machine.
func member(t *testing.T, state *sriovv1.SriovNetworkNodeState, namespace, name string) (*corev1.Node, *sriovv1.SriovNetworkNodeState) {
	t.Helper()
	s := state.DeepCopy()
	s.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: name}
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"test": namespace}}}, s
}

// stateOf is the state that a node of the small cluster has.
func stateOf(t *testing.T, name string) *sriovv1.SriovNetworkNodeState {
	t.Helper()
	for _, o := range documents(t, smallCluster) {
		if o.GetKind() != sriovv1.KindSriovNetworkNodeState || o.GetName() != name {
			continue
		}
		text, err := json.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		var s sriovv1.SriovNetworkNodeState
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		return &s
	}
	t.Fatalf("there is no %s", name)
	return nil
}

// settings make the operator of a namespace look after the nodes of one test.
func settings(namespace string) *sriovv1.SriovOperatorConfig {
	return &sriovv1.SriovOperatorConfig{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: sriovv1.DefaultConfigName},
		Spec:       sriovv1.SriovOperatorConfigSpec{ConfigDaemonNodeSelector: map[string]string{"test": namespace}},
	}
}

// put makes a node and its state in the cluster.
func put(ctx context.Context, api client.Client, node *corev1.Node, state *sriovv1.SriovNetworkNodeState) error {
	status := state.Status
	if err := api.Create(ctx, node); err != nil {
		return err
	}
	if err := api.Create(ctx, state); err != nil {
		return err
	}
	state.Status = status
	state.Status.ObservedGeneration = state.Generation
	return api.Status().Update(ctx, state)
}

// watched is a cluster of one node that is pending, and `status --watch` about it, which has printed that.
type watched struct {
	api   client.Client
	state *sriovv1.SriovNetworkNodeState
	out   *lines
	done  chan said
}

func watch(ctx context.Context, t *testing.T) watched {
	t.Helper()
	c := plane.Cluster(t)
	ns := c.Namespace(t)
	w := watched{api: c.Client(), out: &lines{come: make(chan struct{}, 1)}, done: make(chan said, 1)}
	if err := w.api.Create(ctx, settings(ns)); err != nil {
		t.Fatal(err)
	}
	node, state := member(t, stateOf(t, "e810-2"), ns, ns+"-a")
	state.Spec = sriovv1.SriovNetworkNodeStateSpec{} // there is no policy: it gives back what it has
	if err := put(ctx, w.api, node, state); err != nil {
		t.Fatal(err)
	}
	w.state = state
	t.Cleanup(func() { _ = w.api.Delete(context.WithoutCancel(t.Context()), node) })
	config := viewer(t, c, c.Config(), ns)
	go func() { w.done <- ask(ctx, config, w.out, "status", "--watch", "-n", ns) }()
	select {
	case <-w.out.come:
	case <-ctx.Done():
		t.Fatal("nothing was printed")
	}
	return w
}

func TestWatchEndsWhenNothingIsPendingAnyMore(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w := watch(ctx, t)
	w.state.Status.Plan, w.state.Status.SyncStatus = nil, sriovv1.SyncStatusSucceeded
	if err := w.api.Status().Update(ctx, w.state); err != nil {
		t.Fatal(err)
	}
	got := <-w.done
	if got.code != ExitDone || !strings.HasSuffix(w.out.String(), "node "+w.state.Name+": synced\n") || !strings.Contains(w.out.String(), "pending") {
		t.Errorf("ends with %d: %s\n%s", got.code, got.err, w.out)
	}
}

func TestAnInterruptEndsAWatchWithWhatWasSeenLast(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w := watch(ctx, t)
	cancel()
	if got := <-w.done; got.code != ExitChanges || got.err != "" {
		t.Errorf("ends with %d: %s", got.code, got.err)
	}
}

// many is how many nodes a large cluster has here.
const many = 1000

func TestALargeClusterIsAnsweredInSeconds(t *testing.T) {
	c := plane.Cluster(t)
	ns := c.Namespace(t)
	api := c.Client()
	objects := []client.Object{settings(ns)}
	for _, o := range documents(t, smallCluster) {
		if o.GetKind() == sriovv1.KindSriovNetworkNodePolicy {
			o.SetNamespace(ns)
			o.SetResourceVersion("")
			objects = append(objects, &o)
		}
	}
	for _, o := range objects {
		if err := api.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(16)
	template := stateOf(t, "e810-1")
	for i := range many {
		node, state := member(t, template, ns, fmt.Sprintf("%s-%04d", ns, i))
		group.Go(func() error { return put(ctx, api, node, state) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	more := file(t, "more.yaml", strings.Replace(moreVFs, "namespace: kube-system", "namespace: "+ns, 1))
	config := viewer(t, c, c.Config(), ns)
	for name, args := range map[string][]string{
		"status":   {"status"},
		"explain":  {"explain", ns + "-0500"},
		"plan":     {"plan", "-f", more, "--cluster"},
		"validate": {"validate", "-f", more, "--cluster"},
	} {
		begin := time.Now()
		got := ask(t.Context(), config, nil, append(args, "-n", ns)...)
		took := time.Since(begin)
		t.Logf("%s of %d nodes: %.2f s", name, many, took.Seconds())
		if strings.HasPrefix(got.err, "error: ") || took > 20*time.Second {
			t.Errorf("%s ends with %d after %s: %s", name, got.code, took, got.err)
		}
		if name == "plan" && !strings.Contains(got.out, fmt.Sprintf("%d nodes (", many)) {
			t.Errorf("equal nodes are not one group:\n%s", got.out)
		}
	}
}

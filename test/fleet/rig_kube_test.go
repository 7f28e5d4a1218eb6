// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package fleet_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/test/fleet"
	"github.com/kubeovn/sriov-network-operator/test/kube"
)

const (
	repository = "../.."
	// labelReboots is on the nodes that will have to reboot.
	labelReboots = "fleet/reboots"
	// patient is how long a test waits for all nodes to become what they should.
	patient = 4 * time.Minute
)

// cluster is a control plane with nodes, policies and pods. Somebody else runs the nodes.
type cluster struct {
	t     *testing.T
	plane *kube.Cluster
	api   client.WithWatch
	ns    string
	nodes []string
	// reboots are the nodes that will have to reboot: one of four.
	reboots []string
}

// newCluster makes nodes of a pool, and policies for them.
func newCluster(t *testing.T, count int, limit intstr.IntOrString) *cluster {
	t.Helper()
	plane := kube.Start(t)
	c := &cluster{t: t, plane: plane, api: plane.Client(), ns: plane.Namespace(t)}
	c.create(&sriovv1.SriovOperatorConfig{ObjectMeta: c.meta(sriovv1.DefaultConfigName)})
	c.create(&sriovv1.SriovNetworkPoolConfig{ObjectMeta: c.meta("all"), Spec: sriovv1.SriovNetworkPoolConfigSpec{
		NodeSelector: &metav1.LabelSelector{}, MaxUnavailable: &limit,
	}})
	c.create(c.policy("first", fleet.FirstName, 4, nil))
	c.create(c.policy("second", fleet.SecondName, 2, map[string]string{labelReboots: "no"}))
	c.create(c.policy("userspace", fleet.SecondName, 2, map[string]string{labelReboots: "yes"}))
	for i := range count {
		name := fmt.Sprintf("node-%03d", i)
		c.nodes = append(c.nodes, name)
		if i%4 == 0 {
			c.reboots = append(c.reboots, name)
		}
	}
	c.each(c.nodes, func(ctx context.Context, name string) error { return c.api.Create(ctx, c.node(name)) })
	return c
}

func (c *cluster) node(name string) *corev1.Node {
	reboots := "no"
	if slices.Contains(c.reboots, name) {
		reboots = "yes"
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64", corev1.LabelHostname: name,
			sriovv1.LabelSriovCapable: sriovv1.LabelSriovCapableTrue, labelReboots: reboots,
		}},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
	}
}

// policy asks for VFs of one port.
func (c *cluster) policy(name, port string, vfs int, nodes map[string]string) *sriovv1.SriovNetworkNodePolicy {
	if nodes == nil {
		nodes = map[string]string{}
	}
	return &sriovv1.SriovNetworkNodePolicy{ObjectMeta: c.meta(name), Spec: sriovv1.SriovNetworkNodePolicySpec{
		ResourceName: name, NodeSelector: nodes, NumVfs: vfs, NicSelector: sriovv1.SriovNetworkNicSelector{PfNames: []string{port}},
	}}
}

// edit changes a policy.
func (c *cluster) edit(policy string, change func(*sriovv1.SriovNetworkNodePolicySpec)) {
	c.t.Helper()
	for {
		p := &sriovv1.SriovNetworkNodePolicy{ObjectMeta: c.meta(policy)}
		if err := c.api.Get(c.t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
			c.t.Fatal(err)
		}
		change(&p.Spec)
		err := c.api.Update(c.t.Context(), p)
		if err == nil {
			return
		}
		if !apierrors.IsConflict(err) {
			c.t.Fatal(err)
		}
	}
}

// populate puts pods on each node: one that holds a VF of the first port, one that holds a VF of the second, one
// without any, and one of a DaemonSet.
func (c *cluster) populate() {
	c.t.Helper()
	c.each(c.nodes, func(ctx context.Context, node string) error {
		yes := true
		agent := c.pod(node, "agent", "")
		agent.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "agents", UID: "agents", Controller: &yes}}
		for _, p := range []*corev1.Pod{c.pod(node, "first", fleet.FirstPort+"#1"), c.pod(node, "second", fleet.SecondPort+"#0"), c.pod(node, "plain", ""), agent} {
			if err := c.api.Create(ctx, p); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *cluster) pod(node, kind, holds string) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.ns, Name: kind + "-" + node, Annotations: map[string]string{}},
		Spec: corev1.PodSpec{
			NodeName:    node,
			Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			Containers:  []corev1.Container{{Name: "main", Image: "example.com/main"}},
		},
	}
	if holds != "" {
		p.Annotations[fleet.AnnotationHolds] = holds
	}
	return p
}

// pods are the names of the pods that are not made to leave, sorted.
func (c *cluster) pods() []string {
	c.t.Helper()
	var list corev1.PodList
	if err := c.api.List(c.t.Context(), &list, client.InNamespace(c.ns)); err != nil {
		c.t.Fatal(err)
	}
	var out []string
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp.IsZero() {
			out = append(out, list.Items[i].Name)
		}
	}
	slices.Sort(out)
	return out
}

func (c *cluster) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: c.ns, Name: name}
}

func (c *cluster) create(o client.Object) {
	c.t.Helper()
	if err := c.api.Create(c.t.Context(), o); err != nil {
		c.t.Fatal(err)
	}
}

// each does something for many nodes at a time.
func (c *cluster) each(nodes []string, do func(context.Context, string) error) {
	c.t.Helper()
	group, ctx := errgroup.WithContext(c.t.Context())
	group.SetLimit(16)
	for _, name := range nodes {
		group.Go(func() error { return do(ctx, name) })
	}
	if err := group.Wait(); err != nil {
		c.t.Fatal(err)
	}
}

// program builds a program of a repository.
func program(t *testing.T, repository, dir, name string) string {
	t.Helper()
	out := filepath.Join(dir, filepath.Base(name))
	began := time.Now()
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", out, "./"+name)
	build.Dir, build.Env = repository, append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, text)
	}
	t.Logf("%s was built in %.1f s", name, time.Since(began).Seconds())
	return out
}

// operate runs an operator until the test ends.
func (c *cluster) operate(program string, more ...string) {
	c.t.Helper()
	args := append([]string{"-namespace", c.ns, "-metrics-bind-address", "0", "-health-probe-bind-address", "0", "-leader-elect=false"}, more...)
	c.start(program, "KUBECONFIG="+c.plane.Kubeconfig(), args...)
}

// start runs a program until the test ends, or until it is told to end, which must go well. Its log is shown when the
// test fails.
func (c *cluster) start(program, env string, args ...string) (end func()) {
	c.t.Helper()
	path := filepath.Join(c.t.TempDir(), "log")
	log, err := os.Create(path)
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.CommandContext(c.t.Context(), program, args...)
	cmd.Env = append(os.Environ(), env)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	done, told := make(chan error, 1), make(chan struct{})
	go func() {
		err := cmd.Wait()
		select {
		case <-told:
		case <-c.t.Context().Done():
		default:
			c.t.Errorf("%s ended by itself: %v", filepath.Base(program), err)
		}
		done <- err
	}()
	c.t.Cleanup(func() {
		select {
		case <-told:
		default:
			<-done // the test's context has ended it
		}
		_ = log.Close()
		if text, err := os.ReadFile(path); c.t.Failed() && err == nil {
			c.t.Logf("%s wrote last:\n%s", filepath.Base(program), text[max(0, len(text)-6000):])
		}
	})
	return func() {
		close(told)
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := <-done; err != nil {
			text, _ := os.ReadFile(path)
			lines := bytes.Split(text, []byte("\n"))
			c.t.Errorf("%s ended with %v\n%s", filepath.Base(program), err, bytes.Join(lines[max(0, len(lines)-12):], []byte("\n")))
		}
	}
}

// await waits until none of these nodes' states has anything to complain of.
func (c *cluster) await(what string, nodes []string, complaint func(*sriovv1.SriovNetworkNodeState) string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeoutCause(c.t.Context(), patient, fmt.Errorf("%v have passed", patient))
	defer cancel()
	began, open := time.Now(), map[string]string{}
	for _, name := range nodes {
		open[name] = "without a node state"
	}
	for ctx.Err() == nil {
		// A watch from nowhere begins with what is there.
		w, err := c.api.Watch(ctx, &sriovv1.SriovNetworkNodeStateList{}, client.InNamespace(c.ns))
		if err != nil {
			break
		}
		for e := range w.ResultChan() {
			s, ok := e.Object.(*sriovv1.SriovNetworkNodeState)
			if !ok || !slices.Contains(nodes, s.Name) {
				continue
			}
			if open[s.Name] = complaint(s); open[s.Name] == "" {
				delete(open, s.Name)
			}
			if len(open) == 0 {
				w.Stop()
				c.t.Logf("%s: %.1f s", what, time.Since(began).Seconds())
				return
			}
		}
	}
	var some []string
	for name, why := range open {
		some = append(some, name+": "+why)
	}
	slices.Sort(some)
	c.t.Errorf("%s: %v, and %d of %d nodes are not:\n%s", what, errors.Join(context.Cause(ctx)), len(open), len(nodes), strings.Join(some[:min(len(some), 10)], "\n"))
	c.t.FailNow()
}

// succeeded is why a node is not what its spec asks for, which must ask for so many VFs of each port.
func succeeded(first, second int, driver string) func(*sriovv1.SriovNetworkNodeState) string {
	return func(s *sriovv1.SriovNetworkNodeState) string {
		held := s.Annotations[sriovv1.AnnotationCurrentState]
		switch {
		case s.Status.SyncStatus != sriovv1.SyncStatusSucceeded || s.Status.ObservedGeneration != s.Generation:
			return fmt.Sprintf("%s of generation %d, in generation %d: %s; it asks for %s and has %s: %s", s.Status.SyncStatus, s.Status.ObservedGeneration,
				s.Generation, s.Status.LastSyncError, s.Annotations[sriovv1.AnnotationDesiredState], held, s.Annotations[sriovv1.AnnotationDrainMessage])
		case held != sriovv1.DrainIdle:
			return "it has " + held
		case len(s.Status.Interfaces) != 2:
			return fmt.Sprintf("%d PFs", len(s.Status.Interfaces))
		case s.Status.Interfaces[0].NumVfs != first || s.Status.Interfaces[1].NumVfs != second:
			return fmt.Sprintf("%d and %d VFs", s.Status.Interfaces[0].NumVfs, s.Status.Interfaces[1].NumVfs)
		case second > 0 && s.Status.Interfaces[1].VFs[0].Driver != driver:
			return "the second port's VFs are on " + s.Status.Interfaces[1].VFs[0].Driver
		}
		return fleet.Differs(s)
	}
}

// others are the nodes that are not among those.
func others(all, those []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(those, name) })
}

// checkEnd checks that nothing is left of the rollouts: all that had to leave have left, and nobody else.
func (c *cluster) checkEnd() {
	c.t.Helper()
	var want []string
	for _, node := range c.nodes {
		want = append(want, "agent-"+node)
		if !slices.Contains(c.reboots, node) {
			want = append(want, "plain-"+node, "second-"+node)
		}
	}
	slices.Sort(want)
	if got := c.pods(); !slices.Equal(got, want) {
		c.t.Errorf("%d pods are left and not %d; too few %v, too many %v", len(got), len(want), others(want, got), others(got, want))
	}
	var nodes corev1.NodeList
	if err := c.api.List(c.t.Context(), &nodes); err != nil {
		c.t.Fatal(err)
	}
	for i := range nodes.Items {
		n := &nodes.Items[i]
		tainted := slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == sriovv1.TaintDraining })
		if n.Spec.Unschedulable || tainted || n.Annotations[sriovv1.AnnotationCordoned] != "" {
			c.t.Errorf("%s is left cordoned: %+v, %v", n.Name, n.Spec, n.Annotations)
		}
	}
}

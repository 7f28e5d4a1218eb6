// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package kube_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubeovn/sriov-network-operator/test/kube"
	"github.com/kubeovn/sriov-network-operator/test/kube/proxy"
)

// door is a way to the API server.
type door struct {
	*kubernetes.Clientset
	namespace string
}

func clientset(t *testing.T, c *rest.Config) *kubernetes.Clientset {
	t.Helper()
	cs, err := kubernetes.NewForConfig(c)
	if err != nil {
		t.Fatal(err)
	}
	return cs
}

// doors returns the way through a proxy and the one past it.
func doors(t *testing.T, p *proxy.Proxy) (through, past door) {
	t.Helper()
	c := plane.Cluster(t)
	namespace := c.Namespace(t)
	// What built-in controllers write to a namespace would be counted as events.
	return door{clientset(t, c.Behind(t, p)), namespace}, door{clientset(t, c.Config()), namespace}
}

const labelled = "test=yes"

func (d door) create(ctx context.Context, name string) error {
	_, err := d.CoreV1().ConfigMaps(d.namespace).Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"test": "yes"}},
	}, metav1.CreateOptions{})
	return err
}

func (d door) mustCreate(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := d.create(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
}

func (d door) exists(t *testing.T, name string) bool {
	t.Helper()
	_, err := d.CoreV1().ConfigMaps(d.namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return err == nil
}

// watch watches the test's ConfigMaps from now on.
func (d door) watch(t *testing.T) watch.Interface {
	t.Helper()
	list, err := d.CoreV1().ConfigMaps(d.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: labelled})
	if err != nil {
		t.Fatal(err)
	}
	w, err := d.CoreV1().ConfigMaps(d.namespace).Watch(t.Context(), metav1.ListOptions{LabelSelector: labelled, ResourceVersion: list.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return w
}

// next returns the next event in words, or "end".
func next(t *testing.T, w watch.Interface) string {
	t.Helper()
	select {
	case e, more := <-w.ResultChan():
		if !more {
			return "end"
		}
		if cm, ok := e.Object.(*corev1.ConfigMap); ok {
			return string(e.Type) + " " + cm.Name
		}
		return fmt.Sprintf("%s %v", e.Type, apierrors.ReasonForError(apierrors.FromObject(e.Object)))
	case <-time.After(20 * time.Second):
		return "nothing"
	}
}

// upto returns the next events in words.
func upto(t *testing.T, w watch.Interface, count int) []string {
	t.Helper()
	var got []string
	for range count {
		got = append(got, next(t, w))
	}
	return got
}

func TestAnAnswerIsTheProxysAndTheServerDoesNotSeeTheRequest(t *testing.T) {
	cases := map[string]struct {
		code int
		is   func(error) bool
	}{
		"a conflict":         {409, apierrors.IsConflict},
		"an expired version": {410, apierrors.IsResourceExpired},
		"an internal error":  {500, apierrors.IsInternalError},
		"no service":         {503, apierrors.IsServiceUnavailable},
		"a timeout":          {504, apierrors.IsTimeout},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := proxy.New(1, proxy.Rule{Match: proxy.Writes, Times: 1, Fault: proxy.Answer{Code: c.code}})
			through, past := doors(t, p)
			if err := through.create(t.Context(), "x"); !c.is(err) {
				t.Errorf("error is %v", err)
			}
			if past.exists(t, "x") {
				t.Error("the request came through")
			}
			if err := through.create(t.Context(), "x"); err != nil {
				t.Errorf("the second time gives %v", err)
			}
		})
	}
}

func TestAClientWaitsAsLongAs429Says(t *testing.T) {
	p := proxy.New(1, proxy.Rule{Match: proxy.Writes, Times: 1, Fault: proxy.Answer{Code: 429, RetryAfter: time.Second}})
	through, _ := doors(t, p)
	started := time.Now()
	if err := through.create(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(started); took < time.Second {
		t.Errorf("it took %v", took)
	}
	if got := p.Struck()["answer 429"]; got != 1 {
		t.Errorf("the fault struck %d times", got)
	}
}

func TestAWriteTakesEffectWhoseAnswerIsCutOff(t *testing.T) {
	for _, fault := range []proxy.Fault{proxy.Cut{}, proxy.Cut{Bytes: 20}, proxy.Drop{}} {
		t.Run(fault.String(), func(t *testing.T) {
			through, past := doors(t, proxy.New(1, proxy.Rule{Match: proxy.Writes, Times: 1, Fault: fault}))
			if err := through.create(t.Context(), "x"); err == nil {
				t.Error("the client does not notice")
			}
			if !past.exists(t, "x") {
				t.Error("the write took no effect")
			}
		})
	}
}

func TestAWatchFaultDoesWhatItSays(t *testing.T) {
	cases := map[string]struct {
		fault proxy.Fault
		want  []string
	}{
		"it is dropped":      {proxy.Drop{Events: 2}, []string{"ADDED a", "ADDED b", "end"}},
		"it ends":            {proxy.End{Events: 1}, []string{"ADDED a", "end"}},
		"it expires":         {proxy.Expire{Events: 2}, []string{"ADDED a", "ADDED b", "ERROR Expired", "end"}},
		"it expires at once": {proxy.Expire{}, []string{"ERROR Expired", "end"}},
		"it repeats":         {proxy.Repeat{}, []string{"ADDED a", "ADDED a", "ADDED b", "ADDED b", "ADDED c", "ADDED c"}},
		"it is late":         {proxy.Delay{By: 100 * time.Millisecond}, []string{"ADDED a", "ADDED b", "ADDED c"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := proxy.New(1, proxy.Rule{Match: proxy.Watches, Fault: c.fault})
			through, past := doors(t, p)
			w := through.watch(t)
			past.mustCreate(t, "a", "b", "c")
			if diff := cmp.Diff(c.want, upto(t, w, len(c.want))); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if p.Struck()[c.fault.String()] != 1 {
				t.Errorf("struck: %v", p.Struck())
			}
		})
	}
}

func TestADelayedEventIsLateAndTheNextNotTwice(t *testing.T) {
	const delay = 500 * time.Millisecond
	through, past := doors(t, proxy.New(1, proxy.Rule{Match: proxy.Watches, Fault: proxy.Delay{By: delay}}))
	w := through.watch(t)
	started := time.Now()
	past.mustCreate(t, "a", "b", "c", "d")
	written := time.Since(started)
	upto(t, w, 1)
	if took := time.Since(started); took < delay {
		t.Errorf("the first event came after %v", took)
	}
	upto(t, w, 3)
	if took := time.Since(started); took > written+3*delay {
		t.Errorf("the last of four events came after %v: the delays add up", took)
	}
}

func TestHeldEventsComeWhenTheyAreReleased(t *testing.T) {
	release := make(chan struct{})
	through, past := doors(t, proxy.New(1, proxy.Rule{Match: proxy.Watches, Fault: proxy.Hold{Until: release}}))
	held, free := through.watch(t), past.watch(t)
	past.mustCreate(t, "a", "b")
	upto(t, free, 2)
	select {
	case e := <-held.ResultChan():
		t.Fatalf("an event came: %v", e)
	case <-time.After(200 * time.Millisecond):
	}
	close(release)
	if diff := cmp.Diff([]string{"ADDED a", "ADDED b"}, upto(t, held, 2)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestADroppedConnectionTakesAllThatIsOnIt(t *testing.T) {
	p := proxy.New(1, proxy.Rule{Match: proxy.Watches, After: 1, Times: 1, Fault: proxy.Drop{Events: 1}})
	through, past := doors(t, p)
	bystander, target := through.watch(t), through.watch(t)
	past.mustCreate(t, "a")
	upto(t, target, 1)
	for _, w := range []watch.Interface{target, bystander} {
		eventually(t, func() error {
			if got := next(t, w); got != "end" {
				return errors.New("the watch goes on: " + got)
			}
			return nil
		})
	}
	if err := through.create(t.Context(), "b"); err != nil {
		t.Errorf("a new connection: %v", err)
	}
}

func TestRequestsAreCountedByWhoAsksForWhat(t *testing.T) {
	c := plane.Cluster(t)
	p := proxy.New(1)
	config := c.Behind(t, p)
	named := rest.CopyConfig(config)
	named.UserAgent = "operator/1"
	namespace := c.Namespace(t)
	operator, other := door{clientset(t, named), namespace}, door{clientset(t, config), namespace}
	operator.mustCreate(t, "a", "b")
	operator.exists(t, "a")
	other.exists(t, "b")
	w := operator.watch(t)
	if err := p.Quiet(t.Context(), 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	w.Stop()
	got := map[proxy.Key]int{}
	for key, n := range p.Counts() {
		if key.UserAgent == "operator/1" {
			got[key] = n
		}
	}
	want := map[proxy.Key]int{
		{Verb: "create", Resource: "configmaps", UserAgent: "operator/1"}: 2,
		{Verb: "get", Resource: "configmaps", UserAgent: "operator/1"}:    1,
		{Verb: "list", Resource: "configmaps", UserAgent: "operator/1"}:   1,
		{Verb: "watch", Resource: "configmaps", UserAgent: "operator/1"}:  1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if n := len(p.Requests()); n != 6 {
		t.Errorf("%d requests were seen: %v", n, p.Requests())
	}
	p.Reset()
	if n := len(p.Requests()); n != 0 {
		t.Errorf("%d requests are left", n)
	}
}

func TestIdentitiesPassTheProxy(t *testing.T) {
	c := plane.Cluster(t)
	config := c.Behind(t, proxy.New(1))
	if me := whoAmI(t, config); me.Username != "admin" {
		t.Errorf("the administrator is %s", me.Username)
	}
	if me := whoAmI(t, kube.As(config, "jane", nil, nil)); me.Username != "jane" {
		t.Errorf("jane is %s", me.Username)
	}
	namespace := c.Namespace(t)
	token := rest.CopyConfig(config)
	token.BearerToken = c.ServiceAccount(t, namespace, "default", "").BearerToken
	if me := whoAmI(t, token); me.Username != "system:serviceaccount:"+namespace+":default" {
		t.Errorf("the service account is %s", me.Username)
	}
}

// write writes a value until the API server has it, as a controller would.
func (d door) write(ctx context.Context, name, value string) error {
	for {
		err := d.set(ctx, name, value)
		if err == nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
	}
}

func (d door) set(ctx context.Context, name, value string) error {
	cm, err := d.CoreV1().ConfigMaps(d.namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return errors.Join(d.create(ctx, name), errors.New("not yet written"))
	}
	if err != nil {
		return err
	}
	cm.Data = map[string]string{"value": value}
	_, err = d.CoreV1().ConfigMaps(d.namespace).Update(ctx, cm, metav1.UpdateOptions{})
	return err
}

func TestAnInformerAndPatientWritersEndRightInAStorm(t *testing.T) {
	p := proxy.New(42, proxy.Storm()...)
	through, past := doors(t, p)
	factory := informers.NewSharedInformerFactoryWithOptions(through.Clientset, 0, informers.WithNamespace(through.namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = labelled }))
	store := factory.Core().V1().ConfigMaps().Informer().GetStore()
	factory.Start(t.Context().Done())

	const objects, rounds = 15, 4
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var writers sync.WaitGroup
	for i := range objects {
		writers.Go(func() {
			for round := range rounds {
				if err := through.write(ctx, fmt.Sprintf("cm-%d", i), fmt.Sprint(round)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	list, err := past.CoreV1().ConfigMaps(past.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: labelled})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, cm := range list.Items {
		want[cm.Name] = cm.Data["value"]
	}
	if len(want) != objects {
		t.Errorf("%d objects are there", len(want))
	}
	eventually(t, func() error {
		got := map[string]string{}
		for _, o := range store.List() {
			if cm, ok := o.(*corev1.ConfigMap); ok {
				got[cm.Name] = cm.Data["value"]
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("what the informer knows (-want +got):\n%s", diff)
		}
		return nil
	})
	times := 0
	for _, n := range p.Struck() {
		times += n
	}
	if kinds := slices.Sorted(maps.Keys(p.Struck())); len(kinds) < 5 || times < 20 {
		t.Errorf("it was no storm: faults struck %d times, and only these: %v", times, kinds)
	}
}

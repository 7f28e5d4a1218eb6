// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package drain_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/test/kube/proxy"
)

// fleet is many nodes of one pool, each with a daemon that asks for one drain, and with a
// pod that holds a VF which goes and one that holds a VF which stays.
type fleet struct {
	*rig
	limit int
	work  time.Duration

	mu sync.Mutex
	// pods are the ones that have to leave, by node.
	pods map[string]*corev1.Pod
	// held is each node's current-state, and asks whether its daemon asks.
	held map[string]string
	asks map[string]bool
	// broken are the laws that were broken.
	broken []string
	// free is since when each slot is free that a waiting node could have, and longest the
	// longest that one was.
	free    []time.Time
	longest time.Duration
	// mouths is how many daemons ask at a time, so that the API server has time for others.
	mouths chan struct{}
	// daemons are told of each change of current-state.
	daemons map[string]chan string
}

// newFleet makes the nodes and their pods. Their kubelet is played by kwok.
func newFleet(r *rig, count, limit int) *fleet {
	r.t.Helper()
	f := &fleet{
		rig: r, limit: limit, work: 50 * time.Millisecond, pods: map[string]*corev1.Pod{}, held: map[string]string{}, asks: map[string]bool{},
		daemons: map[string]chan string{}, mouths: make(chan struct{}, 4),
	}
	group, ctx := errgroup.WithContext(r.t.Context())
	group.SetLimit(16)
	for i := range count {
		name := fmt.Sprintf("%s-%03d", r.ns, i)
		f.daemons[name] = make(chan string, 64)
		group.Go(func() error {
			node := nodeOf(name, r.ns, true)
			node.Labels["p"] = "yes"
			goes, stays := podOn(r.ns, name, fmt.Sprintf("goes-%03d", i)), podOn(r.ns, name, fmt.Sprintf("stays-%03d", i))
			for _, o := range []client.Object{node, &sriovv1.SriovNetworkNodeState{ObjectMeta: r.meta(name)}, goes, stays} {
				if err := r.api.Create(ctx, o); err != nil {
					return err
				}
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			f.pods[name] = goes
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := r.api.DeleteAllOf(context.Background(), &corev1.Node{}, client.MatchingLabels{"test": r.ns}); err != nil {
			r.t.Error(err)
		}
	})
	return f
}

// watch follows objects of a kind until the context ends, and calls what is to be done
// with each change. An API server with much to do ends watches; each begins with what is
// there.
func (f *fleet) watch(ctx context.Context, list client.ObjectList, do func(watch.EventType, client.Object)) error {
	for ctx.Err() == nil {
		w, err := f.api.Watch(ctx, list, client.InNamespace(f.ns))
		if err != nil {
			return errors.Join(ctx.Err(), err)
		}
		for e := range w.ResultChan() {
			if o, ok := e.Object.(client.Object); ok {
				do(e.Type, o)
			}
		}
	}
	return nil
}

// onState checks the laws at a change of a node state, and wakes the node's daemon.
func (f *fleet) onState(_ watch.EventType, o client.Object) {
	held := o.GetAnnotations()[sriovv1.AnnotationCurrentState]
	f.mu.Lock()
	if _, mine := f.daemons[o.GetName()]; !mine || f.held[o.GetName()] == held {
		f.mu.Unlock()
		return
	}
	was := f.held[o.GetName()]
	f.held[o.GetName()] = held
	if held == sriovv1.Draining && was == sriovv1.DrainComplete {
		f.broken = append(f.broken, o.GetName()+" was called back while it was changed")
	}
	f.count()
	f.mu.Unlock()
	f.daemons[o.GetName()] <- held
}

// count checks how many are out, and for how long slots are free while nodes wait.
func (f *fleet) count() {
	out, waiting := 0, 0
	for name := range f.daemons {
		switch {
		case f.held[name] == sriovv1.Draining || f.held[name] == sriovv1.DrainComplete:
			out++
		case f.asks[name]:
			waiting++
		}
	}
	if out > f.limit {
		f.broken = append(f.broken, fmt.Sprintf("%d nodes are out, of %d", out, f.limit))
	}
	// The slot that is free for longest is the one that is taken.
	now, usable := time.Now(), max(0, min(f.limit-out, waiting))
	for len(f.free) < usable {
		f.free = append(f.free, now)
	}
	for len(f.free) > usable {
		f.longest = max(f.longest, now.Sub(f.free[0]))
		f.free = f.free[1:]
	}
}

// onPod checks that only pods leave that hold a VF which goes.
func (f *fleet) onPod(kind watch.EventType, o client.Object) {
	if o.GetDeletionTimestamp().IsZero() && kind != watch.Deleted {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.pods {
		if p.Name == o.GetName() {
			return
		}
	}
	f.broken = append(f.broken, "pod "+o.GetName()+" was made to leave and holds nothing that goes")
}

// daemon plays one node's daemon: it says who is affected, asks, changes the machine once
// it is free, and asks no more.
func (f *fleet) daemon(ctx context.Context, node string) error {
	f.mu.Lock()
	p := f.pods[node]
	f.mu.Unlock()
	f.mouths <- struct{}{}
	err := insist(func() error { return ask(ctx, f.api, f.stateOf(node), sriovv1.DrainRequired, p) })
	<-f.mouths
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.asks[node] = true
	f.mu.Unlock()
	for {
		select {
		case <-ctx.Done():
			n, state := &corev1.Node{}, f.stateOf(node)
			alone := context.WithoutCancel(ctx)
			err := errors.Join(f.api.Get(alone, client.ObjectKey{Name: node}, n), f.api.Get(alone, client.ObjectKeyFromObject(state), state))
			return fmt.Errorf("%s never had its turn: %w; it asks for %s and has %v (%w)", node, context.Cause(ctx),
				n.Annotations[sriovv1.AnnotationNodeDrain], state.Annotations, err)
		case held := <-f.daemons[node]:
			if held != sriovv1.DrainComplete {
				continue
			}
		}
		if err := f.api.Get(ctx, client.ObjectKeyFromObject(p), &corev1.Pod{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("%s is free and pod %s is still there (%w)", node, p.Name, err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(f.work):
		}
		f.mu.Lock()
		f.asks[node] = false
		f.mu.Unlock()
		return insist(func() error { return ask(ctx, f.api, f.stateOf(node), sriovv1.DrainIdle) })
	}
}

// insist repeats what loses against another writer.
func insist(do func() error) error {
	for {
		if err := do(); !apierrors.IsConflict(err) {
			return err
		}
	}
}

// run lets all daemons ask at once and returns when all have had their turn and are back.
func (f *fleet) run() {
	f.t.Helper()
	ctx, stop := context.WithTimeoutCause(f.t.Context(), 4*time.Minute, errors.New("four minutes have passed"))
	defer stop()
	watches, ended := errgroup.WithContext(ctx)
	watches.Go(func() error { return f.watch(ended, &sriovv1.SriovNetworkNodeStateList{}, f.onState) })
	watches.Go(func() error { return f.watch(ended, &corev1.PodList{}, f.onPod) })
	began := time.Now()
	daemons, failed := errgroup.WithContext(ended)
	for node := range f.daemons {
		daemons.Go(func() error { return f.daemon(failed, node) })
	}
	if err := daemons.Wait(); err != nil {
		f.t.Error(err)
	}
	took := time.Since(began)
	f.await("all nodes back", func() string {
		f.mu.Lock()
		defer f.mu.Unlock()
		for node := range f.daemons {
			if f.held[node] != sriovv1.DrainIdle {
				return node + " is " + f.held[node]
			}
		}
		return ""
	})
	stop()
	if err := watches.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		f.t.Error(err)
	}
	for _, b := range f.broken {
		f.t.Error(b)
	}
	f.t.Logf("%d nodes, %d at a time: %.1f s; the longest that a slot was free while a node waited: %v", len(f.daemons), f.limit, took.Seconds(), f.longest.Round(time.Millisecond))
}

// checkEnd checks that nothing is left behind.
func (f *fleet) checkEnd() {
	f.t.Helper()
	var nodes corev1.NodeList
	if err := f.api.List(f.t.Context(), &nodes, client.MatchingLabels{"test": f.ns}); err != nil {
		f.t.Fatal(err)
	}
	for i := range nodes.Items {
		if g := gate(&nodes.Items[i]); g != "" {
			f.t.Errorf("%s is left %s", nodes.Items[i].Name, g)
		}
	}
	if alive := f.alive(); len(alive) != len(f.daemons) {
		f.t.Errorf("%d pods are left, want the %d that hold what stays", len(alive), len(f.daemons))
	}
	f.await("the slots", func() string {
		var slots corev1.ConfigMap
		if err := f.api.Get(f.t.Context(), client.ObjectKey{Namespace: f.ns, Name: sriovv1.ConfigMapDrainSlots}, &slots); err != nil {
			return err.Error()
		}
		if len(slots.Data) > 0 {
			return fmt.Sprintf("with %v", slots.Data)
		}
		return ""
	})
}

// reaction is how long a slot may be free while a node waits. On a machine that does
// nothing else it is a tenth of this.
const reaction = 5 * time.Second

func TestTwoHundredDaemonsTakeTurns(t *testing.T) {
	f := newFleet(newOperator(t), 200, 10)
	five := intstr.FromString("5%")
	f.pool("p", &five)
	f.run()
	f.checkEnd()
	if f.longest > reaction {
		t.Errorf("a slot was free for %v while a node waited, want at most %v", f.longest, reaction)
	}
}

// TestTwoLeadersAtOnceGrantNoMoreTurnsThanOne is worse than any change of leaders: both
// believe that they lead, all the time.
func TestTwoLeadersAtOnceGrantNoMoreTurnsThanOne(t *testing.T) {
	r := newRig(t, plane.Cluster(t))
	late, _ := r.start()
	// What this one writes to nodes arrives late, after the other has gone on.
	late.Script(proxy.Rule{Match: proxy.On("sriovnetworknodestates", "patch"), Chance: 0.3, Fault: proxy.Delay{By: 400 * time.Millisecond}})
	r.start()
	f := newFleet(r, 60, 3)
	f.pool("p", atMost(3))
	f.run()
	f.checkEnd()
}

func TestNoStormBreaksTheLaws(t *testing.T) {
	r := newOperator(t)
	f := newFleet(r, 20, 4)
	f.pool("p", atMost(4))
	r.proxy.Script(proxy.Storm()...)
	f.run()
	f.checkEnd()
	if len(r.proxy.Struck()) == 0 {
		t.Error("there was no storm")
	}
}

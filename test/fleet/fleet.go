// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// Fleet is many nodes.
type Fleet struct {
	config    *rest.Config
	api       client.WithWatch
	namespace string
	now       func() time.Time
	laws      *Laws
	nodes     map[string]*Node
}

// New makes machines for nodes that are in the API, or will be. Namespace is the operator's, and that of the pods.
func New(config *rest.Config, namespace string, nodes []string, laws *Laws) (*Fleet, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, sriovv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("list the known kinds: %w", err)
		}
	}
	api, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	f := &Fleet{config: config, api: api, namespace: namespace, now: laws.terms.Now, laws: laws, nodes: map[string]*Node{}}
	for _, name := range nodes {
		if f.nodes[name], err = newNode(f, name); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// Node is one of the nodes.
func (f *Fleet) Node(name string) *Node { return f.nodes[name] }

// Run runs the nodes and watches them until the context ends. What they log, each with the node's name, may be much.
func (f *Fleet) Run(ctx context.Context, log *slog.Logger) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.watchStates(ctx) })
	group.Go(func() error { return f.watchNodes(ctx) })
	group.Go(func() error { return f.watchPods(ctx) })
	for name, n := range f.nodes {
		group.Go(func() error { return n.run(ctx, log.With("node", name)) })
	}
	err := group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// watchStates shows every change of a node state to the laws.
func (f *Fleet) watchStates(ctx context.Context) error {
	checks, inner := errgroup.WithContext(ctx)
	err := follow(inner, f, &sriovv1.SriovNetworkNodeStateList{}, func(l *sriovv1.SriovNetworkNodeStateList) error {
		f.laws.States(l.Items)
		return nil
	}, func(_ watch.EventType, s *sriovv1.SriovNetworkNodeState) error {
		f.laws.State(s)
		checks.Go(func() error { return f.checkSuccess(inner, s) })
		return nil
	})
	return errors.Join(err, checks.Wait())
}

// checkSuccess checks that a node that says so is as it should be.
func (f *Fleet) checkSuccess(ctx context.Context, s *sriovv1.SriovNetworkNodeState) error {
	n := f.nodes[s.Name]
	if n == nil || s.Status.SyncStatus != sriovv1.SyncStatusSucceeded || s.Status.ObservedGeneration != s.Generation {
		return nil
	}
	if why := Differs(s); why != "" {
		f.laws.Breach("%s is Succeeded in generation %d, and its status says otherwise: %s", s.Name, s.Generation, why)
	}
	why := n.lacks(s, "")
	if why == "" {
		return nil
	}
	// A machine is changed only for a spec that is there already: as long as the spec is the same, so is the machine.
	var now sriovv1.SriovNetworkNodeState
	if err := f.api.Get(ctx, client.ObjectKeyFromObject(s), &now); err != nil {
		return fmt.Errorf("read the node state of %s: %w", s.Name, err)
	}
	if now.Generation == s.Generation {
		f.laws.Breach("%s is Succeeded in generation %d, and its machine is otherwise: %s", s.Name, s.Generation, why)
	}
	return nil
}

// watchNodes shows every change of a node to the laws.
func (f *Fleet) watchNodes(ctx context.Context) error {
	return follow(ctx, f, &corev1.NodeList{}, func(l *corev1.NodeList) error {
		f.laws.Nodes(l.Items)
		return nil
	}, func(_ watch.EventType, n *corev1.Node) error {
		f.laws.Node(n)
		return nil
	})
}

// watchPods shows every change of a pod to its node's kubelet.
func (f *Fleet) watchPods(ctx context.Context) error {
	kubelets, inner := errgroup.WithContext(ctx)
	see := func(pod *corev1.Pod) {
		if n := f.nodes[pod.Spec.NodeName]; n != nil {
			kubelets.Go(func() error { return n.see(inner, pod) })
		}
	}
	err := follow(inner, f, &corev1.PodList{}, func(l *corev1.PodList) error {
		for i := range l.Items {
			see(&l.Items[i])
		}
		return nil
	}, func(kind watch.EventType, pod *corev1.Pod) error {
		if kind != watch.Deleted {
			see(pod)
		}
		return nil
	})
	return errors.Join(err, kubelets.Wait())
}

// follow shows all objects of a kind in the namespace, and from then on each change. An API server with much to do
// ends watches, and it begins anew.
func follow[L client.ObjectList, O client.Object](ctx context.Context, f *Fleet, list L, all func(L) error, one func(watch.EventType, O) error) error {
	for ctx.Err() == nil {
		if err := f.api.List(ctx, list, client.InNamespace(f.namespace)); err != nil {
			return errors.Join(context.Cause(ctx), err)
		}
		if err := all(list); err != nil {
			return err
		}
		from := &client.ListOptions{Namespace: f.namespace}
		from.Raw = from.AsListOptions()
		from.Raw.ResourceVersion = list.GetResourceVersion()
		w, err := f.api.Watch(ctx, list, from)
		if err != nil {
			return errors.Join(context.Cause(ctx), err)
		}
		for e := range w.ResultChan() {
			if o, ok := e.Object.(O); ok {
				if err := one(e.Type, o); err != nil {
					w.Stop()
					return err
				}
			}
		}
	}
	return context.Cause(ctx)
}

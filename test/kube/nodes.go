// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// kwok plays the kubelet of nodes with this annotation.
const (
	kwokAnnotation = "kwok.x-k8s.io/node"
	kwokValue      = "fake"
)

// writers is how many requests make nodes at a time.
const writers = 16

// makeNodes makes nodes node-0001, node-0002, ... after those that are there.
func (c *Cluster) makeNodes(ctx context.Context, count int, edit func(*corev1.Node)) ([]string, error) {
	existing := &metav1.PartialObjectMetadataList{}
	existing.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NodeList"))
	if err := c.client.List(ctx, existing); err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	names := make([]string, count)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for i := range count {
		node := newNode(fmt.Sprintf("node-%04d", len(existing.Items)+i+1))
		if edit != nil {
			edit(node)
		}
		names[i] = node.Name
		group.Go(func() error {
			if err := c.client.Create(ctx, node); err != nil {
				return fmt.Errorf("create node %s: %w", node.Name, err)
			}
			return nil
		})
	}
	return names, group.Wait()
}

// newNode returns a Linux worker that kwok looks after, where it runs.
func newNode(name string) *corev1.Node {
	has := corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("32"),
		corev1.ResourceMemory: resource.MustParse("256Gi"),
		corev1.ResourcePods:   resource.MustParse("110"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: name,
			Labels: map[string]string{
				corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64", corev1.LabelHostname: name,
				"node-role.kubernetes.io/worker": "",
			},
			Annotations: map[string]string{kwokAnnotation: kwokValue},
		},
		Status: corev1.NodeStatus{Capacity: has, Allocatable: has.DeepCopy()},
	}
}

// awaitNodes waits until nodes are Ready and, where a controller manager takes
// their taints away, have none.
func (c *Cluster) awaitNodes(ctx context.Context, names []string) error {
	waiting := make(map[string]bool, len(names))
	for _, name := range names {
		waiting[name] = true
	}
	// A watch from nowhere begins with what is there.
	nodes, err := c.client.Watch(ctx, &corev1.NodeList{})
	if err != nil {
		return fmt.Errorf("watch nodes: %w", err)
	}
	defer nodes.Stop()
	for event := range nodes.ResultChan() {
		if n, ok := event.Object.(*corev1.Node); ok && c.usable(n) {
			delete(waiting, n.Name)
		}
		if len(waiting) == 0 {
			return nil
		}
	}
	return errors.Join(fmt.Errorf("%d of %d nodes did not become ready: %w", len(waiting), len(names), cmp.Or(context.Cause(ctx), errWatchEnded)), c.Died())
}

// errWatchEnded is why there is no more news, where nothing better is known.
var errWatchEnded = errors.New("the watch ended")

// usable reports whether pods can be put on a node.
func (c *Cluster) usable(n *corev1.Node) bool {
	if c.options.controllerManager == present && len(n.Spec.Taints) > 0 {
		return false
	}
	return slices.ContainsFunc(n.Status.Conditions, func(x corev1.NodeCondition) bool {
		return x.Type == corev1.NodeReady && x.Status == corev1.ConditionTrue
	})
}

// admitPods gives a namespace the service account that its pods need. Where a
// controller manager does that, it waits for it.
func (c *Cluster) admitPods(ctx context.Context, namespace string) error {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "default"}}
	if c.options.controllerManager == absent {
		if err := c.client.Create(ctx, account); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create the default service account of %s: %w", namespace, err)
		}
		return nil
	}
	return await(ctx, "the default service account of "+namespace, c.others, func(ctx context.Context) error {
		if err := c.client.Get(ctx, client.ObjectKeyFromObject(account), account); err != nil {
			return fmt.Errorf("get it: %w", err)
		}
		return nil
	})
}

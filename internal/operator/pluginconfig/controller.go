// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package pluginconfig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/operator/nudge"
	"github.com/kubeovn/sriov-network-operator/internal/render/deviceplugin"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

// fieldManager is who writes, as the API records it.
const fieldManager = client.FieldOwner("sriov-network-operator")

// most is how long one item may take; a request without an answer is then given up and
// made again.
const most = 30 * time.Second

// A write waits for the configurations of more nodes: until none has come for gather, and
// no longer than patience. A write is of a whole ConfigMap for the API server, so that
// many nodes at once should be one, and so should many policies of which each is rendered
// before the next one comes: gather is how far apart they may be. Their nodes' specs do not
// wait for it.
const (
	gather   = 1200 * time.Millisecond
	patience = 10 * time.Second
)

// expectation is how long a write waits at most while all nodes are rendered anew. What
// their plugins read, and a patch of each node state about it, should not be in the way of
// the nodes' specs.
const expectation = 2 * time.Minute

// Options are the settings of the controllers.
type Options struct {
	// Namespace is where the ConfigMaps are.
	Namespace string
	// Workers is how many nodes are labelled at the same time.
	Workers int
	Now     func() time.Time
}

// Store holds what every node's device plugin shall read, and writes it. Make one with
// Add. It may be used from several goroutines.
type Store struct {
	client   client.Client
	options  Options
	recorder events.EventRecorder
	// empty is the text of a configuration without resources.
	empty string

	mu sync.Mutex
	// wanted is by node; empty for nodes that are not looked after. A node that is
	// missing keeps what is stored for it.
	wanted map[string]string
	// stored is what of wanted was written, by node.
	stored map[string]string
	// had are the nodes for which something was stored at some time.
	had map[string]bool
	// left are the nodes whose configuration could not be stored, each with why.
	left map[string]complaint
	// mine are the ConfigMaps as they were written last, until the cache shows them.
	mine map[string]written

	calm          nudge.Calm
	writes, nodes nudge.Queue
}

// written is a ConfigMap's data, and the version that it was written over.
type written struct {
	over, version string
	data          map[string]string
}

// Add puts the controllers for ConfigMaps and labels into the manager.
func Add(mgr ctrl.Manager, o Options) (*Store, error) {
	empty, err := deviceplugin.Config{}.JSON()
	if err != nil {
		return nil, err
	}
	s := &Store{
		client: mgr.GetClient(), options: o, empty: empty, recorder: mgr.GetEventRecorder(string(fieldManager)),
		wanted: map[string]string{}, stored: map[string]string{}, mine: map[string]written{}, had: map[string]bool{},
		calm: nudge.Calm{Quiet: gather, Patience: patience, Expectation: expectation},
	}
	all := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		s.writes.Add(sriovv1.ConfigMapDevicePluginConfig, gather)
		return nil
	})
	configMaps := ctrl.NewControllerManagedBy(mgr).Named("device-plugin-config").
		Watches(&corev1.ConfigMap{}, all, builder.WithPredicates(predicate.NewPredicateFuncs(func(o client.Object) bool {
			_, ok := shardOf(o.GetName())
			return ok
		}))).
		Watches(&sriovv1.SriovOperatorConfig{}, all, builder.WithPredicates(predicate.Funcs{
			UpdateFunc: func(e event.UpdateEvent) bool { return e.ObjectOld.GetUID() != e.ObjectNew.GetUID() },
		})).
		WatchesRawSource(s.writes.Source()).
		WithOptions(controller.Options{ReconciliationTimeout: most})
	if err := configMaps.Complete(reconcile.Func(s.reconcileConfigMaps)); err != nil {
		return nil, fmt.Errorf("add the controller of the device plugin's ConfigMaps: %w", err)
	}
	nodes := ctrl.NewControllerManagedBy(mgr).Named("device-plugin-node").
		Watches(&corev1.Node{}, &handler.EnqueueRequestForObject{}, builder.WithPredicates(predicate.Funcs{
			UpdateFunc: func(e event.UpdateEvent) bool {
				return e.ObjectOld.GetLabels()[sriovv1.LabelDevicePlugin] != e.ObjectNew.GetLabels()[sriovv1.LabelDevicePlugin]
			},
			DeleteFunc: func(event.DeleteEvent) bool { return false },
		})).
		WatchesRawSource(s.nodes.Source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: o.Workers, ReconciliationTimeout: most})
	if err := nodes.Complete(reconcile.Func(s.reconcileNode)); err != nil {
		return nil, fmt.Errorf("add the controller of the device plugin's nodes: %w", err)
	}
	return s, nil
}

// Put says what a node's device plugin shall read.
func (s *Store) Put(node, text string) { s.want(node, text) }

// Drop says that the operator does not look after a node: its key and its label go.
func (s *Store) Drop(node string) { s.want(node, "") }

// Expect says whether what many nodes' device plugins shall read is about to be put. It
// may be said again and again.
func (s *Store) Expect(many bool) {
	s.calm.Expect(many)
	if !many {
		s.writes.Add(sriovv1.ConfigMapDevicePluginConfig, gather)
	}
}

func (s *Store) want(node, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if was, ok := s.wanted[node]; ok && was == text {
		return
	}
	s.wanted[node] = text
	s.calm.Note(s.options.Now())
	s.writes.Add(sriovv1.ConfigMapDevicePluginConfig, gather)
}

// shardOf is the number of the shard that a ConfigMap has, by its name.
func shardOf(name string) (int, bool) {
	if name == sriovv1.ConfigMapDevicePluginConfig {
		return 0, true
	}
	text, ok := strings.CutPrefix(name, sriovv1.ConfigMapDevicePluginConfig+"-")
	n, err := strconv.Atoi(text)
	return n, ok && err == nil && deviceplugin.ConfigMapName(n) == name
}

// reconcileConfigMaps writes what differs in all ConfigMaps.
func (s *Store) reconcileConfigMaps(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	if left := s.calm.Wait(s.options.Now()); left > 0 {
		return reconcile.Result{RequeueAfter: left}, nil
	}
	present, err := s.present(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	owner, err := s.owner(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	if owner == nil && len(present) == 0 {
		// Without an operator configuration no device plugin is deployed that could read it,
		// and what is made while one goes would outlive it.
		return reconcile.Result{}, nil
	}
	wanted := s.snapshot()
	if len(wanted) == 0 {
		return reconcile.Result{}, nil // nothing is known yet
	}
	before := dataOf(present)
	s.remember(before)
	configs, err := s.configs(ctx, wanted, before)
	if err != nil {
		return reconcile.Result{}, err
	}
	shards := deviceplugin.Shard(configs, before)
	for i := range shards.Data {
		if err := s.ensure(ctx, i, present, owner); err != nil {
			return reconcile.Result{}, err
		}
	}
	plan, stuck := steps(before, shards.Data)
	for _, step := range plan {
		if err := s.patch(ctx, step, present); err != nil {
			return reconcile.Result{}, err
		}
	}
	for i := len(shards.Data); i < len(before); i++ {
		if err := s.delete(ctx, present[i]); err != nil {
			return reconcile.Result{}, err
		}
	}
	s.publish(wanted, complaints(wanted, shards.TooLarge, stuck))
	return reconcile.Result{}, nil
}

func (s *Store) snapshot() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.wanted)
}

// present are the ConfigMaps that there are, by number without gaps: one that is missing
// in the middle is nil.
func (s *Store) present(ctx context.Context) ([]*corev1.ConfigMap, error) {
	var list corev1.ConfigMapList
	if err := s.client.List(ctx, &list, client.InNamespace(s.options.Namespace)); err != nil {
		return nil, fmt.Errorf("list the ConfigMaps: %w", err)
	}
	var out []*corev1.ConfigMap
	for i := range list.Items {
		cm := &list.Items[i]
		n, ok := shardOf(cm.Name)
		if !ok {
			continue
		}
		for len(out) <= n {
			out = append(out, nil)
		}
		s.mu.Lock()
		if m, ok := s.mine[cm.Name]; ok && m.over == cm.ResourceVersion {
			cm.Data, cm.ResourceVersion = maps.Clone(m.data), m.version
		}
		s.mu.Unlock()
		out[n] = cm
	}
	return out, nil
}

func dataOf(configMaps []*corev1.ConfigMap) []map[string]string {
	out := make([]map[string]string, len(configMaps))
	for i, cm := range configMaps {
		if cm != nil {
			out[i] = cm.Data
		}
	}
	return out
}

// remember notes the nodes for which something is stored.
func (s *Store) remember(data []map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range data {
		for node := range one {
			s.had[node] = true
		}
	}
}

// owner is the reference to the operator configuration; nil when there is none.
func (s *Store) owner(ctx context.Context) (*metav1.OwnerReference, error) {
	var config sriovv1.SriovOperatorConfig
	err := s.client.Get(ctx, client.ObjectKey{Namespace: s.options.Namespace, Name: sriovv1.DefaultConfigName}, &config)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("read the operator configuration: %w", err)
	}
	var ref *metav1.OwnerReference
	if err == nil && config.DeletionTimestamp.IsZero() {
		ref = new(operand.OwnerReference(&config))
	}
	return ref, nil
}

// configs are the configurations of all nodes: what is wanted, and what is stored for
// nodes that exist and of which nothing is known yet.
func (s *Store) configs(ctx context.Context, wanted map[string]string, before []map[string]string) (map[string]string, error) {
	out := map[string]string{}
	for _, data := range before {
		for node, text := range data {
			if _, known := wanted[node]; known {
				continue
			}
			err := s.client.Get(ctx, client.ObjectKey{Name: node}, &corev1.Node{})
			if client.IgnoreNotFound(err) != nil {
				return nil, fmt.Errorf("look for node %s: %w", node, err)
			}
			if err == nil {
				out[node] = text
			}
		}
	}
	for node, text := range wanted {
		if text != "" {
			out[node] = text
		}
	}
	return out, nil
}

// publish notes what is stored now, and what is not, and lets nodes follow: their labels,
// and the conditions of their states.
func (s *Store) publish(wanted map[string]string, left map[string]complaint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for node, text := range wanted {
		_, not := left[node]
		was, had := s.stored[node]
		if !not && (!had || was != text) {
			s.stored[node] = text
			s.nodes.Add(node, 0)
		}
		if s.left[node] != left[node] {
			s.nodes.Add(node, 0)
		}
	}
	s.left = left
}

// shell is a ConfigMap without its data, as an apply sends it.
type shell struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
}

// ensure makes the ConfigMap and its owner.
func (s *Store) ensure(ctx context.Context, shard int, present []*corev1.ConfigMap, owner *metav1.OwnerReference) error {
	name := deviceplugin.ConfigMapName(shard)
	if shard < len(present) && present[shard] != nil && (owner == nil || metav1.IsControlledBy(present[shard], &metav1.ObjectMeta{UID: owner.UID})) {
		return nil
	}
	want := shell{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Namespace: s.options.Namespace, Name: name},
	}
	if owner != nil {
		want.OwnerReferences = []metav1.OwnerReference{*owner}
	}
	text, err := json.Marshal(want)
	if err != nil {
		return fmt.Errorf("marshal ConfigMap %s: %w", name, err)
	}
	got := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.options.Namespace, Name: name}}
	if err := s.client.Patch(ctx, got, client.RawPatch(types.ApplyPatchType, text), fieldManager, client.ForceOwnership); err != nil {
		return fmt.Errorf("apply ConfigMap %s: %w", name, err)
	}
	return nil
}

// changes is a merge patch of a ConfigMap's data; nil removes a key.
type changes struct {
	Data map[string]*string `json:"data"`
}

// patch writes one step.
func (s *Store) patch(ctx context.Context, step step, present []*corev1.ConfigMap) error {
	name := deviceplugin.ConfigMapName(step.shard)
	data := make(map[string]*string, len(step.set)+len(step.remove))
	for key, text := range step.set {
		data[key] = &text
	}
	for _, key := range step.remove {
		data[key] = nil
	}
	text, err := json.Marshal(changes{Data: data})
	if err != nil {
		return fmt.Errorf("marshal the changes of ConfigMap %s: %w", name, err)
	}
	got := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.options.Namespace, Name: name}}
	if err := s.client.Patch(ctx, got, client.RawPatch(types.MergePatchType, text), fieldManager); err != nil {
		return fmt.Errorf("write %d and remove %d keys of ConfigMap %s: %w", len(step.set), len(step.remove), name, err)
	}
	if step.shard < len(present) && present[step.shard] != nil {
		s.mu.Lock()
		s.mine[name] = written{over: present[step.shard].ResourceVersion, version: got.ResourceVersion, data: got.Data}
		s.mu.Unlock()
	}
	ctrl.LoggerFrom(ctx).Info("wrote configurations of the device plugin", "configMap", name, "set", len(step.set), "removed", len(step.remove))
	return nil
}

func (s *Store) delete(ctx context.Context, cm *corev1.ConfigMap) error {
	if cm == nil {
		return nil
	}
	if err := client.IgnoreNotFound(s.client.Delete(ctx, cm)); err != nil {
		return fmt.Errorf("delete ConfigMap %s: %w", cm.Name, err)
	}
	return nil
}

// labelled is a merge patch of labels; nil removes one.
type labelled struct {
	Metadata struct {
		Labels map[string]*string `json:"labels"`
	} `json:"metadata"`
}

// reconcileNode makes the label of a node say whether its device plugin should run, and
// its state whether the plugin's configuration could be stored, and which it is.
func (s *Store) reconcileNode(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	return reconcile.Result{}, errors.Join(s.mark(ctx, request.Name), s.tell(ctx, request.Name), s.label(ctx, request.Name))
}

func (s *Store) label(ctx context.Context, name string) error {
	want, known := s.labelOf(name)
	if !known {
		return nil
	}
	var node corev1.Node
	if err := s.client.Get(ctx, client.ObjectKey{Name: name}, &node); err != nil {
		return client.IgnoreNotFound(err)
	}
	if got, has := node.Labels[sriovv1.LabelDevicePlugin]; has == (want != nil) && (want == nil || got == *want) {
		return nil
	}
	if ours, err := s.ours(ctx, name); want == nil && (err != nil || !ours) {
		return err
	}
	var patch labelled
	patch.Metadata.Labels = map[string]*string{sriovv1.LabelDevicePlugin: want}
	text, err := json.Marshal(patch)
	if err != nil {
		return fmt.Errorf("marshal the label of node %s: %w", name, err)
	}
	target := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := client.IgnoreNotFound(s.client.Patch(ctx, target, client.RawPatch(types.MergePatchType, text), fieldManager)); err != nil {
		return fmt.Errorf("label node %s: %w", name, err)
	}
	return nil
}

// ours reports whether this operator ever looked after a node: it stored a configuration
// for it, or has a state of it. Only then is the node's label this operator's to take away;
// it may be that of an operator in another namespace, or of the existing one.
func (s *Store) ours(ctx context.Context, name string) (bool, error) {
	s.mu.Lock()
	had := s.had[name]
	s.mu.Unlock()
	if had {
		return true, nil
	}
	err := s.client.Get(ctx, client.ObjectKey{Namespace: s.options.Namespace, Name: name}, &sriovv1.SriovNetworkNodeState{})
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("read node state %s: %w", name, err)
	}
	return err == nil, nil
}

// labelOf is the label that a node should have, nil for none, and false when what is
// stored for it is not known yet.
func (s *Store) labelOf(node string) (*string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, ok := s.stored[node]
	label := sriovv1.LabelDevicePluginEnabled
	switch text {
	case "":
		return nil, ok
	case s.empty:
		label = sriovv1.LabelDevicePluginDisabled
	}
	return &label, ok
}

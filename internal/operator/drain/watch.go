// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package drain

import (
	"context"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// onlyChanged lets updates pass that change something which counts, and all that comes
// and goes.
func onlyChanged(counts func(was, is client.Object) bool) builder.Predicates {
	return builder.WithPredicates(predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool { return counts(e.ObjectOld, e.ObjectNew) },
	})
}

func specChanged(was, is client.Object) bool {
	return was.GetGeneration() != is.GetGeneration() || was.GetUID() != is.GetUID()
}

// nodeChanged leaves out the kubelet's signs of life.
func nodeChanged(was, is client.Object) bool {
	a, b := was.(*corev1.Node), is.(*corev1.Node) //nolint:errcheck // the watch is of nodes alone
	return a.UID != b.UID || a.Spec.Unschedulable != b.Spec.Unschedulable || healthOf(a) != healthOf(b) ||
		!maps.Equal(a.Labels, b.Labels) || differ(a, b, sriovv1.AnnotationNodeDrain, sriovv1.AnnotationCordoned)
}

// stateChanged leaves out what a daemon reports.
func stateChanged(was, is client.Object) bool {
	return was.GetUID() != is.GetUID() ||
		differ(was, is, sriovv1.AnnotationCurrentState, sriovv1.AnnotationUseExternalDrainer, sriovv1.AnnotationDrainSince)
}

// planChanged is stateChanged, or there are other pods that have to leave.
func planChanged(was, is client.Object) bool {
	a, b := was.(*sriovv1.SriovNetworkNodeState), is.(*sriovv1.SriovNetworkNodeState) //nolint:errcheck // the watch is of node states alone
	return stateChanged(was, is) || !equality.Semantic.DeepEqual(affected(a), affected(b))
}

func affected(state *sriovv1.SriovNetworkNodeState) []sriovv1.AffectedPod {
	if state.Status.Plan == nil {
		return nil
	}
	return state.Status.Plan.AffectedPods
}

func differ(was, is client.Object, annotations ...string) bool {
	return slices.ContainsFunc(annotations, func(key string) bool {
		return was.GetAnnotations()[key] != is.GetAnnotations()[key]
	})
}

// podWatches watch the pods of the nodes that are drained, and of no others: a cluster
// has many pods, and few of its nodes are drained at a time.
type podWatches struct {
	client *kubernetes.Clientset
	// news is called when a pod of a node came, went, or began to end.
	news func(node string)

	mu      sync.Mutex
	ctx     context.Context //nolint:containedctx // of the manager; watches begin at any time while it runs
	running map[string]context.CancelFunc
	over    sync.WaitGroup
}

func newPodWatches(client *kubernetes.Clientset, news func(node string)) *podWatches {
	return &podWatches{client: client, news: news, running: map[string]context.CancelFunc{}}
}

// Start lets watches begin, and returns when they all have ended.
func (w *podWatches) Start(ctx context.Context) error {
	w.mu.Lock()
	w.ctx = ctx
	w.mu.Unlock()
	<-ctx.Done()
	w.mu.Lock()
	w.ctx = nil
	w.mu.Unlock()
	w.over.Wait()
	return nil
}

// begin watches the pods of a node, unless that is done already.
func (w *podWatches) begin(node string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running[node] != nil || w.ctx == nil {
		return
	}
	ctx, stop := context.WithCancel(w.ctx)
	w.running[node] = stop
	pods := cache.NewListWatchFromClient(w.client.CoreV1().RESTClient(), "pods", metav1.NamespaceAll,
		fields.OneTermEqualSelector("spec.nodeName", node))
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: pods, ObjectType: &corev1.Pod{}, Transform: trimPod,
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { w.news(node) },
			UpdateFunc: func(was, is any) {
				if phaseChanged(was, is) {
					w.news(node)
				}
			},
			DeleteFunc: func(any) { w.news(node) },
		},
	})
	w.over.Go(func() { informer.RunWithContext(ctx) })
}

// end stops watching the pods of a node.
func (w *podWatches) end(node string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if stop := w.running[node]; stop != nil {
		stop()
		delete(w.running, node)
	}
}

// trimPod keeps of a pod how far its life is. The pods themselves are read anew.
func trimPod(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, ResourceVersion: pod.ResourceVersion, DeletionTimestamp: pod.DeletionTimestamp,
		},
		Status: corev1.PodStatus{Phase: pod.Status.Phase},
	}, nil
}

func phaseChanged(was, is any) bool {
	a, okA := was.(*corev1.Pod)
	b, okB := is.(*corev1.Pod)
	return !okA || !okB || a.UID != b.UID || a.Status.Phase != b.Status.Phase || a.DeletionTimestamp.IsZero() != b.DeletionTimestamp.IsZero()
}

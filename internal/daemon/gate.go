// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/rest"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// AwaitConfig says on a pod that it waits for its node, and returns once the node's
// daemon has taken that away. It is what the device plugin's pod begins with.
func AwaitConfig(ctx context.Context, config *rest.Config, namespace, pod string, log *slog.Logger) error {
	a, err := newAPI(config, "", namespace)
	if err != nil {
		return err
	}
	since, err := a.sayWaiting(ctx, pod, log)
	if err != nil {
		return err
	}
	ctx, done := context.WithCancelCause(ctx)
	log.Info("waiting until the node is configured", "pod", pod)
	a.watch(ctx, selection{from: a.core, resource: pods, namespace: namespace, fields: named(pod), kind: &corev1.Pod{}}, func(objects []any) {
		for _, o := range objects {
			p, ok := o.(*corev1.Pod)
			if !ok || waits(p) {
				continue
			}
			// What the watch begins with may be older than the annotation.
			if order, err := resourceversion.CompareResourceVersion(p.ResourceVersion, since); err == nil && order < 0 {
				continue
			}
			done(errReleased)
		}
	})
	if errors.Is(context.Cause(ctx), errReleased) {
		log.Info("the node is configured")
		return nil
	}
	return fmt.Errorf("wait for the node to be configured: %w", context.Cause(ctx))
}

type releasedError struct{}

func (releasedError) Error() string { return "released" }

// errReleased ends the watch.
var errReleased error = releasedError{}

// sayWaiting sets the annotation, for as long as it takes, and returns the version that
// the pod then has.
func (a *api) sayWaiting(ctx context.Context, pod string, log *slog.Logger) (string, error) {
	yes := sriovv1.AnnotationTrue
	text, err := json.Marshal(annotations{Metadata: annotated{Annotations: map[string]*string{sriovv1.AnnotationDevicePluginWaitConfig: &yes}}})
	if err != nil {
		return "", fmt.Errorf("marshal annotations: %w", err)
	}
	wait := firstWait
	for {
		var have metav1.PartialObjectMetadata
		answer, err := a.core.Patch(types.MergePatchType).Namespace(a.namespace).Resource(pods).Name(pod).
			Body(text).SetHeader("Accept", onlyMetadata).Timeout(requestTimeout).DoRaw(ctx)
		if err == nil {
			err = json.Unmarshal(answer, &have)
		}
		if err == nil {
			return have.ResourceVersion, nil
		}
		log.Warn("the pod cannot be annotated; trying again", "pod", pod, "err", err, "after", wait)
		if err := sleep(ctx, wait); err != nil {
			return "", fmt.Errorf("annotate pod %s: %w", pod, err)
		}
		wait = min(2*wait, longestWait)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

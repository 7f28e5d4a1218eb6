// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package drain

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// slots are who has a turn, in one ConfigMap that is changed by compare and swap. A
// leader that has lost its lease without knowing it grants nothing more: the swap fails.
// One that has granted a turn and did not write it to the node is understood by the
// next, which finds the node here.
//
// It is used by one worker alone.
type slots struct {
	client    client.Client
	live      client.Reader
	namespace string
	// config is the ConfigMap as it was read or written last; nil when that is not known.
	config *corev1.ConfigMap
}

// read returns which nodes have a turn, with the pool of each.
func (s *slots) read(ctx context.Context) (map[string]string, error) {
	if s.config != nil {
		return s.config.Data, nil
	}
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: sriovv1.ConfigMapDrainSlots}}
	err := s.live.Get(ctx, client.ObjectKeyFromObject(config), config)
	if apierrors.IsNotFound(err) {
		// An apply without data makes the object, and changes nothing in one that somebody
		// else has made meanwhile.
		err = s.client.Apply(ctx, corev1apply.ConfigMap(config.Name, config.Namespace), fieldManager)
		if err == nil {
			err = s.live.Get(ctx, client.ObjectKeyFromObject(config), config)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read ConfigMap %s: %w", config.Name, err)
	}
	s.config = config
	return config.Data, nil
}

// swap writes who has a turn from now on, unless somebody else has written since it was
// read: that is a conflict, and it has to be decided again.
func (s *slots) swap(ctx context.Context, holders map[string]string) error {
	if maps.Equal(s.config.Data, holders) {
		return nil
	}
	next := s.config.DeepCopy()
	next.Data = holders
	err := s.client.Update(ctx, next, fieldManager)
	if err == nil {
		s.config = next
		return nil
	}
	s.config = nil // whatever happened, it is read anew
	if apierrors.IsNotFound(err) {
		err = apierrors.NewConflict(corev1.Resource("configmaps"), next.Name, err)
	}
	ctrl.LoggerFrom(ctx).V(1).Info("who has a turn was written by somebody else, or not at all; deciding again", "cause", err.Error())
	return fmt.Errorf("write ConfigMap %s: %w", next.Name, err)
}

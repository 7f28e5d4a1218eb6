// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	render "github.com/kubeovn/sriov-network-operator/internal/render/network"
)

// presence says whether the cluster has the kind NetworkAttachmentDefinition.
type presence int32

const (
	// presenceUnknown lasts from the start until the kind's definition was looked for.
	presenceUnknown presence = iota
	presenceAbsent
	presenceServed
)

// board is where the present presence is written. It may be read from several
// goroutines.
type board struct{ value atomic.Int32 }

func (b *board) read() presence   { return presence(b.value.Load()) }
func (b *board) write(p presence) { b.value.Store(int32(p)) }

// syncTimeout bounds the wait for the first list of attachments. After it, the
// definition is looked at again.
const syncTimeout = time.Minute

// watcher begins and ends the watch of attachments.
type watcher struct {
	attachments *attachments
	board       *board
	// begin adds the attachments to what the networks' controller watches.
	begin func() error
	// all puts every network into the queue of its controller.
	all func(context.Context) error
}

// Reconcile looks at the kind's definition.
func (w *watcher) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	definition := &apiextensionsv1.CustomResourceDefinition{}
	err := w.attachments.cached.Get(ctx, types.NamespacedName{Name: definitionName}, definition)
	if err != nil && !apierrors.IsNotFound(err) {
		return ctrl.Result{}, fmt.Errorf("read the CustomResourceDefinition %s: %w", definitionName, err)
	}
	want, was := presenceAbsent, w.board.read()
	if err == nil && served(definition) {
		want = presenceServed
	}
	if want == was {
		return ctrl.Result{}, nil
	}
	if want == presenceServed {
		err = w.start(ctx)
	} else {
		w.board.write(presenceAbsent)
		err = w.end(ctx)
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	w.board.write(want)
	return ctrl.Result{}, w.all(ctx)
}

// start returns when the cache knows the attachments.
func (w *watcher) start(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	if _, err := w.attachments.cached.GetInformer(bounded, &render.NetworkAttachmentDefinition{}); err != nil {
		return fmt.Errorf("list the network attachments: %w", err)
	}
	if err := w.begin(); err != nil {
		return fmt.Errorf("watch the network attachments: %w", err)
	}
	return nil
}

// end stops the watch, which otherwise would ask again and again for a kind that
// is gone.
func (w *watcher) end(ctx context.Context) error {
	if err := w.attachments.cached.RemoveInformer(ctx, &render.NetworkAttachmentDefinition{}); err != nil {
		return fmt.Errorf("end the watch of network attachments: %w", err)
	}
	return nil
}

// served reports whether the API server serves the kind, and will go on to.
func served(d *apiextensionsv1.CustomResourceDefinition) bool {
	established := slices.ContainsFunc(d.Status.Conditions, func(c apiextensionsv1.CustomResourceDefinitionCondition) bool {
		return c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue
	})
	version := slices.ContainsFunc(d.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool {
		return v.Name == render.AttachmentVersion && v.Served
	})
	return established && version && d.DeletionTimestamp == nil
}

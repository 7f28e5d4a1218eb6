// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package nudge lets code put items into a controller's queue when no watch would:
// because something that is only in memory has changed.
package nudge

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Queue is a way into the queue of one controller. The zero Queue is ready; items
// that are added before the controller starts wait for it. It may be used from
// several goroutines.
type Queue struct {
	mu    sync.Mutex
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
	early map[reconcile.Request]time.Duration
}

// Source is what the controller watches.
func (q *Queue) Source() source.Source {
	return source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.queue = queue
		for request, after := range q.early {
			queue.AddAfter(request, after)
		}
		q.early = nil
		return nil
	})
}

// Add puts an item into the queue after some time. Items of one name that wait
// become one, at the earliest of their times.
func (q *Queue) Add(name string, after time.Duration) {
	request := reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.queue != nil {
		q.queue.AddAfter(request, after)
		return
	}
	if q.early == nil {
		q.early = map[reconcile.Request]time.Duration{}
	}
	if was, ok := q.early[request]; !ok || after < was {
		q.early[request] = after
	}
}

// AddFirst puts an item into the queue before all that Add and watches put there. An item
// that waits already moves to the front.
func (q *Queue) AddFirst(name string) {
	first := 1
	q.mu.Lock()
	queue, ok := q.queue.(priorityqueue.PriorityQueue[reconcile.Request])
	q.mu.Unlock()
	if !ok { // it has not started, or knows no first
		q.Add(name, 0)
		return
	}
	request := reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}
	queue.AddWithOpts(priorityqueue.AddOpts{Priority: &first}, request)
}

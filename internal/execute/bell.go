// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"
	"errors"
	"sync"

	"github.com/kubeovn/sriov-network-operator/internal/host"
)

// bell rings whenever something happens on the machine. It says that it is time
// to look again, and nothing else.
type bell struct {
	mu sync.Mutex
	// next is closed at the next ring; nil while nobody waits for one.
	next chan struct{}
	// broken is closed when nothing rings any more.
	broken chan struct{}
}

// errBroken says that waiting is useless: the machine tells of no more changes.
var errBroken = errors.New("the watch on the machine ended")

func listen(ctx context.Context, w host.Watcher) (*bell, error) {
	events, err := w.Watch(ctx)
	if err != nil {
		return nil, err
	}
	b := &bell{broken: make(chan struct{})}
	go func() {
		defer close(b.broken)
		for range events {
			b.ring()
		}
	}()
	return b, nil
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}

// wait is closed at the next ring. Take it before looking, so that nothing is
// missed in between.
func (b *bell) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

// until looks, and looks again at each ring, until what it looks for holds. When
// ctx ends first, or nothing will ring, the last view is the error's text.
func (b *bell) until(ctx context.Context, look func() (holds, error)) error {
	var end error
	for {
		ring := b.wait()
		h, err := look()
		switch {
		case err != nil:
			return err
		case h.yes:
			return nil
		case end != nil:
			return &TimeoutError{View: h.view, Err: end}
		}
		select {
		case <-ring:
		case <-b.broken:
			end = errBroken // one more look: what rang last may have been it
		case <-ctx.Done():
			end = ctx.Err()
		}
	}
}

// holds is whether a postcondition holds, and what the machine shows instead.
type holds struct {
	yes  bool
	view string
}

// TimeoutError is a postcondition that did not come true in time.
type TimeoutError struct {
	// View is what the machine showed last.
	View string
	Err  error
}

// Error says what the machine shows.
func (e *TimeoutError) Error() string {
	return "waited, and " + e.View + ": " + e.Err.Error()
}

// Unwrap is why the waiting ended.
func (e *TimeoutError) Unwrap() error { return e.Err }

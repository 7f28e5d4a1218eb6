// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"
	"errors"
	"sync"

	"github.com/kubeovn/sriov-network-operator/internal/host"
)

// bell rings when something happened on the machine. It says that it is time to
// look again, and nothing else. While nobody waits it does not read what happens:
// the kernel keeps that, and all of it together is one ring. Making VFs tells
// hundreds of events while the write that makes them is still under way.
type bell struct {
	// wanted holds one token when somebody has begun to wait.
	wanted chan struct{}
	// broken is closed when nothing rings any more.
	broken chan struct{}

	mu sync.Mutex
	// rings is how often it rang.
	rings int
	// next is closed at the next ring; nil while nobody waits for one.
	next chan struct{}
}

// errBroken says that waiting is useless: the machine tells of no more changes.
var errBroken = errors.New("the watch on the machine ended")

func listen(ctx context.Context, w host.Watcher) (*bell, error) {
	events, err := w.Watch(ctx)
	if err != nil {
		return nil, err
	}
	b := &bell{wanted: make(chan struct{}, 1), broken: make(chan struct{})}
	go b.run(ctx, events)
	return b, nil
}

func (b *bell) run(ctx context.Context, events <-chan []host.Event) {
	defer close(b.broken)
	for {
		select {
		case <-b.wanted:
		case <-ctx.Done():
			return
		}
		if _, open := <-events; !open {
			return
		}
		b.ring()
	}
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rings++
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}

// heard is how often it has rung by now.
func (b *bell) heard() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rings
}

// after is closed once the bell has rung more often than it had when heard was
// asked. Ask before looking: another one's ring in between then is not missed.
func (b *bell) after(heard int) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rings != heard {
		rung := make(chan struct{})
		close(rung)
		return rung
	}
	if b.next == nil {
		b.next = make(chan struct{})
		select {
		case b.wanted <- struct{}{}:
		default:
		}
	}
	return b.next
}

// until looks, and looks again at each ring, until what it looks for holds. When
// ctx ends first, or nothing will ring, the last view is the error's text.
func (b *bell) until(ctx context.Context, look func() (holds, error)) error {
	var end error
	for {
		heard := b.heard()
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
		case <-b.after(heard):
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

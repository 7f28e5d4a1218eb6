// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"io"
	"sync"
)

// queue is a pipe without a bound: putting never waits.
type queue struct {
	mu     sync.Mutex
	ready  *sync.Cond
	data   []byte
	closed bool
}

func newQueue() *queue {
	q := &queue{}
	q.ready = sync.NewCond(&q.mu)
	return q
}

// put adds bytes; none closes the queue behind what it holds.
func (q *queue) put(b []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.data = append(q.data, b...)
	q.closed = q.closed || len(b) == 0
	q.ready.Broadcast()
}

func (q *queue) close() { q.put(nil) }

// Read implements io.Reader.
func (q *queue) Read(b []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.data) == 0 && !q.closed {
		q.ready.Wait()
	}
	if len(q.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b, q.data)
	q.data = q.data[n:]
	return n, nil
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"net"
	"sync"
)

// outbox writes to a connection in the order of its callers, none of whom waits.
type outbox struct {
	conn net.Conn

	mu     sync.Mutex
	ready  *sync.Cond
	frames [][]byte
	closed bool
}

func newOutbox(conn net.Conn) *outbox {
	o := &outbox{conn: conn}
	o.ready = sync.NewCond(&o.mu)
	go o.write()
	return o
}

func (o *outbox) put(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.frames = append(o.frames, b)
	o.ready.Signal()
}

// close closes the connection, and drops what it has not taken.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.ready.Signal()
	_ = o.conn.Close()
}

// write ends when the outbox is closed or its connection breaks: then QEMU has
// ended, of which its process tells more.
func (o *outbox) write() {
	for {
		o.mu.Lock()
		for len(o.frames) == 0 && !o.closed {
			o.ready.Wait()
		}
		frames, closed := o.frames, o.closed
		o.frames = nil
		o.mu.Unlock()
		if closed {
			return
		}
		for _, b := range frames {
			if _, err := o.conn.Write(b); err != nil {
				return
			}
		}
	}
}

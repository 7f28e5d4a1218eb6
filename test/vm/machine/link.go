// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/kubeovn/sriov-network-operator/test/vm/protocol"
)

// errRestarted is the cause of a call's error when the agent began anew.
var errRestarted = errors.New("the guest's agent began anew")

// Guest is what a guest says of itself at the beginning of a session.
type Guest struct {
	BootID string // of the kernel that runs; another after each boot, the same in all clones of a snapshot
}

// link is the host's end of the agent's port.
type link struct {
	exchange string // path of the exchange disk
	turn     chan struct{}
	dead     <-chan struct{}
	death    func() error

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced when what follows changes
	hostname string
	session  uint64 // the last one begun
	ready    bool   // the agent has welcomed the session
	guest    Guest
	failure  string // why the agent refused the session
	lastCall uint32
	calls    map[uint32]*Process

	outMu sync.Mutex
	out   *outbox
}

// newLink returns a link that is not attached yet.
func newLink(exchange string, dead <-chan struct{}, death func() error) *link {
	return &link{
		exchange: exchange, dead: dead, death: death,
		turn: make(chan struct{}, 1), changed: make(chan struct{}), calls: map[uint32]*Process{},
	}
}

// attach makes the link use a connection to the port instead of the one before.
func (l *link) attach(conn net.Conn) {
	out := newOutbox(conn)
	l.outMu.Lock()
	before := l.out
	l.out = out
	l.outMu.Unlock()
	if before != nil {
		before.close()
	}
	go l.read(conn)
}

func (l *link) outbox() *outbox {
	l.outMu.Lock()
	defer l.outMu.Unlock()
	return l.out
}

func (l *link) close() {
	l.outbox().close()
	l.failCalls(net.ErrClosed)
}

// greet begins a session. The agent answers when it runs; one that starts later
// is greeted when it announces itself.
func (l *link) greet(hostname string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hostname = hostname
	return l.greetLocked()
}

func (l *link) greetLocked() error {
	l.session++
	l.ready, l.failure = false, ""
	hello := protocol.Hello{Session: l.session, UnixNano: time.Now().UnixNano(), Hostname: l.hostname}
	b, err := protocol.EncodeJSON(protocol.KindHello, 0, hello)
	if err != nil {
		return err
	}
	l.enqueue(b)
	return nil
}

// reset fails what is under way: the guest that did it is gone.
func (l *link) reset(cause error) {
	l.mu.Lock()
	l.ready = false
	l.mu.Unlock()
	l.failCalls(cause)
}

func (l *link) failCalls(cause error) {
	l.mu.Lock()
	calls := l.calls
	l.calls = map[uint32]*Process{}
	l.mu.Unlock()
	for _, p := range calls {
		p.finish(protocol.Result{}, cause)
	}
}

// await waits for a session with a guest other than the one with the boot id after.
func (l *link) await(ctx context.Context, after string) (Guest, error) {
	for {
		l.mu.Lock()
		ready, guest, failure, changed := l.ready, l.guest, l.failure, l.changed
		l.mu.Unlock()
		if failure != "" {
			return Guest{}, fmt.Errorf("begin a session with the agent: %s", failure)
		}
		if ready && guest.BootID != after {
			return guest, nil
		}
		select {
		case <-changed:
		case <-l.dead:
			return Guest{}, l.death()
		case <-ctx.Done():
			return Guest{}, fmt.Errorf("wait for the guest's agent: %w", context.Cause(ctx))
		}
	}
}

func (l *link) read(conn net.Conn) {
	frames := protocol.NewReader(conn)
	for {
		f, err := frames.Next()
		if err != nil {
			return // QEMU has ended, of which its process tells more
		}
		if f.Kind == protocol.KindWelcome {
			l.welcome(f)
			continue
		}
		l.mu.Lock()
		p := l.calls[f.ID]
		if f.Kind == protocol.KindResult {
			delete(l.calls, f.ID)
		}
		l.mu.Unlock()
		if p != nil {
			p.frame(f)
		}
	}
}

func (l *link) welcome(f protocol.Frame) {
	var w protocol.Welcome
	if json.Unmarshal(f.Body, &w) != nil {
		return // a damaged one: not meant for this reader
	}
	if w.Session == 0 {
		l.reset(errRestarted)
		l.mu.Lock()
		defer l.mu.Unlock()
		// The encoding of a Hello has no way to go wrong.
		_ = l.greetLocked()
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.Session != l.session {
		return
	}
	l.ready, l.failure, l.guest = w.Error == "", w.Error, Guest{BootID: w.BootID}
	close(l.changed)
	l.changed = make(chan struct{})
}

// enqueue hands bytes to the connection; it never waits for the guest.
func (l *link) enqueue(b []byte) { l.outbox().put(b) }

// call begins a call in the session there is, or the next one.
func (l *link) call(ctx context.Context, c protocol.Call, stdout, stderr io.Writer) (*Process, error) {
	for {
		if _, err := l.await(ctx, ""); err != nil {
			return nil, err
		}
		p := &Process{link: l, stdout: stdout, stderr: stderr, done: make(chan struct{})}
		begun, err := l.begin(p, c)
		if err != nil || begun {
			return p, err
		}
	}
}

// begin sends a call unless the session has just ended: the next session's
// agent would not answer to a call that was sent before its Hello.
func (l *link) begin(p *Process, c protocol.Call) (begun bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ready {
		return false, nil
	}
	l.lastCall++
	p.id = l.lastCall
	b, err := protocol.EncodeJSON(protocol.KindCall, p.id, c)
	if err != nil {
		return false, err
	}
	l.calls[p.id] = p
	l.enqueue(b)
	return true, nil
}

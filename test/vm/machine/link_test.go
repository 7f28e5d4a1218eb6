// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/kubeovn/sriov-network-operator/test/vm/protocol"
)

// guestEnd is the guest's end of a link, of which a test plays the agent.
type guestEnd struct {
	t      *testing.T
	conn   net.Conn
	frames *protocol.Reader
}

func newTestLink(t *testing.T) (*link, *guestEnd, chan struct{}) {
	t.Helper()
	host, guest := net.Pipe()
	dead := make(chan struct{})
	l := newLink("", dead, func() error { return &DeadError{Reason: "for a test"} })
	l.attach(host)
	t.Cleanup(func() { _ = guest.Close(); l.close() })
	return l, &guestEnd{t, guest, protocol.NewReader(guest)}, dead
}

// next returns the next frame, which has to be of a kind.
func (g *guestEnd) next(kind protocol.Kind) protocol.Frame {
	g.t.Helper()
	if err := g.conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		g.t.Fatal(err)
	}
	f, err := g.frames.Next()
	if err != nil || f.Kind != kind {
		g.t.Fatalf("frame of kind %d, %v; want kind %d", f.Kind, err, kind)
	}
	return f
}

func (g *guestEnd) write(kind protocol.Kind, id uint32, v any) {
	g.t.Helper()
	b, err := protocol.EncodeJSON(kind, id, v)
	if err == nil {
		_, err = g.conn.Write(b)
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

// welcome answers the host's Hello.
func (g *guestEnd) welcome(bootID string) {
	g.t.Helper()
	var hello protocol.Hello
	if err := json.Unmarshal(g.next(protocol.KindHello).Body, &hello); err != nil {
		g.t.Fatal(err)
	}
	g.write(protocol.KindWelcome, 0, protocol.Welcome{Session: hello.Session, BootID: bootID})
}

func begin(t *testing.T, l *link) *Process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	p, err := l.call(ctx, protocol.Call{Command: &protocol.Command{Argv: []string{"true"}}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAnAgentThatAnnouncesItselfIsGreetedAndServes(t *testing.T) {
	l, guest, _ := newTestLink(t)
	guest.write(protocol.KindWelcome, 0, protocol.Welcome{BootID: "one"})
	guest.welcome("one")
	p := begin(t, l)
	guest.write(protocol.KindResult, guest.next(protocol.KindCall).ID, protocol.Result{Exit: 5})
	out, err := p.Wait(t.Context())
	if err != nil || out.ExitCode != 5 {
		t.Errorf("result is %+v, %v", out, err)
	}
}

func TestAResetFailsCallsAndTheNextOnesWaitForTheNextBoot(t *testing.T) {
	l, guest, _ := newTestLink(t)
	if err := l.greet(""); err != nil {
		t.Fatal(err)
	}
	guest.welcome("one")
	p := begin(t, l)
	guest.next(protocol.KindCall)
	l.reset(ErrReset)
	if _, err := p.Wait(t.Context()); !errors.Is(err, ErrReset) {
		t.Errorf("the call that was under way gives %v", err)
	}

	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := l.call(short, protocol.Call{}, nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call to a guest that boots gives %v", err)
	}

	// The frame that the reset cut, and then the next boot's agent.
	if _, err := guest.conn.Write([]byte{byte(protocol.KindStdout), 0, 0}); err != nil {
		t.Fatal(err)
	}
	guest.write(protocol.KindWelcome, 0, protocol.Welcome{BootID: "two"})
	guest.welcome("two")
	got, err := l.await(t.Context(), "one")
	if err != nil || got.BootID != "two" {
		t.Errorf("the guest is %+v, %v", got, err)
	}
	p = begin(t, l)
	guest.write(protocol.KindResult, guest.next(protocol.KindCall).ID, protocol.Result{})
	if _, err := p.Wait(t.Context()); err != nil {
		t.Errorf("a call to the next boot gives %v", err)
	}
}

func TestTheEndOfTheMachineEndsAllThatWaits(t *testing.T) {
	l, guest, dead := newTestLink(t)
	if err := l.greet(""); err != nil {
		t.Fatal(err)
	}
	guest.welcome("one")
	p := begin(t, l)
	close(dead)
	var want *DeadError
	if _, err := p.Wait(t.Context()); !errors.As(err, &want) {
		t.Errorf("a call gives %v", err)
	}
	if _, err := l.await(t.Context(), "one"); !errors.As(err, &want) {
		t.Errorf("waiting for a boot gives %v", err)
	}
}

func TestAnAgentThatCannotBeginASessionSaysWhy(t *testing.T) {
	l, guest, _ := newTestLink(t)
	if err := l.greet(""); err != nil {
		t.Fatal(err)
	}
	var hello protocol.Hello
	if err := json.Unmarshal(guest.next(protocol.KindHello).Body, &hello); err != nil {
		t.Fatal(err)
	}
	guest.write(protocol.KindWelcome, 0, protocol.Welcome{Session: hello.Session, Error: "set clock: not permitted"})
	if _, err := l.await(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "set clock: not permitted") {
		t.Errorf("error is %v", err)
	}
}

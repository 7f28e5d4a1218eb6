// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"encoding/json"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/test/vm/protocol"
)

// session is the calls between one Hello and the next.
type session struct {
	server *server

	mu       sync.Mutex
	ended    bool
	commands map[uint32]*command // those that run
}

func newSession(s *server) *session {
	return &session{server: s, commands: map[uint32]*command{}}
}

// frame carries out one frame of the host. It never waits for a command.
func (s *session) frame(ctx context.Context, f protocol.Frame) {
	switch f.Kind {
	case protocol.KindCall:
		s.call(ctx, f)
	case protocol.KindStdin:
		if c := s.command(f.ID); c != nil {
			c.stdin.put(f.Body)
		}
	case protocol.KindSignal:
		var signal protocol.Signal
		if c := s.command(f.ID); c != nil && json.Unmarshal(f.Body, &signal) == nil {
			c.signal(unix.Signal(signal.Number), signal.Scope)
		}
	case protocol.KindHello: // begins a session: the server's
	case protocol.KindWelcome, protocol.KindStdout, protocol.KindStderr, protocol.KindResult: // the agent's own to send
	}
}

func (s *session) call(ctx context.Context, f protocol.Frame) {
	var call protocol.Call
	if err := json.Unmarshal(f.Body, &call); err != nil {
		s.result(f.ID, protocol.Result{Error: "read call: " + err.Error()})
		return
	}
	switch {
	case call.Command != nil:
		s.start(ctx, f.ID, *call.Command)
	case call.Receive != nil:
		go s.finish(f.ID, func() (protocol.Result, error) { return s.server.exchange.receive(*call.Receive) })
	case call.Send != nil:
		go s.finish(f.ID, func() (protocol.Result, error) { return s.server.exchange.send(*call.Send) })
	default:
		s.result(f.ID, protocol.Result{Error: "call names nothing to do"})
	}
}

func (s *session) start(ctx context.Context, id uint32, spec protocol.Command) {
	c, err := startCommand(ctx, spec, func(kind protocol.Kind, b []byte) { s.emit(kind, id, b) })
	if err != nil {
		s.result(id, protocol.Result{Error: err.Error()})
		return
	}
	s.mu.Lock()
	s.commands[id] = c
	s.mu.Unlock()
	go s.finish(id, func() (protocol.Result, error) {
		defer func() {
			s.mu.Lock()
			delete(s.commands, id)
			s.mu.Unlock()
		}()
		return c.wait()
	})
}

func (s *session) finish(id uint32, work func() (protocol.Result, error)) {
	r, err := work()
	if err != nil {
		r.Error = err.Error()
	}
	s.result(id, r)
}

func (s *session) result(id uint32, r protocol.Result) {
	if s.over() {
		return
	}
	// Nobody is left to hear of an error of the port; the reader meets it too.
	_ = s.server.send(protocol.EncodeJSON(protocol.KindResult, id, r))
}

func (s *session) emit(kind protocol.Kind, id uint32, b []byte) {
	if s.over() {
		return
	}
	_ = s.server.send(protocol.Encode(protocol.Frame{Kind: kind, ID: id, Body: b}))
}

func (s *session) command(id uint32) *command {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commands[id]
}

func (s *session) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// end silences the session and kills its commands.
func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for _, c := range s.commands {
		c.signal(unix.SIGKILL, protocol.ScopeGroup)
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// errDisconnected is the cause of an error that QEMU's end explains.
var errDisconnected = errors.New("QEMU closed the channel")

// qmpEvent is something that QEMU tells unasked.
type qmpEvent struct {
	Name string
	Data json.RawMessage
}

// qmp is QEMU's control channel. One command is under way at a time.
type qmp struct {
	conn    io.ReadWriteCloser
	replies chan qmpReply
	onEvent func(qmpEvent) // called by the reading goroutine; must not wait

	turn sync.Mutex
}

type qmpReply struct {
	Return json.RawMessage
	Error  *struct {
		Class string
		Desc  string
	}
}

type qmpCommand struct {
	Execute   string `json:"execute"`
	Arguments any    `json:"arguments,omitempty"`
}

func newQMP(conn io.ReadWriteCloser, onEvent func(qmpEvent)) *qmp {
	q := &qmp{conn: conn, replies: make(chan qmpReply, 1), onEvent: onEvent}
	go q.read()
	return q
}

// read ends, and closes replies, when QEMU does.
func (q *qmp) read() {
	defer close(q.replies)
	lines := json.NewDecoder(bufio.NewReader(q.conn))
	for {
		var line struct {
			qmpReply
			Event string
			Data  json.RawMessage
			QMP   json.RawMessage
		}
		if err := lines.Decode(&line); err != nil {
			return
		}
		switch {
		case line.Event != "":
			q.onEvent(qmpEvent{Name: line.Event, Data: line.Data})
		case line.QMP == nil:
			q.replies <- line.qmpReply
		}
	}
}

// run carries out a command. A cancelled command leaves the channel unusable:
// the machine is expected to be closed then.
func (q *qmp) run(ctx context.Context, name string, arguments any) error {
	q.turn.Lock()
	defer q.turn.Unlock()
	b, err := json.Marshal(qmpCommand{Execute: name, Arguments: arguments})
	if err != nil {
		return fmt.Errorf("QMP %s: %w", name, err)
	}
	if _, err := q.conn.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("QMP %s: %w: %w", name, errDisconnected, err)
	}
	select {
	case reply, open := <-q.replies:
		if !open {
			return fmt.Errorf("QMP %s: %w", name, errDisconnected)
		}
		if reply.Error != nil {
			return fmt.Errorf("QMP %s: %s: %s", name, reply.Error.Class, reply.Error.Desc)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("QMP %s: %w", name, context.Cause(ctx))
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/kubeovn/sriov-network-operator/test/vm/protocol"
)

// Push writes a file of the guest. It replaces a file of that name as a whole,
// at once; the folder has to exist.
func (m *Machine) Push(ctx context.Context, path string, mode fs.FileMode, content io.Reader) error {
	release, err := m.agent.takeExchange(ctx)
	if err != nil {
		return fmt.Errorf("push %s: %w", path, err)
	}
	defer release()
	for piece := (protocol.Piece{First: true}); !piece.Last; piece.First = false {
		n, err := m.agent.fill(io.LimitReader(content, protocol.ExchangeBytes))
		piece.Last = n < protocol.ExchangeBytes
		r := protocol.Receive{Path: path, Mode: mode.Perm(), Bytes: n, Piece: piece}
		if err == nil {
			err = m.agent.carry(ctx, protocol.Call{Receive: &r}, nil)
		}
		if err != nil {
			return fmt.Errorf("push %s: %w", path, err)
		}
	}
	return nil
}

// PushFile copies a file of the host, with its mode, to a path of the guest, as Push does.
func (m *Machine) PushFile(ctx context.Context, from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("push %s: %w", to, err)
	}
	defer func() { _ = f.Close() }() // it is only read
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("push %s: %w", to, err)
	}
	return m.Push(ctx, to, info.Mode(), f)
}

// Pull writes the content of a guest's file to w.
func (m *Machine) Pull(ctx context.Context, path string, w io.Writer) error {
	release, err := m.agent.takeExchange(ctx)
	if err != nil {
		return fmt.Errorf("pull %s: %w", path, err)
	}
	defer release()
	for offset := int64(0); ; {
		var r protocol.Result
		err := m.agent.carry(ctx, protocol.Call{Send: &protocol.Send{Path: path, Offset: offset}}, &r)
		if err == nil {
			err = m.agent.empty(w, int64(r.Bytes))
		}
		if err != nil {
			return fmt.Errorf("pull %s: %w", path, err)
		}
		if r.Bytes < protocol.ExchangeBytes {
			return nil
		}
		offset += int64(r.Bytes)
	}
}

// takeExchange waits for the exchange disk to be free.
func (l *link) takeExchange(ctx context.Context) (release func(), err error) {
	select {
	case l.turn <- struct{}{}:
		return func() { <-l.turn }, nil
	case <-l.dead:
		return nil, l.death()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// carry makes a call and waits for its result.
func (l *link) carry(ctx context.Context, c protocol.Call, result *protocol.Result) error {
	p, err := l.call(ctx, c, nil, nil)
	if err != nil {
		return err
	}
	if _, err := p.Wait(ctx); err != nil {
		return err
	}
	if result != nil {
		*result = p.result
	}
	return nil
}

// fill writes what r yields to the exchange disk and returns how much it was.
func (l *link) fill(r io.Reader) (int, error) {
	disk, err := os.OpenFile(l.exchange, os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(disk, r)
	return int(n), errors.Join(err, disk.Close())
}

// empty copies the first n bytes of the exchange disk to w.
func (l *link) empty(w io.Writer, n int64) error {
	disk, err := os.Open(l.exchange)
	if err != nil {
		return err
	}
	_, err = io.CopyN(w, disk, n)
	return errors.Join(err, disk.Close())
}

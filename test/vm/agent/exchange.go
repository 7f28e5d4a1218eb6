// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/test/vm/protocol"
)

// blockBytes is what direct access to the exchange disk is aligned to.
const blockBytes = 4096

// exchange moves files through the exchange disk. It goes around the guest's
// page cache, which would hold what the disk held before.
type exchange struct {
	mu     sync.Mutex
	disk   *os.File
	buffer []byte // page-aligned, as O_DIRECT asks
}

func openExchange() (*exchange, error) {
	name, err := findByAttribute("/sys/block/vd*/serial", protocol.ExchangeSerial)
	if err != nil {
		return nil, err
	}
	disk, err := os.OpenFile("/dev/"+name, os.O_RDWR|unix.O_DIRECT, 0)
	if err != nil {
		return nil, fmt.Errorf("open exchange disk: %w", err)
	}
	buffer, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("allocate the exchange buffer: %w", err)
	}
	return &exchange{disk: disk, buffer: buffer}, nil
}

// receive appends a piece from the disk to a file beside its final name, which
// the last piece gives it. A program that runs under that name goes on running.
func (e *exchange) receive(r protocol.Receive) (protocol.Result, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	partial := r.Path + ".part"
	flags := os.O_WRONLY | os.O_APPEND | os.O_CREATE
	if r.Piece.First {
		flags |= os.O_TRUNC
	}
	file, err := os.OpenFile(partial, flags, 0o600)
	if err != nil {
		return protocol.Result{}, fmt.Errorf("receive %s: %w", r.Path, err)
	}
	err = errors.Join(e.copyOut(file, r.Bytes), file.Chmod(r.Mode), file.Close())
	if err == nil && r.Piece.Last {
		err = os.Rename(partial, r.Path)
	}
	if err != nil {
		return protocol.Result{}, fmt.Errorf("receive %s: %w", r.Path, errors.Join(err, os.Remove(partial)))
	}
	return protocol.Result{}, nil
}

func (e *exchange) copyOut(w io.Writer, size int) error {
	for offset := 0; offset < size; offset += len(e.buffer) {
		n := min(size-offset, len(e.buffer))
		if _, err := e.disk.ReadAt(e.buffer[:roundUp(n)], int64(offset)); err != nil {
			return fmt.Errorf("read exchange disk: %w", err)
		}
		if _, err := w.Write(e.buffer[:n]); err != nil {
			return err
		}
	}
	return nil
}

// send puts a file, from an offset on, on the disk. It follows symbolic links
// and reads files that do not tell their size, such as those of /proc.
func (e *exchange) send(s protocol.Send) (protocol.Result, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	file, err := os.Open(s.Path)
	if err != nil {
		return protocol.Result{}, fmt.Errorf("send: %w", err)
	}
	defer func() { _ = file.Close() }() // it is only read
	info, err := file.Stat()
	if err != nil {
		return protocol.Result{}, fmt.Errorf("send %s: %w", s.Path, err)
	}
	if info.IsDir() {
		return protocol.Result{}, &fs.PathError{Op: "send", Path: s.Path, Err: unix.EISDIR}
	}
	section := io.NewSectionReader(file, s.Offset, protocol.ExchangeBytes)
	n, err := e.copyIn(section)
	if err != nil {
		return protocol.Result{}, fmt.Errorf("send %s: %w", s.Path, err)
	}
	return protocol.Result{Bytes: n, Size: info.Size()}, nil
}

func (e *exchange) copyIn(r io.Reader) (int, error) {
	total := 0
	for {
		n, err := io.ReadFull(r, e.buffer)
		if n > 0 {
			if _, werr := e.disk.WriteAt(e.buffer[:roundUp(n)], int64(total)); werr != nil {
				return 0, fmt.Errorf("write exchange disk: %w", werr)
			}
			total += n
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return total, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

func roundUp(n int) int { return (n + blockBytes - 1) / blockBytes * blockBytes }

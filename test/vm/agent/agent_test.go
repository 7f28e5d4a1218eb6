// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeovn/sriov-network-operator/test/vm/protocol"
)

func TestQueueYieldsWhatWasPutThenEnds(t *testing.T) {
	q := newQueue()
	go func() {
		for i := range 100 {
			q.put(fmt.Appendf(nil, "%d,", i))
		}
		q.close()
	}()
	got, err := io.ReadAll(q)
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	for i := range 100 {
		fmt.Fprintf(&want, "%d,", i)
	}
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
}

func TestOutputIsCutIntoFrames(t *testing.T) {
	var got []int
	w := frames{protocol.KindStdout, func(_ protocol.Kind, b []byte) { got = append(got, len(b)) }}
	if n, err := w.Write(make([]byte, 2*protocol.MaxBody+1)); n != 2*protocol.MaxBody+1 || err != nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	if diff := cmp.Diff([]int{protocol.MaxBody, protocol.MaxBody, 1}, got); diff != "" {
		t.Errorf("frames (-want +got):\n%s", diff)
	}
}

func TestACommandGetsItsInputAndTellsItsEnd(t *testing.T) {
	var mu sync.Mutex
	output := map[protocol.Kind]string{}
	spec := protocol.Command{Argv: []string{"sh", "-c", "cat; echo err >&2; exit 4"}, Dir: t.TempDir()}
	c, err := startCommand(t.Context(), spec, func(kind protocol.Kind, b []byte) {
		mu.Lock()
		defer mu.Unlock()
		output[kind] += string(b)
	})
	if err != nil {
		t.Fatal(err)
	}
	c.stdin.put([]byte("in\n"))
	c.stdin.close()
	got, err := c.wait()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(protocol.Result{Exit: 4}, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	want := map[protocol.Kind]string{protocol.KindStdout: "in\n", protocol.KindStderr: "err\n"}
	if diff := cmp.Diff(want, output); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

// plainExchange is an exchange disk without direct access.
func plainExchange(t *testing.T) *exchange {
	t.Helper()
	disk, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = disk.Close() })
	if err := disk.Truncate(1 << 20); err != nil {
		t.Fatal(err)
	}
	return &exchange{disk: disk, buffer: make([]byte, 2*blockBytes)}
}

func TestAFileInPiecesAppearsWithItsLast(t *testing.T) {
	e := plainExchange(t)
	path := filepath.Join(t.TempDir(), "file")
	first, second := bytes.Repeat([]byte("a"), 3*blockBytes), []byte("end")
	for _, piece := range []struct {
		content []byte
		place   protocol.Piece
	}{{first, protocol.Piece{First: true}}, {second, protocol.Piece{Last: true}}} {
		if _, err := os.Stat(path); err == nil {
			t.Error("the file is there before its last piece")
		}
		if _, err := e.disk.WriteAt(piece.content, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := e.receive(protocol.Receive{Path: path, Mode: 0o750, Bytes: len(piece.content), Piece: piece.place}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, append(first, second...)) {
		t.Errorf("the file has %d bytes", len(got))
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o750 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
	r, err := e.send(protocol.Send{Path: path, Offset: int64(len(first))})
	if err != nil {
		t.Fatal(err)
	}
	sent := make([]byte, r.Bytes)
	if _, err := e.disk.ReadAt(sent, 0); err != nil || string(sent) != "end" {
		t.Errorf("what comes back is %q, %v", sent, err)
	}
}

func TestReceiveIntoAFolderThatDoesNotExistSaysSo(t *testing.T) {
	_, err := plainExchange(t).receive(protocol.Receive{Path: "/no/such/folder/file", Bytes: 1, Piece: protocol.Piece{First: true, Last: true}})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// Kind says what a frame's body is.
type Kind byte

// The kinds of frames. Zero is no frame but padding between frames.
const (
	KindHello   Kind = iota + 1 // host: Hello
	KindWelcome                 // agent: Welcome
	KindCall                    // host: Call
	KindStdin                   // host: bytes for a command; none means end of input
	KindSignal                  // host: Signal
	KindStdout                  // agent: bytes
	KindStderr                  // agent: bytes
	KindResult                  // agent: Result, the last frame of a call
	kindEnd
)

// MaxBody is the largest body of a frame, in bytes.
const MaxBody = 32 << 10

const headerBytes = 1 + 4 + 4

// Frame is one message.
type Frame struct {
	Kind Kind
	ID   uint32 // of the call it belongs to; 0 for Hello and Welcome
	Body []byte
}

// Encode returns a frame's bytes. A body longer than MaxBody is a programming
// error and is returned as such.
func Encode(f Frame) ([]byte, error) {
	if len(f.Body) > MaxBody {
		return nil, fmt.Errorf("encode frame of kind %d: body of %d bytes exceeds %d", f.Kind, len(f.Body), MaxBody)
	}
	b := make([]byte, 0, headerBytes+len(f.Body))
	b = append(b, byte(f.Kind))
	b = binary.BigEndian.AppendUint32(b, f.ID)
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.Body)))
	return append(b, f.Body...), nil
}

// EncodeGreeting returns a frame's bytes behind so much padding that a reader
// in the middle of any other frame has left it when the greeting begins.
func EncodeGreeting(f Frame) ([]byte, error) {
	b, err := Encode(f)
	if err != nil {
		return nil, err
	}
	return append(make([]byte, headerBytes+MaxBody), b...), nil
}

// EncodeJSON returns the bytes of a frame whose body is v as JSON.
func EncodeJSON(kind Kind, id uint32, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode frame of kind %d: %w", kind, err)
	}
	f := Frame{Kind: kind, ID: id, Body: body}
	if kind == KindHello || kind == KindWelcome {
		return EncodeGreeting(f)
	}
	return Encode(f)
}

// Reader finds frames in a stream.
type Reader struct {
	in *bufio.Reader
}

// NewReader returns a Reader of r.
func NewReader(r io.Reader) *Reader {
	return &Reader{in: bufio.NewReaderSize(r, 2*MaxBody)}
}

// Next returns the next frame. It skips padding, and any byte that cannot begin
// a frame. Its error is the stream's.
func (r *Reader) Next() (Frame, error) {
	for {
		head, err := r.in.Peek(headerBytes)
		if err != nil {
			return Frame{}, err
		}
		kind := Kind(head[0])
		size := binary.BigEndian.Uint32(head[5:])
		if kind == 0 || kind >= kindEnd || size > MaxBody {
			if _, err := r.in.Discard(1); err != nil {
				return Frame{}, err
			}
			continue
		}
		f := Frame{Kind: kind, ID: binary.BigEndian.Uint32(head[1:]), Body: make([]byte, size)}
		if _, err := r.in.Discard(headerBytes); err != nil {
			return Frame{}, err
		}
		if _, err := io.ReadFull(r.in, f.Body); err != nil {
			return Frame{}, err
		}
		return f, nil
	}
}

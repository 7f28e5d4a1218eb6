// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func encode(t *testing.T, f Frame) []byte {
	t.Helper()
	b, err := Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReaderReturnsTheFramesThatWereWritten(t *testing.T) {
	want := []Frame{
		{Kind: KindCall, ID: 7, Body: []byte(`{"command":{"argv":["true"]}}`)},
		{Kind: KindStdin, ID: 7, Body: []byte{}},
		{Kind: KindStdout, ID: 1 << 31, Body: bytes.Repeat([]byte{0xff}, MaxBody)},
	}
	var stream bytes.Buffer
	for _, f := range want {
		stream.Write(encode(t, f))
	}
	r := NewReader(&stream)
	for i, w := range want {
		got, err := r.Next()
		if err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
		if diff := cmp.Diff(w, got); diff != "" {
			t.Errorf("frame %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestGreetingIsFoundAfterAFrameCutAnywhere(t *testing.T) {
	greeting := Frame{Kind: KindHello, Body: []byte(`{"session":1}`)}
	padded, err := EncodeGreeting(greeting)
	if err != nil {
		t.Fatal(err)
	}
	cut := encode(t, Frame{Kind: KindStdout, ID: 3, Body: bytes.Repeat([]byte{byte(KindResult)}, MaxBody)})
	for _, n := range []int{1, 4, 5, 8, headerBytes, headerBytes + 1, len(cut) - 1, len(cut)} {
		r := NewReader(bytes.NewReader(append(bytes.Clone(cut[:n]), padded...)))
		found := false
		for !found {
			f, err := r.Next()
			if err != nil {
				t.Fatalf("a frame cut after %d bytes hides the greeting: %v", n, err)
			}
			found = cmp.Equal(f, greeting)
		}
	}
}

func TestEncodeRefusesABodyThatIsTooLong(t *testing.T) {
	if _, err := Encode(Frame{Kind: KindStdin, Body: make([]byte, MaxBody+1)}); err == nil {
		t.Error("no error for a body of MaxBody+1 bytes")
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"bytes"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// Netlink attributes: a length and a kind of 16 bits each in the machine's byte
// order, the value, and padding to four octets (include/uapi/linux/netlink.h).

// errMalformed says that a message does not hold what its lengths claim. A list
// that is too long for the 16 bits of its length looks like that.
var errMalformed = errors.New("malformed netlink message")

const attrHeader = 4

// kindMask takes the flags "nested" and "network byte order" off a kind.
const kindMask = ^uint16(unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)

// attr is one attribute of a message.
type attr struct {
	kind  uint16
	value []byte
}

// splitAttrs takes a run of attributes apart without copying.
func splitAttrs(b []byte) ([]attr, error) {
	var out []attr
	for len(b) >= attrHeader {
		n := int(binary.NativeEndian.Uint16(b))
		if n < attrHeader || n > len(b) {
			return out, errMalformed
		}
		kind := binary.NativeEndian.Uint16(b[2:]) & kindMask
		out = append(out, attr{kind: kind, value: b[attrHeader:n]})
		b = b[min(aligned(n), len(b)):]
	}
	if len(b) != 0 {
		return out, errMalformed
	}
	return out, nil
}

// find is the value of the first attribute of the kind.
func find(attrs []attr, kind uint16) ([]byte, bool) {
	for _, a := range attrs {
		if a.kind == kind {
			return a.value, true
		}
	}
	return nil, false
}

// u8 is the attribute as a number; zero when it is none of that size.
func (a attr) u8() uint8 {
	if len(a.value) != 1 {
		return 0
	}
	return a.value[0]
}

// u16 is like u8.
func (a attr) u16() uint16 {
	if len(a.value) != 2 {
		return 0
	}
	return binary.NativeEndian.Uint16(a.value)
}

// u32 is like u8.
func (a attr) u32() uint32 {
	if len(a.value) != 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(a.value)
}

// text is the attribute as a string without the zero at its end.
func (a attr) text() string { return string(bytes.TrimRight(a.value, "\x00")) }

// payload is the body of a request in the making.
type payload []byte

// add appends an attribute.
func (p payload) add(kind uint16, value []byte) payload {
	p = binary.NativeEndian.AppendUint16(p, uint16(attrHeader+len(value)))
	p = binary.NativeEndian.AppendUint16(p, kind)
	p = append(p, value...)
	return append(p, make([]byte, aligned(len(value))-len(value))...)
}

func (p payload) addU8(kind uint16, v uint8) payload { return p.add(kind, []byte{v}) }

func (p payload) addU16(kind, v uint16) payload {
	return p.add(kind, binary.NativeEndian.AppendUint16(nil, v))
}

func (p payload) addU32(kind uint16, v uint32) payload {
	return p.add(kind, binary.NativeEndian.AppendUint32(nil, v))
}

func (p payload) addText(kind uint16, s string) payload { return p.add(kind, append([]byte(s), 0)) }

// aligned rounds a length up to the four octets that netlink aligns to.
func aligned(n int) int { return (n + 3) &^ 3 }

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// The netlink client is written here rather than taken from a library because of
// what SR-IOV needs from it: answers larger than 64 KiB, no limit of its own on
// how long the kernel may take (a change of eSwitch mode takes minutes on some
// NICs), the kernel's own words for an error, and dumps of netdevs without VFs.

// request is one message to the kernel.
type request struct {
	protocol int // NETLINK_ROUTE, NETLINK_GENERIC, …
	kind     uint16
	flags    uint16 // NLM_F_DUMP for a dump; the rest is added
	body     payload
	// space is the size of the largest answer in octets; zero for the usual.
	space int
}

// message is one message of the kernel's answer.
type message struct {
	kind uint16
	body []byte
}

const (
	messageHeader = unix.SizeofNlMsghdr
	// answerSpace holds a usual answer. Memory costs more than what is in it.
	answerSpace = 8 << 10
	// dumpSpace is the most that the kernel puts into one part of a dump
	// (net/netlink/af_netlink.c, netlink_recvmsg).
	dumpSpace = 32 << 10
	// dumpTries is how often a dump is begun anew when the list changed meanwhile.
	dumpTries = 16
)

var (
	// errInterrupted says that what a dump lists changed while it was listed.
	errInterrupted = errors.New("the list changed while the kernel told it")
	// errTooLarge says that an answer is larger than the space for it.
	errTooLarge = errors.New("the kernel's answer is too large")
)

// ask sends a request and returns the whole answer. The socket belongs to the
// network namespace of the calling thread.
func ask(ctx context.Context, r request) ([]message, error) {
	var answer []message
	err := errInterrupted
	for range dumpTries {
		answer, err = askOnce(ctx, r)
		if !errors.Is(err, errInterrupted) {
			break
		}
	}
	return answer, err
}

func askOnce(ctx context.Context, r request) ([]message, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, r.protocol)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	// The kernel works on the request while it is sent, so sending can take as
	// long as the work.
	return within(ctx, func() ([]message, error) {
		defer unix.Close(fd)
		return talk(fd, r)
	})
}

func talk(fd int, r request) ([]message, error) {
	// Both options are newer than some kernels and only make errors clearer.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	if _, err := retried(func() (int, error) { return 0, unix.Sendto(fd, encode(r), 0, kernel) }); err != nil {
		return nil, err
	}
	buffer := make([]byte, spaceFor(r))
	var c conversation
	for !c.done {
		n, err := receive(fd, buffer)
		if err != nil {
			return nil, err
		}
		if err := c.take(bytes.Clone(buffer[:n])); err != nil {
			return nil, err
		}
	}
	if c.interrupted {
		return nil, errInterrupted
	}
	return c.messages, nil
}

func spaceFor(r request) int {
	switch {
	case r.space != 0:
		return r.space
	case r.flags&unix.NLM_F_DUMP != 0:
		return dumpSpace
	}
	return answerSpace
}

// receive reads one datagram of the kernel's.
func receive(fd int, buffer []byte) (int, error) {
	for {
		// With MSG_TRUNC the kernel returns the datagram's real length.
		n, from, err := unix.Recvfrom(fd, buffer, unix.MSG_TRUNC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
			continue // Not the kernel: anybody may send to a netlink socket.
		}
		if n > len(buffer) {
			return 0, errTooLarge
		}
		return n, nil
	}
}

// encode makes the request's octets. Every request that is no dump asks for an
// acknowledgement, which then marks the end of the answer.
func encode(r request) []byte {
	flags := r.flags | unix.NLM_F_REQUEST
	if r.flags&unix.NLM_F_DUMP == 0 {
		flags |= unix.NLM_F_ACK
	}
	b := make([]byte, 0, messageHeader+len(r.body))
	b = binary.NativeEndian.AppendUint32(b, uint32(messageHeader+len(r.body)))
	b = binary.NativeEndian.AppendUint16(b, r.kind)
	b = binary.NativeEndian.AppendUint16(b, flags)
	// A socket carries one request, so its sequence number may be any.
	b = binary.NativeEndian.AppendUint32(b, 1)
	b = binary.NativeEndian.AppendUint32(b, 0)
	return append(b, r.body...)
}

// conversation is what the kernel has answered so far.
type conversation struct {
	messages    []message
	interrupted bool
	done        bool
}

// take reads one datagram, which may hold several messages.
func (c *conversation) take(b []byte) error {
	for len(b) >= messageHeader && !c.done {
		n := int(binary.NativeEndian.Uint32(b))
		if n < messageHeader || n > len(b) {
			return errMalformed
		}
		kind := binary.NativeEndian.Uint16(b[4:])
		flags := binary.NativeEndian.Uint16(b[6:])
		if flags&unix.NLM_F_DUMP_INTR != 0 {
			c.interrupted = true
		}
		body := b[messageHeader:n]
		switch kind {
		case unix.NLMSG_ERROR, unix.NLMSG_DONE:
			c.done = true
			if err := verdict(kind, flags, body); err != nil {
				return err
			}
		case unix.NLMSG_NOOP:
		default:
			c.messages = append(c.messages, message{kind: kind, body: body})
		}
		b = b[min(aligned(n), len(b)):]
	}
	return nil
}

// verdict is the error that ends an answer, nil when it ends well.
func verdict(kind, flags uint16, body []byte) error {
	if len(body) < 4 {
		// An empty NLMSG_DONE is how old kernels end a dump.
		if kind == unix.NLMSG_DONE {
			return nil
		}
		return errMalformed
	}
	code := int32(binary.NativeEndian.Uint32(body))
	if code == 0 {
		return nil
	}
	errno := unix.Errno(-code)
	if text := kernelWords(kind, flags, body[4:]); text != "" {
		return fmt.Errorf("%w (%s)", errno, text)
	}
	return errno
}

// kernelWords is what the kernel says about an error (NLMSGERR_ATTR_MSG), if it
// does. After the code an NLMSG_ERROR repeats the request, whole or, when capped,
// its header alone.
func kernelWords(kind, flags uint16, b []byte) string {
	if flags&unix.NLM_F_ACK_TLVS == 0 {
		return ""
	}
	if kind == unix.NLMSG_ERROR {
		if len(b) < messageHeader {
			return ""
		}
		echo := messageHeader
		if flags&unix.NLM_F_CAPPED == 0 {
			echo = aligned(int(binary.NativeEndian.Uint32(b)))
		}
		if echo < messageHeader || echo > len(b) {
			return ""
		}
		b = b[echo:]
	}
	attrs, _ := splitAttrs(b)
	text, _ := find(attrs, unix.NLMSGERR_ATTR_MSG)
	return attr{value: text}.text()
}

// generic sends a command to a generic netlink family (devlink, vdpa).
func generic(ctx context.Context, family string, command uint8, attrs payload) ([]message, error) {
	id, err := familyID(ctx, family)
	if err != nil {
		return nil, err
	}
	return ask(ctx, request{
		protocol: unix.NETLINK_GENERIC,
		kind:     id,
		body:     append(genericHeader(command), attrs...),
	})
}

// errNoFamily says that the kernel has no such generic netlink family.
var errNoFamily = errors.New("the kernel does not know it")

// familyID asks each time, because a family gets a new number when its module is
// loaded anew.
func familyID(ctx context.Context, family string) (uint16, error) {
	answer, err := ask(ctx, request{
		protocol: unix.NETLINK_GENERIC,
		kind:     unix.GENL_ID_CTRL,
		body:     append(genericHeader(unix.CTRL_CMD_GETFAMILY), payload{}.addText(unix.CTRL_ATTR_FAMILY_NAME, family)...),
	})
	if errors.Is(err, unix.ENOENT) {
		return 0, fmt.Errorf("netlink family %s: %w", family, errNoFamily)
	}
	if err != nil {
		return 0, fmt.Errorf("netlink family %s: %w", family, err)
	}
	for _, m := range answer {
		for _, a := range genericAttrs(m) {
			if a.kind == unix.CTRL_ATTR_FAMILY_ID {
				return a.u16(), nil
			}
		}
	}
	return 0, fmt.Errorf("netlink family %s: %w", family, errMalformed)
}

// genericHeader is struct genlmsghdr: command, version, reserved.
func genericHeader(command uint8) payload { return payload{command, 1, 0, 0} }

// genericAttrs are the attributes after the generic header.
func genericAttrs(m message) []attr {
	const header = 4
	if len(m.body) < header {
		return nil
	}
	attrs, _ := splitAttrs(m.body[header:])
	return attrs
}

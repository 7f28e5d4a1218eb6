// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// dumpTries is how often a dump is begun anew when the list changed meanwhile.
	dumpTries = 16
	// dumpSpace is the most that the kernel puts into one part of a dump
	// (net/netlink/af_netlink.c, netlink_recvmsg).
	dumpSpace = 32 << 10
)

var (
	// errInterrupted says that what a dump lists changed while it was listed.
	errInterrupted = errors.New("the list changed while the kernel told it")
	// errMalformed says that an answer does not hold what it must.
	errMalformed = errors.New("malformed netlink message")
	// errNoFamily says that the kernel has no such generic netlink family.
	errNoFamily = errors.New("the kernel does not know it")
)

// request is one message to the kernel.
type request struct {
	protocol int // NETLINK_ROUTE, NETLINK_RDMA, …
	kind     uint16
	flags    netlink.HeaderFlags       // netlink.Dump for a dump; the rest is added
	header   []byte                    // the family's own, before the attributes
	attrs    *netlink.AttributeEncoder // nil for none
}

// ask sends a request and returns the whole answer. The socket belongs to the
// network namespace of the calling thread.
func ask(ctx context.Context, r request) ([]netlink.Message, error) {
	m := netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(r.kind), Flags: r.flags | netlink.Request},
		Data:   r.header,
	}
	config := netlink.Config{MessageBufferSize: dumpSpace}
	if r.flags&netlink.Dump == 0 {
		m.Header.Flags |= netlink.Acknowledge
		config.MessageBufferSize = 0 // What is said of many VFs may be longer.
	}
	if r.attrs != nil {
		attrs, err := r.attrs.Encode()
		if err != nil {
			return nil, err
		}
		m.Data = append(m.Data, attrs...)
	}
	return converse(ctx, r.protocol, &config, func(conn *netlink.Conn) ([]netlink.Message, error) {
		return execute(conn, m)
	})
}

// converse opens a socket for work. The kernel works on a request while it is
// sent, so sending can take as long as the work, and no deadline ends it.
func converse[T any](
	ctx context.Context, protocol int, config *netlink.Config, work func(*netlink.Conn) (T, error),
) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	conn, err := netlink.Dial(protocol, config)
	if err != nil {
		return none, fmt.Errorf("open netlink socket: %w", err)
	}
	return within(ctx, func() (T, error) {
		defer func() { _ = conn.Close() }()
		// The option is newer than some kernels and only makes errors clearer.
		_ = conn.SetOption(netlink.ExtendedAcknowledge, true)
		value, err := work(conn)
		return value, kernelError(err)
	})
}

// execute begins a dump anew when what it lists changed meanwhile.
func execute(conn *netlink.Conn, m netlink.Message) ([]netlink.Message, error) {
	for range dumpTries {
		messages, err := conn.Execute(m)
		if err != nil || !interrupted(messages) {
			return messages, err
		}
	}
	return nil, errInterrupted
}

// interrupted reports whether the kernel says so of a part of a dump. The library
// hides the message that ends a dump; when that one alone says it, the parts agree
// with each other.
func interrupted(messages []netlink.Message) bool {
	return slices.ContainsFunc(messages, func(m netlink.Message) bool {
		return m.Header.Flags&netlink.DumpInterrupted != 0
	})
}

// kernelError is the errno and the kernel's words alone.
func kernelError(err error) error {
	var op *netlink.OpError
	switch {
	case !errors.As(err, &op):
		return err
	case op.Message == "":
		return op.Err
	}
	return fmt.Errorf("%w (%s)", op.Err, op.Message)
}

// families are the generic netlink families (devlink, vdpa) that were asked for.
type families struct {
	mu    sync.Mutex
	known map[string]genetlink.Family
}

func newFamilies() *families { return &families{known: map[string]genetlink.Family{}} }

// ask sends a command to a family and returns the answer's attributes. The
// family's number is another one when its module is loaded anew, and ENOENT is
// what the kernel says to the old one (net/netlink/genetlink.c, genl_rcv_msg).
func (f *families) ask(ctx context.Context, family string, command uint8, attrs *netlink.AttributeEncoder) ([]byte, error) {
	data, err := attrs.Encode()
	if err != nil {
		return nil, err
	}
	m := genetlink.Message{Header: genetlink.Header{Command: command}, Data: data}
	return converse(ctx, unix.NETLINK_GENERIC, nil, func(conn *netlink.Conn) ([]byte, error) {
		c := genetlink.NewConn(conn)
		at, err := f.find(c, family)
		if err != nil {
			return nil, err
		}
		answer, err := tell(c, at, m)
		if !errors.Is(err, unix.ENOENT) {
			return answer, err
		}
		f.forget(family)
		if at, err = f.find(c, family); err != nil {
			return nil, err
		}
		return tell(c, at, m)
	})
}

func tell(c *genetlink.Conn, to genetlink.Family, m genetlink.Message) ([]byte, error) {
	m.Header.Version = to.Version
	messages, err := c.Execute(m, to.ID, netlink.Request|netlink.Acknowledge)
	if err != nil || len(messages) == 0 {
		return nil, err
	}
	return messages[0].Data, nil
}

// named is a family with its groups.
func (f *families) named(ctx context.Context, name string) (genetlink.Family, error) {
	return converse(ctx, unix.NETLINK_GENERIC, nil, func(conn *netlink.Conn) (genetlink.Family, error) {
		return f.find(genetlink.NewConn(conn), name)
	})
}

// find asks for a family once, whoever else wants it meanwhile.
func (f *families) find(c *genetlink.Conn, name string) (genetlink.Family, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if family, ok := f.known[name]; ok {
		return family, nil
	}
	family, err := c.GetFamily(name)
	switch {
	case errors.Is(err, unix.ENOENT):
		return genetlink.Family{}, fmt.Errorf("netlink family %s: %w", name, errNoFamily)
	case err != nil:
		return genetlink.Family{}, fmt.Errorf("netlink family %s: %w", name, kernelError(err))
	}
	f.known[name] = family
	return family, nil
}

func (f *families) forget(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.known, name)
}

// decode calls each for every attribute after a header of the given size.
func decode(b []byte, header int, each func(*netlink.AttributeDecoder)) error {
	if len(b) < header {
		return errMalformed
	}
	attrs, err := netlink.NewAttributeDecoder(b[header:])
	if err != nil {
		return err
	}
	return every(each)(attrs)
}

// every makes of a function for one attribute one for all.
func every(each func(*netlink.AttributeDecoder)) func(*netlink.AttributeDecoder) error {
	return func(attrs *netlink.AttributeDecoder) error {
		for attrs.Next() {
			each(attrs)
		}
		return attrs.Err()
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"syscall"

	"github.com/mdlayher/netlink"
	"github.com/mdlayher/socket"
	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/internal/host"
)

const (
	// watchBuffer is what the kernel may hold back for a slow reader, in octets.
	// Memory is taken only as it is used. Making 1,000 VFs tells some 10,000
	// messages of 2 KiB with their overhead.
	watchBuffer = 32 << 20
	// eventSpace is the largest message: udev's are the longest and seldom over
	// 8 KiB.
	eventSpace = 64 << 10
	// eventsAtOnce is how many events one receive may give.
	eventsAtOnce = 4096
)

// errTooLarge says that a message is larger than the space for it.
var errTooLarge = errors.New("the message is too large")

// watcher is host.Watcher.
type watcher struct {
	files    fs.ReadLinkFS
	families *families
}

// Watch implements host.Watcher. The channel is also closed when a socket breaks.
func (w watcher) Watch(ctx context.Context) (<-chan []host.Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("watch devices: %w", err)
	}
	devices, err := subscribe(unix.NETLINK_KOBJECT_UEVENT, groupKernel|groupUdev)
	if err != nil {
		return nil, fmt.Errorf("watch devices: %w", err)
	}
	netdevs, err := subscribe(unix.NETLINK_ROUTE, unix.RTMGRP_LINK)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("watch netdevs: %w", err), devices.Close())
	}
	instances, err := w.subscribeDevlink(ctx)
	if err != nil && !errors.Is(err, errNoFamily) { // a kernel may have no devlink
		return nil, errors.Join(fmt.Errorf("watch devlink: %w", err), devices.Close(), netdevs.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	out := make(chan []host.Event)
	// Closing a socket wakes who waits for its next message.
	context.AfterFunc(ctx, func() { _, _ = devices.Close(), netdevs.Close() })
	var pumps sync.WaitGroup
	pumps.Go(func() {
		defer cancel()
		pump(ctx, out, host.FromKernel, devices, readDatagram)
	})
	pumps.Go(func() {
		defer cancel()
		pump(ctx, out, host.FromLinks, netdevs, w.readLinks)
	})
	if instances != nil {
		context.AfterFunc(ctx, func() { _ = instances.Close() })
		pumps.Go(func() {
			defer cancel()
			pump(ctx, out, host.FromDevlink, instances, w.readDevlink)
		})
	}
	go func() {
		pumps.Wait()
		close(out)
	}()
	return out, nil
}

// subscribeDevlink listens to what devlink tells of its instances. A family of generic
// netlink has the number of its group, which may be too large for a mask, at run time.
func (w watcher) subscribeDevlink(ctx context.Context) (*socket.Conn, error) {
	family, err := w.families.named(ctx, devlinkFamily)
	if err != nil {
		return nil, err
	}
	conn, err := subscribe(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return nil, err
	}
	for _, g := range family.Groups {
		if g.Name == devlinkGroup {
			err = conn.SetsockoptInt(unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, int(g.ID))
		}
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// subscribe opens a plain socket, because what the kernel and udev say of devices
// is not in netlink's form, and because a burst is read without a wait between its
// messages.
func subscribe(protocol int, groups uint32) (*socket.Conn, error) {
	conn, err := socket.Socket(unix.AF_NETLINK, unix.SOCK_RAW, protocol, "watch", nil)
	if err != nil {
		return nil, err
	}
	err = conn.SetReadBuffer(watchBuffer)
	if err == nil {
		err = conn.SetsockoptInt(unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	}
	if err == nil {
		err = conn.Bind(&unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups})
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// pump sends the events of a socket on until ctx ends or the socket breaks. It
// reads no further while nobody takes what it has.
func pump(ctx context.Context, out chan<- []host.Event, source host.EventSource, conn *socket.Conn, read func(datagram) []host.Event) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	in := inbox{raw: raw, read: read, buffer: make([]byte, eventSpace), control: make([]byte, unix.CmsgSpace(unix.SizeofUcred))}
	for {
		events, err := in.next()
		switch {
		case errors.Is(err, unix.ENOBUFS), errors.Is(err, errTooLarge):
			events = append(events, host.Event{Source: source, Lost: true})
		case err != nil:
			return
		}
		select {
		case out <- events:
		case <-ctx.Done():
			return
		}
	}
}

// datagram is one message with what is known of its sender.
type datagram struct {
	data   []byte
	port   uint32 // zero is the kernel
	groups uint32
	// root says that the sending process was root's.
	root bool
}

// inbox reads a socket.
type inbox struct {
	raw             syscall.RawConn
	read            func(datagram) []host.Event
	buffer, control []byte
}

// next waits for an event and returns all that are there. With an error it returns
// those that came before it.
func (in inbox) next() ([]host.Event, error) {
	var events []host.Event
	var failed error
	closed := in.raw.Read(func(fd uintptr) (enough bool) {
		for len(events) < eventsAtOnce {
			d, err := in.receive(int(fd))
			switch {
			case errors.Is(err, unix.EAGAIN):
				return len(events) > 0
			case errors.Is(err, unix.EINTR):
				continue
			case err != nil:
				failed = err
				return true
			}
			events = append(events, in.read(d)...)
		}
		return true
	})
	return events, errors.Join(failed, closed)
}

// receive takes one datagram, without waiting for it.
func (in inbox) receive(fd int) (datagram, error) {
	n, controlLen, flags, from, err := unix.Recvmsg(fd, in.buffer, in.control, unix.MSG_DONTWAIT)
	if err != nil {
		return datagram{}, err
	}
	if flags&unix.MSG_TRUNC != 0 {
		return datagram{}, errTooLarge
	}
	sender, ok := from.(*unix.SockaddrNetlink)
	if !ok {
		return datagram{}, errMalformed
	}
	return datagram{
		data: in.buffer[:n], port: sender.Pid, groups: sender.Groups, root: sentByRoot(in.control[:controlLen]),
	}, nil
}

// sentByRoot reads the credentials that the kernel attached.
func sentByRoot(control []byte) bool {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return false
	}
	for i := range messages {
		if credentials, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
			return credentials.Uid == 0
		}
	}
	return false
}

// readDatagram reads a datagram of NETLINK_KOBJECT_UEVENT. Anybody may send to
// the socket: only the kernel has port zero, and only root is taken for udev.
func readDatagram(d datagram) []host.Event {
	var e host.Event
	var ok bool
	switch {
	case d.groups == groupKernel && d.port == 0:
		e, ok = parseUevent(d.data)
	case d.groups == groupUdev && d.port != 0 && d.root:
		e, ok = parseUdev(d.data)
	}
	if !ok {
		return nil
	}
	return []host.Event{e}
}

// readLinks reads messages of RTNLGRP_LINK. They come from the kernel or from a
// process that may change netdevs anyway: to others the kernel does not let this
// protocol's sockets send (net/netlink/af_netlink.c, netlink_sendmsg).
func (w watcher) readLinks(d datagram) []host.Event {
	messages, err := syscall.ParseNetlinkMessage(d.data)
	if err != nil {
		return nil
	}
	var events []host.Event
	for _, m := range messages {
		change, ok := parseLinkChange(netlink.Message{
			Header: netlink.Header{Type: netlink.HeaderType(m.Header.Type)}, Data: m.Data,
		})
		if ok {
			events = append(events, host.Event{
				Source: host.FromLinks, Action: change.action, Subsystem: "net", Path: w.netdevPath(change.name),
			})
		}
	}
	return events
}

// genericHeader is how long the header of generic netlink is (struct genlmsghdr).
const genericHeader = 4

// readDevlink reads what devlink tells of instances, ports and parameters. Others than
// the kernel may not send to the group (net/netlink/af_netlink.c, netlink_sendmsg).
func (w watcher) readDevlink(d datagram) []host.Event {
	messages, err := syscall.ParseNetlinkMessage(d.data)
	if err != nil || d.port != 0 {
		return nil
	}
	var events []host.Event
	for _, m := range messages {
		if len(m.Data) < genericHeader {
			continue
		}
		action := ""
		switch m.Data[0] {
		case unix.DEVLINK_CMD_NEW, unix.DEVLINK_CMD_PORT_NEW, unix.DEVLINK_CMD_PARAM_NEW:
			action = "change" // it is told of what is new, and of what is another
		case unix.DEVLINK_CMD_DEL, unix.DEVLINK_CMD_PORT_DEL, unix.DEVLINK_CMD_PARAM_DEL:
			action = "remove"
		default:
			continue
		}
		if at, ok := w.instancePath(m.Data[genericHeader:]); ok {
			events = append(events, host.Event{Source: host.FromDevlink, Action: action, Subsystem: "devlink", Path: at})
		}
	}
	return events
}

// instancePath is the path of the device that a devlink instance is of. One that is gone
// is named by its bus.
func (w watcher) instancePath(attrs []byte) (string, bool) {
	var bus, name string
	err := decode(attrs, 0, func(a *netlink.AttributeDecoder) {
		switch a.Type() {
		case unix.DEVLINK_ATTR_BUS_NAME:
			bus = a.String()
		case unix.DEVLINK_ATTR_DEV_NAME:
			name = a.String()
		}
	})
	if err != nil || !fs.ValidPath(bus) || !fs.ValidPath(name) {
		return "", false
	}
	link := path.Join("bus", bus, "devices", name)
	target, err := w.files.ReadLink(path.Join("sys", link))
	if err != nil {
		return link, true
	}
	return strings.TrimPrefix(path.Join("sys/bus", bus, "devices", target), "sys/"), true
}

// netdevPath is the path of a netdev's device. One that is gone, or has another
// name by now, is named by its class.
func (w watcher) netdevPath(name string) string {
	link := path.Join("class/net", name)
	target, err := w.files.ReadLink(path.Join("sys", link))
	if err != nil {
		return link
	}
	return strings.TrimPrefix(path.Join("sys/class/net", target), "sys/")
}

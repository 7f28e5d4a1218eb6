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
	// eventsAhead is how many events may wait in the channel.
	eventsAhead = 256
)

// errTooLarge says that a message is larger than the space for it.
var errTooLarge = errors.New("the message is too large")

// watcher is host.Watcher.
type watcher struct{ files fs.ReadLinkFS }

// Watch implements host.Watcher. The channel is also closed when a socket breaks.
func (w watcher) Watch(ctx context.Context) (<-chan host.Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("watch devices: %w", err)
	}
	devices, err := subscribeDevices(groupKernel | groupUdev)
	if err != nil {
		return nil, fmt.Errorf("watch devices: %w", err)
	}
	netdevs, err := subscribeNetdevs()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("watch netdevs: %w", err), devices.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	out := make(chan host.Event, eventsAhead)
	// Closing a socket wakes who waits for its next message.
	context.AfterFunc(ctx, func() { _, _ = devices.Close(), netdevs.Close() })
	var pumps sync.WaitGroup
	pumps.Go(func() {
		defer cancel()
		pump(ctx, out, host.FromKernel, deviceEvents(ctx, devices))
	})
	pumps.Go(func() {
		defer cancel()
		pump(ctx, out, host.FromLinks, w.linkEvents(netdevs))
	})
	go func() {
		pumps.Wait()
		close(out)
	}()
	return out, nil
}

// pump sends what next returns on until ctx ends or the socket breaks.
func pump(ctx context.Context, out chan<- host.Event, source host.EventSource, next func() ([]host.Event, error)) {
	for {
		events, err := next()
		switch {
		case errors.Is(err, unix.ENOBUFS), errors.Is(err, errTooLarge):
			events = []host.Event{{Source: source, Lost: true}}
		case err != nil:
			return
		}
		for _, e := range events {
			select {
			case out <- e:
			case <-ctx.Done():
				return
			}
		}
	}
}

func subscribeNetdevs() (*netlink.Conn, error) {
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{Groups: unix.RTMGRP_LINK})
	if err != nil {
		return nil, err
	}
	if err := conn.SetReadBuffer(watchBuffer); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// subscribeDevices opens a plain socket, because what the kernel and udev say of
// devices is not in netlink's form.
func subscribeDevices(groups uint32) (*socket.Conn, error) {
	conn, err := socket.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_KOBJECT_UEVENT, "uevent", nil)
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

// datagram is one message with what is known of its sender.
type datagram struct {
	data   []byte
	port   uint32 // zero is the kernel
	groups uint32
	// root says that the sending process was root's.
	root bool
}

// deviceEvents waits for one datagram at a time.
func deviceEvents(ctx context.Context, conn *socket.Conn) func() ([]host.Event, error) {
	buffer := make([]byte, eventSpace)
	control := make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	return func() ([]host.Event, error) {
		n, controlLen, flags, from, err := conn.Recvmsg(ctx, buffer, control, 0)
		if err != nil {
			return nil, err
		}
		if flags&unix.MSG_TRUNC != 0 {
			return nil, errTooLarge
		}
		sender, ok := from.(*unix.SockaddrNetlink)
		if !ok {
			return nil, errMalformed
		}
		return readDatagram(datagram{
			data: buffer[:n], port: sender.Pid, groups: sender.Groups, root: sentByRoot(control[:controlLen]),
		}), nil
	}
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

// linkEvents waits for messages of RTNLGRP_LINK. They come from the kernel or from
// a process that may change netdevs anyway: to others the kernel does not let this
// protocol's sockets send (net/netlink/af_netlink.c, netlink_sendmsg).
func (w watcher) linkEvents(conn *netlink.Conn) func() ([]host.Event, error) {
	return func() ([]host.Event, error) {
		messages, err := conn.Receive()
		var events []host.Event
		for _, m := range messages {
			if change, ok := parseLinkChange(m); ok {
				events = append(events, host.Event{
					Source: host.FromLinks, Action: change.action, Subsystem: "net", Path: w.netdevPath(change.name),
				})
			}
		}
		return events, err
	}
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

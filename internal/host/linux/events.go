// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"

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

// watcher is host.Watcher.
type watcher struct{ files fs.ReadLinkFS }

// Watch implements host.Watcher. The channel is also closed when a socket breaks.
func (w watcher) Watch(ctx context.Context) (<-chan host.Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("watch devices: %w", err)
	}
	devices, err := subscribe(unix.NETLINK_KOBJECT_UEVENT, groupKernel|groupUdev)
	if err != nil {
		return nil, fmt.Errorf("watch devices: %w", err)
	}
	netdevs, err := subscribe(unix.NETLINK_ROUTE, unix.RTMGRP_LINK)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("watch netdevs: %w", err), devices.close())
	}
	ctx, cancel := context.WithCancel(ctx)
	out := make(chan host.Event, eventsAhead)
	var pumps sync.WaitGroup
	pumps.Go(func() {
		defer cancel()
		devices.pump(ctx, out, host.FromKernel, deviceEvents)
	})
	pumps.Go(func() {
		defer cancel()
		netdevs.pump(ctx, out, host.FromLinks, w.linkEvents)
	})
	go func() {
		pumps.Wait()
		close(out)
	}()
	return out, nil
}

// subscription is a netlink socket that receives multicast messages.
type subscription struct{ file *os.File }

func subscribe(protocol int, groups uint32) (subscription, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return subscription{}, err
	}
	s := subscription{file: os.NewFile(uintptr(fd), "netlink")}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, watchBuffer) != nil {
		// Without CAP_NET_ADMIN the kernel's limit holds; events are then lost
		// sooner, and said to be.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, watchBuffer)
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups})
	}
	if err != nil {
		return subscription{}, errors.Join(err, s.close())
	}
	return s, nil
}

func (s subscription) close() error { return s.file.Close() }

// datagram is one message with what is known of its sender.
type datagram struct {
	data   []byte
	port   uint32 // zero is the kernel
	groups uint32
	// root says that the sending process was root's.
	root bool
}

// pump sends events on until ctx ends or the socket breaks, and closes the
// socket.
func (s subscription) pump(
	ctx context.Context, out chan<- host.Event, source host.EventSource, read func(datagram) []host.Event,
) {
	stop := context.AfterFunc(ctx, func() { _ = s.close() })
	defer func() {
		if stop() {
			_ = s.close()
		}
	}()
	buffer := make([]byte, eventSpace)
	for {
		d, err := s.receive(buffer)
		var events []host.Event
		switch {
		case errors.Is(err, unix.ENOBUFS), errors.Is(err, errTooLarge):
			events = []host.Event{{Source: source, Lost: true}}
		case err != nil:
			return
		default:
			events = read(d)
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

func (s subscription) receive(buffer []byte) (datagram, error) {
	conn, err := s.file.SyscallConn()
	if err != nil {
		return datagram{}, err
	}
	control := make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	var n, controlLen, flags int
	var from unix.Sockaddr
	var failure error
	err = conn.Read(func(fd uintptr) bool {
		_, failure = retried(func() (int, error) {
			var err error
			n, controlLen, flags, from, err = unix.Recvmsg(int(fd), buffer, control, 0)
			return n, err
		})
		return !errors.Is(failure, unix.EAGAIN)
	})
	if err := errors.Join(err, failure); err != nil {
		return datagram{}, err
	}
	if flags&unix.MSG_TRUNC != 0 {
		return datagram{}, errTooLarge
	}
	d := datagram{data: buffer[:n], root: sentByRoot(control[:controlLen])}
	if sender, ok := from.(*unix.SockaddrNetlink); ok {
		d.port, d.groups = sender.Pid, sender.Groups
		return d, nil
	}
	return datagram{}, errMalformed
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

// deviceEvents reads a datagram of NETLINK_KOBJECT_UEVENT. Anybody may send to
// the socket: only the kernel has port zero, and only root is taken for udev.
func deviceEvents(d datagram) []host.Event {
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

// linkEvents reads a datagram of RTNLGRP_LINK.
func (w watcher) linkEvents(d datagram) []host.Event {
	if d.port != 0 {
		return nil
	}
	var c conversation
	// What is whole of a malformed message is still a reason to look.
	_ = c.take(d.data)
	var events []host.Event
	for _, m := range c.messages {
		if change, ok := parseLinkChange(m); ok {
			events = append(events, host.Event{
				Source: host.FromLinks, Action: change.action, Subsystem: "net", Path: w.netdevPath(change.name),
			})
		}
	}
	return events
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

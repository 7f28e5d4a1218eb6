// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/test/vm/protocol"
)

// port is the guest's end of the virtio-serial port. Reading waits for a host:
// the kernel reports the end of the file while none is connected
// (port_fops_read in drivers/char/virtio_console.c).
type port struct {
	file  *os.File
	epoll int
}

func openPort() (*port, error) {
	name, err := findByAttribute("/sys/class/virtio-ports/*/name", protocol.PortName)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Open("/dev/"+name, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open port /dev/%s: %w", name, err)
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	// Edge-triggered: a level-triggered wait returns at once, with EPOLLHUP,
	// for as long as no host is connected.
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(fd)}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return nil, fmt.Errorf("watch port /dev/%s: %w", name, err)
	}
	return &port{file: os.NewFile(uintptr(fd), name), epoll: epoll}, nil
}

func (p *port) Read(b []byte) (int, error) {
	for {
		n, err := p.file.Read(b)
		if n > 0 || !errors.Is(err, io.EOF) {
			return n, err
		}
		var events [1]unix.EpollEvent
		if _, err := unix.EpollWait(p.epoll, events[:], -1); err != nil && !errors.Is(err, unix.EINTR) {
			return 0, fmt.Errorf("wait for the host: %w", err)
		}
	}
}

func (p *port) Write(b []byte) (int, error) { return p.file.Write(b) }

// findByAttribute returns the name of the device whose sysfs attribute, one of
// those that match pattern, holds value. The name is that of the attribute's folder.
func findByAttribute(pattern, value string) (string, error) {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", pattern, err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err == nil && strings.TrimSpace(string(b)) == value {
			return filepath.Base(filepath.Dir(path)), nil
		}
	}
	return "", fmt.Errorf("find %s with value %q: none of %d", pattern, value, len(paths))
}

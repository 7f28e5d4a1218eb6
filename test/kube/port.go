// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// port is a TCP port of 127.0.0.1 that nobody else gets. The socket that holds
// it never listens; a program that sets SO_REUSEPORT as well can bind it, and
// bind it again after a restart.
type port struct {
	Number int
	socket int
}

// reserve takes a free port.
func reserve() (port, error) {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return port{}, fmt.Errorf("reserve a port: %w", err)
	}
	p, err := bind(socket)
	if err != nil {
		_ = unix.Close(socket)
		return port{}, fmt.Errorf("reserve a port: %w", err)
	}
	return p, nil
}

func bind(socket int) (port, error) {
	if err := unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return port{}, fmt.Errorf("set SO_REUSEPORT: %w", err)
	}
	if err := unix.Bind(socket, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return port{}, fmt.Errorf("bind 127.0.0.1: %w", err)
	}
	address, err := unix.Getsockname(socket)
	if err != nil {
		return port{}, fmt.Errorf("read the port: %w", err)
	}
	inet, ok := address.(*unix.SockaddrInet4)
	if !ok {
		return port{}, fmt.Errorf("the socket's address is a %T", address)
	}
	return port{Number: inet.Port, socket: socket}, nil
}

func (p port) String() string { return strconv.Itoa(p.Number) }

func (p port) release() { _ = unix.Close(p.socket) }

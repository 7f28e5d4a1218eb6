// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"io"
	"net"
)

// Relay connects to a TCP address, sends it what in yields and writes to out
// what comes back, until the other side closes.
func Relay(address string, in io.Reader, out io.Writer) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	defer conn.Close()
	go func() {
		// An error here shows as the end of the connection below.
		_, _ = io.Copy(conn, in)
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
	}()
	if _, err := io.Copy(out, conn); err != nil {
		return fmt.Errorf("relay from %s: %w", address, err)
	}
	return nil
}

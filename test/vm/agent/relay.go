// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"io"
	"net"
)

// Relay connects to a TCP address, sends it what in yields and writes to out
// what comes back, until the other side closes. The context is that of connecting.
func Relay(ctx context.Context, address string, in io.Reader, out io.Writer) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	defer func() { _ = conn.Close() }() // both directions have ended
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

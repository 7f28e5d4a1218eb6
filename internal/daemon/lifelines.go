// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// What the addresses are that the node must not be cut off from.
const (
	toAPI = "connection to the API server"
	ofOwn = "address of this node"
)

// lifelines are the addresses that the node must not be cut off from: its own, and
// the API server's.
type lifelines struct {
	own []netip.Addr

	mu     sync.Mutex
	server netip.Addr // the zero Addr as long as it is not known
	// learned is called when the API server turns out to be elsewhere.
	learned func()
}

// newLifelines takes the API server's address from its URL, where that has one. A
// name says where it leads when the first connection is made.
func newLifelines(server string, own []netip.Addr) *lifelines {
	l := &lifelines{own: own}
	if !strings.Contains(server, "://") {
		server = "https://" + server
	}
	if u, err := url.Parse(server); err == nil {
		l.server, _ = netip.ParseAddr(u.Hostname())
	}
	return l
}

// now are those that are known.
func (l *lifelines) now() []hw.Lifeline {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []hw.Lifeline
	for _, addr := range l.own {
		out = append(out, hw.Lifeline{Is: ofOwn, Addr: addr})
	}
	if l.server.IsValid() {
		out = append(out, hw.Lifeline{Is: toAPI, Addr: l.server})
	}
	return slices.Clip(out)
}

// dialer connects to an address, as rest.Config.Dial does.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// through is a dialer that notes where connections lead.
func (l *lifelines) through(next dialer) dialer {
	if next == nil {
		// As client-go does where no dialer is given (transport/cache.go).
		next = (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := next(ctx, network, address)
		if err == nil {
			l.note(conn.RemoteAddr())
		}
		return conn, err
	}
}

func (l *lifelines) note(remote net.Addr) {
	at, err := netip.ParseAddrPort(remote.String())
	if err != nil {
		return // a pipe or a socket in the file system runs over no NIC
	}
	l.mu.Lock()
	addr := at.Addr().Unmap()
	moved, tell := l.server != addr, l.learned
	l.server = addr
	l.mu.Unlock()
	if moved && tell != nil {
		tell()
	}
}

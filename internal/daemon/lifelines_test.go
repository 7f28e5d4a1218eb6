// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

func TestTheLifelinesOfANode(t *testing.T) {
	own := netip.MustParseAddr("192.0.2.7")
	mine := hw.Lifeline{Is: "address of this node", Addr: own}
	server := func(addr string) hw.Lifeline {
		return hw.Lifeline{Is: "connection to the API server", Addr: netip.MustParseAddr(addr)}
	}
	for url, want := range map[string][]hw.Lifeline{
		"https://10.96.0.1:443":         {mine, server("10.96.0.1")},
		"https://[2001:db8::1]:6443/x":  {mine, server("2001:db8::1")},
		"198.51.100.1:6443":             {mine, server("198.51.100.1")},
		"https://api.example.test:6443": {mine},
		"https://%zz":                   {mine},
	} {
		got := newLifelines(url, []netip.Addr{own}).now()
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", url, diff)
		}
	}
}

// A name leads somewhere when a connection is made, and that is news once.
func TestAConnectionTellsWhereTheAPIServerIs(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	news := 0
	l := newLifelines("https://localhost:6443", nil)
	l.learned = func() { news++ }
	dial := l.through(func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, listener.Addr().String())
	})
	for range 2 {
		conn, err := dial(t.Context(), "tcp", "localhost:6443")
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	if got := l.now(); len(got) != 1 || got[0].Addr != netip.MustParseAddr("127.0.0.1") || news != 1 {
		t.Errorf("lifelines %v, told %d times", got, news)
	}
}

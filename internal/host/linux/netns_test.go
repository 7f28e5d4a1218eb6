// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && !vm

package linux

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	client "github.com/mdlayher/netlink"
	library "github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/host/contract"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// ownNamespaces marks a process that has network and mounts of its own: "new" the
// one that still has to mount sysfs, "ready" those that fuzzing starts from it.
const ownNamespaces = "SRIOV_TEST_OWN_NAMESPACES"

// TestMain runs the tests again in a process with a network of its own and the
// sysfs that shows it, so that they may make netdevs and harm nobody. Without
// root that takes a user namespace.
func TestMain(m *testing.M) {
	if os.Getenv(ownNamespaces) != "" {
		os.Exit(runIsolated(m))
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), ownNamespaces+"=new")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	case err != nil:
		fmt.Fprintln(os.Stderr, "these tests need root or user namespaces:", err)
		os.Exit(1)
	}
}

func runIsolated(m *testing.M) int {
	if os.Getenv(ownNamespaces) == "ready" {
		return m.Run()
	}
	err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	if err == nil {
		err = unix.Mount("sysfs", "/sys", "sysfs", 0, "")
	}
	if err == nil {
		err = os.Setenv(ownNamespaces, "ready")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mount a sysfs for the test's own network:", err)
		return 1
	}
	return m.Run()
}

// pair makes two netdevs that are joined by a wire, and returns them as the
// library knows them.
func pair(tb testing.TB, name, peer string) (netlink.Link, netlink.Link) {
	tb.Helper()
	err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: peer})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := netlink.LinkDel(link(tb, name)); err != nil {
			tb.Error(err)
		}
	})
	return link(tb, name), link(tb, peer)
}

func link(tb testing.TB, name string) netlink.Link {
	tb.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func linkAt(t *testing.T, index int) host.Link {
	t.Helper()
	all, err := links{}.Links(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(l host.Link) bool { return l.Index == index })
	if i < 0 {
		t.Fatalf("link %d is not listed", index)
	}
	return all[i]
}

func TestLinksSayWhatTheLibrarySays(t *testing.T) {
	a, _ := pair(t, "a0", "a1")
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	if err := netlink.LinkAdd(bridge); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netlink.LinkDel(bridge) })
	stacked := &netlink.Macvlan{
		LinkAttrs: netlink.LinkAttrs{Name: "mac0", ParentIndex: link(t, "a1").Attrs().Index},
		Mode:      netlink.MACVLAN_MODE_BRIDGE,
	}
	if err := netlink.LinkAdd(stacked); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		netlink.LinkSetMaster(a, bridge),
		netlink.LinkAddAltName(a, "a-long-name-that-is-no-netdevs"),
		netlink.LinkAddAltName(a, "a-b"),
		netlink.LinkSetMTU(a, 1400),
		netlink.LinkSetUp(a),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := links{}.Links(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The library does not read the largest MTU; see TestTheLargestMTUIsTaken.
	noMaxMTU := cmpopts.IgnoreFields(host.Link{}, "MaxMTU")
	if diff := cmp.Diff(libraryLinks(t), got, noMaxMTU); diff != "" {
		t.Errorf("links (-library +got):\n%s", diff)
	}
	if l := linkAt(t, a.Attrs().Index); len(l.AltNames) != 2 || !l.AdminUp || l.MTU != 1400 {
		t.Errorf("a0 is %+v", l)
	}
	if l := linkAt(t, stacked.Attrs().Index); l.Parent != link(t, "a1").Attrs().Index || l.Kind != "macvlan" {
		t.Errorf("mac0 is %+v", l)
	}
}

// libraryLinks is what another client of netlink reads.
func libraryLinks(t *testing.T) []host.Link {
	t.Helper()
	all, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	var out []host.Link
	for _, l := range all {
		a := l.Attrs()
		want := host.Link{
			Index: a.Index, Name: a.Name, AltNames: slices.Sorted(slices.Values(a.AltNames)), MTU: a.MTU,
			MAC: macOf(a.HardwareAddr), PermMAC: macOf(a.PermHWAddr), Encap: a.EncapType,
			AdminUp: a.RawFlags&unix.IFF_UP != 0, Master: a.MasterIndex, Parent: a.ParentIndex,
		}
		if l.Type() != "device" {
			want.Kind = l.Type()
		}
		if l.Type() == "veth" {
			want.Parent = 0
		}
		out = append(out, want)
	}
	slices.SortFunc(out, func(a, b host.Link) int { return a.Index - b.Index })
	return out
}

func TestTheLargestMTUIsTakenAndOneMoreIsNot(t *testing.T) {
	a, _ := pair(t, "i0", "i1")
	index := a.Attrs().Index
	most := linkAt(t, index).MaxMTU
	if err := (linkControl{}).SetMTU(t.Context(), index, most); err != nil {
		t.Error(err)
	}
	if err := (linkControl{}).SetMTU(t.Context(), index, most+1); !errors.Is(err, unix.EINVAL) {
		t.Errorf("MTU %d: %v, want EINVAL", most+1, err)
	}
}

func TestANetdevIsChangedByItsIndexWhateverItsName(t *testing.T) {
	a, _ := pair(t, "b0", "b1")
	index := a.Attrs().Index
	control := linkControl{}
	if err := netlink.LinkSetName(a, "renamed0"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = netlink.LinkSetDown(link(t, "renamed0"))
		_ = netlink.LinkSetName(link(t, "renamed0"), "b0")
	}()
	if err := control.SetMTU(t.Context(), index, 1300); err != nil {
		t.Error(err)
	}
	if err := control.SetUp(t.Context(), index); err != nil {
		t.Error(err)
	}
	if got := linkAt(t, index); got.Name != "renamed0" || got.MTU != 1300 || !got.AdminUp {
		t.Errorf("the link is %+v", got)
	}
}

func TestTheKernelsErrnoAndWordsReachTheCaller(t *testing.T) {
	a, _ := pair(t, "c0", "c1")
	err := linkControl{}.SetMTU(t.Context(), a.Attrs().Index, 70000)
	if !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "mtu greater than device maximum") {
		t.Errorf("got %v, want EINVAL and the kernel's words", err)
	}
	const missing = 1 << 20
	control := linkControl{}
	_, vfsErr := links{}.VFs(t.Context(), missing)
	for attempt, err := range map[string]error{
		"set MTU":      control.SetMTU(t.Context(), missing, 1500),
		"set up":       control.SetUp(t.Context(), missing),
		"set VF MAC":   control.SetVFMAC(t.Context(), missing, 0, "02:00:00:00:00:01"),
		"set VF GUID":  control.SetVFGUID(t.Context(), missing, 0, 1),
		"read the VFs": vfsErr,
	} {
		if !errors.Is(err, unix.ENODEV) {
			t.Errorf("%s of a link that is not there: %v, want ENODEV", attempt, err)
		}
	}
	if err := control.SetVFMAC(t.Context(), a.Attrs().Index, 0, "02:00:00:00:00:01"); !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("admin MAC on a netdev without VFs: %v, want EOPNOTSUPP", err)
	}
}

func TestANetdevWithoutVFsHasNone(t *testing.T) {
	a, _ := pair(t, "d0", "d1")
	got, err := links{}.VFs(t.Context(), a.Attrs().Index)
	if err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestTCOffloadOfANetdevWithoutItIsAbsent(t *testing.T) {
	pair(t, "e0", "e1")
	got, err := links{}.TCOffload(t.Context(), "lo")
	if err != nil || got != hw.FeatureAbsent {
		t.Errorf("got %q, %v", got, err)
	}
	if err := (linkControl{}).EnableTCOffload(t.Context(), "lo"); !errors.Is(err, host.ErrUnsupported) {
		t.Errorf("switched on: %v, want ErrUnsupported", err)
	}
	for _, name := range []string{"missing0", "", "e0-is-a-name-of-more-than-15"} {
		if _, err := (links{}).TCOffload(t.Context(), name); !errors.Is(err, unix.ENODEV) {
			t.Errorf("%q, which is not there: %v, want ENODEV", name, err)
		}
	}
	client, err := library.NewEthtool()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	// Other features, to see that switching on does switch: one of the first 32 and
	// one of the others.
	for _, feature := range []string{"tx-checksum-ip-generic", "rx-gro-list"} {
		if err := client.Change("e0", map[string]bool{feature: false}); err != nil {
			t.Fatal(err)
		}
		if err := enableFeature(t.Context(), "e0", feature); err != nil {
			t.Fatal(err)
		}
	}
	states, err := client.FeaturesWithState("e0")
	if err != nil || !states["rx-gro-list"].Active || !states["tx-checksum-ip-generic"].Active {
		t.Errorf("another client reads %+v, %v", states, err)
	}
	for feature, want := range states {
		got, err := withEthtool(t.Context(), "e0", func(e ethtool) (hw.Feature, error) {
			f, err := e.feature(feature)
			return f.state, err
		})
		if err != nil || (got == hw.FeatureOn) != want.Active || (got == hw.FeatureOff) != (want.Available && !want.Active) {
			t.Errorf("%s is %q, %v; another client reads %+v", feature, got, err, want)
		}
	}
}

func TestDefaultRoutesAreFoundInAllTheirForms(t *testing.T) {
	var index []int
	for i, name := range []string{"r0", "r1", "r2", "r3", "r4"} {
		a, peer := pair(t, name, name+"p")
		index = append(index, a.Attrs().Index)
		for _, err := range []error{netlink.LinkSetUp(a), netlink.LinkSetUp(peer), netlink.AddrAdd(a, &netlink.Addr{
			IPNet: &net.IPNet{IP: net.IPv4(192, 0, 2, byte(16*i+1)), Mask: net.CIDRMask(28, 32)},
		})} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	hop := func(i int) *netlink.NexthopInfo {
		return &netlink.NexthopInfo{LinkIndex: index[i], Gw: net.IPv4(192, 0, 2, byte(16*i+2))}
	}
	all4 := &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}
	tests := []struct {
		name  string
		route *netlink.Route
		want  []int
	}{
		{"over a gateway", &netlink.Route{Dst: all4, LinkIndex: index[0], Gw: hop(0).Gw}, []int{index[0]}},
		{"over a netdev", &netlink.Route{Dst: all4, LinkIndex: index[1], Scope: netlink.SCOPE_LINK}, []int{index[1]}},
		{"over several", &netlink.Route{Dst: all4, MultiPath: []*netlink.NexthopInfo{hop(2), hop(1)}}, []int{index[1], index[2]}},
		{"IPv6", &netlink.Route{
			Dst: &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}, LinkIndex: index[3], Gw: net.ParseIP("fe80::1"),
		}, []int{index[3]}},
		{"another table is not the main one", &netlink.Route{Dst: all4, LinkIndex: index[4], Scope: netlink.SCOPE_LINK, Table: 100}, nil},
		{"a route that refuses leads nowhere", &netlink.Route{Dst: all4, Type: unix.RTN_UNREACHABLE}, nil},
		{"half of all addresses is no default", &netlink.Route{
			Dst: &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(1, 32)}, LinkIndex: index[4], Scope: netlink.SCOPE_LINK,
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := netlink.RouteAdd(tt.route); err != nil {
				t.Fatal(err)
			}
			got, err := links{}.DefaultRoutes(t.Context())
			if err := netlink.RouteDel(tt.route); err != nil {
				t.Error(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestTheRouteToAnAddressIsFound(t *testing.T) {
	address := func(text string) *netlink.Addr {
		a, err := netlink.ParseAddr(text)
		if err != nil {
			t.Fatal(err)
		}
		a.Flags = unix.IFA_F_NODAD
		return a
	}
	up := func(name string, addrs ...string) int {
		a, peer := pair(t, name, name+"p")
		for _, l := range []netlink.Link{a, peer} {
			if err := netlink.LinkSetUp(l); err != nil {
				t.Fatal(err)
			}
		}
		for _, text := range addrs {
			if err := netlink.AddrAdd(a, address(text)); err != nil {
				t.Fatal(err)
			}
		}
		return a.Attrs().Index
	}
	q0, q1 := up("q0", "198.51.100.1/28", "2001:db8:1::1/64"), up("q1", "198.51.100.17/28")
	several := &netlink.Route{
		Dst: &net.IPNet{IP: net.IPv4(203, 0, 113, 0), Mask: net.CIDRMask(24, 32)},
		MultiPath: []*netlink.NexthopInfo{
			{LinkIndex: q0, Gw: net.IPv4(198, 51, 100, 2)}, {LinkIndex: q1, Gw: net.IPv4(198, 51, 100, 18)},
		},
	}
	refused := &netlink.Route{Dst: &net.IPNet{IP: net.IPv4(192, 88, 99, 0), Mask: net.CIDRMask(24, 32)}, Type: unix.RTN_UNREACHABLE}
	for _, r := range []*netlink.Route{several, refused} {
		if err := netlink.RouteAdd(r); err != nil {
			t.Fatal(err)
		}
	}
	both := []int{q0, q1}
	slices.Sort(both)
	for addr, want := range map[string][]int{
		"198.51.100.2":        {q0}, // by the subnet
		"198.51.100.1":        {q0}, // its own
		"::ffff:198.51.100.2": {q0},
		"198.51.100.18":       {q1},
		"2001:db8:1::2":       {q0},
		"2001:db8:1::1":       {q0},
		"203.0.113.9":         both,
		"192.88.99.1":         nil,
		"192.0.0.9":           nil, // no route at all
		"2001:db8:9::1":       nil,
	} {
		got, err := links{}.RouteTo(t.Context(), netip.MustParseAddr(addr))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: over %v, %v; want %v", addr, got, err, want)
		}
	}
}

func TestADefaultRouteOverNexthopObjectsIsFound(t *testing.T) {
	a, _ := pair(t, "n0", "n1")
	b, _ := pair(t, "n2", "n3")
	for _, l := range []netlink.Link{a, b, link(t, "n1"), link(t, "n3")} {
		if err := netlink.LinkSetUp(l); err != nil {
			t.Fatal(err)
		}
	}
	create := func(kind uint16, header []byte, attrs ...client.Attribute) {
		t.Helper()
		_, err := ask(t.Context(), request{
			protocol: unix.NETLINK_ROUTE, kind: kind, flags: client.Create, header: body(header, attrs...),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	object := func(id uint32, family byte, attr client.Attribute) {
		t.Helper()
		header := make([]byte, nexthopHeader)
		header[0] = family
		create(unix.RTM_NEWNEXTHOP, header, u32(unix.NHA_ID, id), attr)
	}
	object(1, unix.AF_INET, u32(unix.NHA_OIF, uint32(a.Attrs().Index)))
	object(2, unix.AF_INET, u32(unix.NHA_OIF, uint32(b.Attrs().Index)))
	member := func(id byte) []byte { return []byte{id, 0, 0, 0, 0, 0, 0, 0} }
	object(3, unix.AF_UNSPEC, client.Attribute{Type: unix.NHA_GROUP, Data: append(member(1), member(2)...)})
	route := make([]byte, unix.SizeofRtMsg)
	route[0], route[4], route[5], route[7] = unix.AF_INET, unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, unix.RTN_UNICAST
	create(unix.RTM_NEWROUTE, route, u32(routeNexthopID, 3))
	want := []int{a.Attrs().Index, b.Attrs().Index}
	slices.Sort(want)
	for _, compat := range []string{"1", "0"} {
		if err := os.WriteFile("/proc/sys/net/ipv4/nexthop_compat_mode", []byte(compat), 0); err != nil {
			t.Fatal(err)
		}
		got, err := links{}.DefaultRoutes(t.Context())
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("with nexthop_compat_mode %s: %v, %v; want %v", compat, got, err, want)
		}
		got, err = links{}.RouteTo(t.Context(), netip.MustParseAddr("203.0.113.200"))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("with nexthop_compat_mode %s the route to an address leads over %v, %v; want %v", compat, got, err, want)
		}
	}
}

func TestARealAttributeAnswersWithItsErrno(t *testing.T) {
	pair(t, "f0", "f1")
	h, err := New("/")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Attrs.WriteAttr(t.Context(), "sys/class/net/f0/mtu", "1350"); err != nil {
		t.Error(err)
	}
	if got, err := host.ReadInt(h.Files, "sys/class/net/f0/mtu"); err != nil || got != 1350 {
		t.Errorf("mtu is %d, %v", got, err)
	}
	err = h.Attrs.WriteAttr(t.Context(), "sys/class/net/f0/mtu", "10")
	if !errors.Is(err, unix.EINVAL) || err.Error() != `write "10" to sys/class/net/f0/mtu: invalid argument` {
		t.Errorf("got %v", err)
	}
}

// next waits for an event that fits.
func next(t *testing.T, events <-chan host.Event, fits func(host.Event) bool) host.Event {
	t.Helper()
	timeout := time.After(10 * time.Second)
	var seen []host.Event
	for {
		select {
		case e, open := <-events:
			if !open {
				t.Fatalf("the channel was closed; seen: %+v", seen)
			}
			if fits(e) {
				return e
			}
			seen = append(seen, e)
		case <-timeout:
			t.Fatalf("no such event; seen: %+v", seen)
		}
	}
}

func TestAWatcherTellsOfNetdevsAndEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	bursts, err := watcher{files: tree{root: "/"}, families: newFamilies()}.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	events := contract.Singly(bursts)
	a, _ := pair(t, "g0", "g1")
	added := next(t, events, func(e host.Event) bool { return e.Source == host.FromKernel && e.Path == "devices/virtual/net/g0" })
	if diff := cmp.Diff(host.Event{
		Source: host.FromKernel, Action: "add", Subsystem: "net", Path: "devices/virtual/net/g0",
	}, added); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	if err := netlink.LinkSetName(a, "g2"); err != nil {
		t.Fatal(err)
	}
	next(t, events, func(e host.Event) bool {
		return e.Source == host.FromKernel && e.Action == "move" && e.Path == "devices/virtual/net/g2"
	})
	if err := netlink.LinkSetMTU(a, 1234); err != nil {
		t.Fatal(err)
	}
	next(t, events, func(e host.Event) bool {
		return e == host.Event{Source: host.FromLinks, Action: "change", Subsystem: "net", Path: "devices/virtual/net/g2"}
	})
	if err := netlink.LinkSetName(a, "g0"); err != nil {
		t.Fatal(err)
	}
	cancel()
	for range events {
	}
}

func TestUdevsWordIsHeardAndAForgedKernelsIsNot(t *testing.T) {
	bursts, err := watcher{files: tree{root: "/"}, families: newFamilies()}.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	events := contract.Singly(bursts)
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for _, m := range []struct {
		groups uint32
		data   []byte
	}{
		{groupKernel, []byte("add@/devices/forged\x00ACTION=add\x00DEVPATH=/devices/forged\x00")},
		{groupUdev, udevBytes("ACTION=change\x00DEVPATH=/devices/told\x00SUBSYSTEM=pci\x00")},
	} {
		to := &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: m.groups}
		if err := unix.Sendto(fd, m.data, 0, to); err != nil {
			t.Fatal(err)
		}
	}
	got := next(t, events, func(e host.Event) bool {
		return strings.HasPrefix(e.Path, "devices/forged") || e.Source == host.FromUdev
	})
	want := host.Event{Source: host.FromUdev, Action: "change", Subsystem: "pci", Path: "devices/told"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestAReaderThatIsTooSlowHearsThatEventsWereLost(t *testing.T) {
	s, err := subscribe(unix.NETLINK_KOBJECT_UEVENT, groupUdev)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.SetsockoptInt(unix.SOL_SOCKET, unix.SO_RCVBUF, 1); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for range 64 {
		message := udevBytes("ACTION=add\x00DEVPATH=/devices/a\x00SUBSYSTEM=pci\x00PAD=" + strings.Repeat("x", 512) + "\x00")
		if err := unix.Sendto(fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groupUdev}); err != nil {
			t.Fatal(err)
		}
	}
	bursts := make(chan []host.Event)
	go pump(t.Context(), bursts, host.FromUdev, s, readDatagram)
	out := contract.Singly(bursts)
	next(t, out, func(e host.Event) bool { return e.Lost })
	next(t, out, func(e host.Event) bool { return e.Path == "devices/a" })
}

func TestAQuestionEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (links{}).Links(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := (watcher{files: tree{root: "/"}, families: newFamilies()}).Watch(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func BenchmarkLinks(b *testing.B) {
	for _, n := range []int{10, 100} {
		b.Run(fmt.Sprintf("%d netdevs", n), func(b *testing.B) {
			for i := range n / 2 {
				pair(b, fmt.Sprintf("m%d", i), fmt.Sprintf("p%d", i))
			}
			for b.Loop() {
				if _, err := (links{}).Links(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVFs(b *testing.B) {
	a, _ := pair(b, "h0", "h1")
	for b.Loop() {
		if _, err := (links{}).VFs(b.Context(), a.Attrs().Index); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadAttr(b *testing.B) {
	files := tree{root: "/"}
	for b.Loop() {
		if _, err := host.ReadAttr(files, "sys/class/net/lo/mtu"); err != nil {
			b.Fatal(err)
		}
	}
}

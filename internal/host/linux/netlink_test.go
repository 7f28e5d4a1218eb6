// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/mdlayher/netlink"
	"github.com/mdlayher/netlink/nlenc"
	"github.com/mdlayher/netlink/nltest"
	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/internal/host"
)

func text(kind uint16, s string) netlink.Attribute {
	return netlink.Attribute{Type: kind, Data: nlenc.Bytes(s)}
}

func u8(kind uint16, v uint8) netlink.Attribute {
	return netlink.Attribute{Type: kind, Data: []byte{v}}
}

func u32(kind uint16, v uint32) netlink.Attribute {
	return netlink.Attribute{Type: kind, Data: nlenc.Uint32Bytes(v)}
}

func nest(kind uint16, attrs ...netlink.Attribute) netlink.Attribute {
	return netlink.Attribute{Type: kind, Data: nltest.MustMarshalAttributes(attrs)}
}

// body is the body of a message: the family's header and attributes. Like the
// kernel, it does not notice when an attribute outgrows its length.
func body(header []byte, attrs ...netlink.Attribute) []byte {
	return append(header, nltest.MustMarshalAttributes(attrs)...)
}

func message(kind uint16, body []byte) netlink.Message {
	return netlink.Message{Header: netlink.Header{Type: netlink.HeaderType(kind)}, Data: body}
}

// kernel is a socket whose other end answers so.
func kernel(t *testing.T, answer nltest.Func) *netlink.Conn {
	t.Helper()
	conn := nltest.Dial(answer)
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

func TestAnErrorKeepsItsErrnoAndTheKernelsWords(t *testing.T) {
	tests := []struct {
		name  string
		words string
		want  string
	}{
		{"an error without words", "", "invalid argument"},
		{
			"words after the request", "mtu greater than device maximum",
			"invalid argument (mtu greater than device maximum)",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn := kernel(t, func(requests []netlink.Message) ([]netlink.Message, error) {
				answer, err := nltest.Error(int(unix.EINVAL), requests)
				if tt.words == "" {
					return answer, err
				}
				// The errno, the header of the request and the words.
				answer[0].Data = binary.NativeEndian.AppendUint32(answer[0].Data[:4], unix.SizeofNlMsghdr)
				answer[0].Data = append(answer[0].Data, make([]byte, unix.SizeofNlMsghdr-4)...)
				answer[0].Data = body(answer[0].Data, text(unix.NLMSGERR_ATTR_MSG, tt.words))
				answer[0].Header.Flags |= netlink.AcknowledgeTLVs
				return answer, err
			})
			_, err := execute(conn, netlink.Message{Header: netlink.Header{Flags: netlink.Request}})
			err = kernelError(err)
			if !errors.Is(err, unix.EINVAL) || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestADumpThatIsInterruptedIsBegunAnew(t *testing.T) {
	tests := []struct {
		name          string
		interruptions int
		want          error
	}{
		{"a dump of one moment is taken", 0, nil},
		{"the first dump of one moment is taken", dumpTries - 1, nil},
		{"a list that never stands still is an error", dumpTries, errInterrupted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dumps := 0
			conn := kernel(t, func(requests []netlink.Message) ([]netlink.Message, error) {
				dumps++
				answer := []netlink.Message{message(unix.RTM_NEWLINK, []byte{1}), message(unix.RTM_NEWLINK, []byte{2}), {}}
				for i := range answer {
					answer[i].Header.Sequence, answer[i].Header.PID = requests[0].Header.Sequence, nltest.PID
				}
				if dumps <= tt.interruptions {
					answer[1].Header.Flags |= netlink.DumpInterrupted
				}
				return nltest.Multipart(answer)
			})
			got, err := execute(conn, netlink.Message{Header: netlink.Header{Flags: netlink.Request | netlink.Dump}})
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if want := min(tt.interruptions+1, dumpTries); dumps != want {
				t.Errorf("%d dumps, want %d", dumps, want)
			}
			if tt.want == nil && len(got) != 2 {
				t.Errorf("got %d messages, want 2", len(got))
			}
		})
	}
}

func TestADevlinkParameterIsItsRuntimeValue(t *testing.T) {
	value := func(mode uint8, s string) netlink.Attribute {
		return nest(unix.DEVLINK_ATTR_PARAM_VALUE,
			text(unix.DEVLINK_ATTR_PARAM_VALUE_DATA, s), u8(unix.DEVLINK_ATTR_PARAM_VALUE_CMODE, mode))
	}
	answer := func(kind uint8, values ...netlink.Attribute) []byte {
		return body(nil, text(unix.DEVLINK_ATTR_BUS_NAME, "pci"), nest(unix.DEVLINK_ATTR_PARAM,
			text(unix.DEVLINK_ATTR_PARAM_NAME, "flow_steering_mode"),
			u8(unix.DEVLINK_ATTR_PARAM_TYPE, kind),
			nest(unix.DEVLINK_ATTR_PARAM_VALUES_LIST, values...)))
	}
	permanent, runtime := value(unix.DEVLINK_PARAM_CMODE_PERMANENT, "dmfs"), value(unix.DEVLINK_PARAM_CMODE_RUNTIME, "smfs")
	got, err := parseParam(answer(paramString, runtime, permanent))
	if err != nil || got != "smfs" {
		t.Errorf("got %q, %v; want smfs", got, err)
	}
	if _, err := parseParam(answer(paramString, permanent)); !errors.Is(err, host.ErrUnsupported) {
		t.Errorf("without a runtime value: %v, want ErrUnsupported", err)
	}
	if got, err := parseParam(answer(1, runtime)); err == nil {
		t.Errorf("a number was read as %q", got)
	}
	if got, err := parseParam(nil); err == nil {
		t.Errorf("an empty answer was read as %q", got)
	}
}

func TestAnAttributeOfAnotherSizeIsNoNumber(t *testing.T) {
	for name, b := range map[string][]byte{
		"an MTU of one octet":        body(linkHeader(3), u8(unix.IFLA_MTU, 7)),
		"an MTU without a value":     body(linkHeader(3), netlink.Attribute{Type: unix.IFLA_MTU}),
		"a name that is cut":         append(linkHeader(3), 9, 0, unix.IFLA_IFNAME, 0, 'e'),
		"a header that is cut":       linkHeader(3)[:15],
		"an octet behind the last":   append(body(linkHeader(3), u32(unix.IFLA_MTU, 7)), 0),
		"a nest with a name too big": body(linkHeader(3), netlink.Attribute{Type: unix.IFLA_LINKINFO, Data: []byte{9, 0, 1, 0}}),
	} {
		if got, err := parseLink(b); err == nil {
			t.Errorf("%s was read as %+v", name, got)
		}
	}
}

func FuzzBodies(f *testing.F) {
	f.Add(body(linkHeader(3), text(unix.IFLA_IFNAME, "eth0"), nest(unix.IFLA_LINKINFO, text(unix.IFLA_INFO_KIND, "bond"))))
	f.Add(pfMessage(2, manyVFs(2)...))
	f.Add([]byte{5, 0, 1, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = parseLink(b)
		if vfs, err := parseVFs(b); err == nil && len(vfs)*vfMACSize > len(b) {
			t.Errorf("%d VFs came out of %d octets", len(vfs), len(b))
		}
		for _, kind := range []uint16{unix.RTM_NEWLINK, unix.RTM_DELLINK, unix.RTM_NEWROUTE, unix.RTM_NEWNEXTHOP} {
			_, _ = parseLinkChange(message(kind, b))
			_, _ = parseRoute(message(kind, b))
			_, _ = parseNexthop(message(kind, b))
		}
		_, _ = parseParam(b)
	})
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/internal/host"
)

// datagramOf makes a message as the kernel sends it.
func datagramOf(kind, flags uint16, body []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(messageHeader+len(body)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint64(b, 1)
	b = append(b, body...)
	return append(b, make([]byte, aligned(len(body))-len(body))...)
}

// errorBody is the body of an NLMSG_ERROR that repeats a request of 5 octets
// after its header, or when capped the header alone.
func errorBody(errno unix.Errno, capped bool, words string) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(-int32(errno)))
	echo := datagramOf(unix.RTM_SETLINK, 0, []byte("12345"))
	if capped {
		echo = echo[:messageHeader]
	}
	b = append(b, echo...)
	return append(b, payload{}.addText(unix.NLMSGERR_ATTR_MSG, words)...)
}

func TestAnErrorKeepsItsErrnoAndTheKernelsWords(t *testing.T) {
	tests := []struct {
		name  string
		flags uint16
		body  []byte
		want  string
	}{
		{"an error without words", 0, errorBody(unix.EINVAL, false, "")[:4], "invalid argument"},
		{"words that are not announced are not read", 0, errorBody(unix.EINVAL, false, "no"), "invalid argument"},
		{
			"words after the whole request", unix.NLM_F_ACK_TLVS,
			errorBody(unix.EINVAL, false, "mtu greater than device maximum"),
			"invalid argument (mtu greater than device maximum)",
		},
		{
			"words after the request's header", unix.NLM_F_ACK_TLVS | unix.NLM_F_CAPPED,
			errorBody(unix.EINVAL, true, "mtu less than device minimum"),
			"invalid argument (mtu less than device minimum)",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var c conversation
			err := c.take(datagramOf(unix.NLMSG_ERROR, tt.flags, tt.body))
			if !errors.Is(err, unix.EINVAL) || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestADumpEndsWithItsDoneMessage(t *testing.T) {
	var c conversation
	first := append(datagramOf(unix.RTM_NEWLINK, unix.NLM_F_MULTI, []byte("one")), datagramOf(unix.RTM_NEWLINK, unix.NLM_F_MULTI, []byte("two"))...)
	if err := c.take(first); err != nil || c.done {
		t.Fatalf("after the first part: done %v, %v", c.done, err)
	}
	if err := c.take(datagramOf(unix.NLMSG_DONE, unix.NLM_F_DUMP_INTR, make([]byte, 4))); err != nil || !c.done || !c.interrupted {
		t.Fatalf("at the end: done %v, interrupted %v, %v", c.done, c.interrupted, err)
	}
	want := []message{{unix.RTM_NEWLINK, []byte("one")}, {unix.RTM_NEWLINK, []byte("two")}}
	if diff := cmp.Diff(want, c.messages, cmp.AllowUnexported(message{})); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	failed := binary.NativeEndian.AppendUint32(nil, 0xffffffff-uint32(unix.ENOBUFS)+1)
	if err := new(conversation).take(datagramOf(unix.NLMSG_DONE, 0, failed)); !errors.Is(err, unix.ENOBUFS) {
		t.Errorf("a dump that ends with an error: %v", err)
	}
}

func TestAttributesComeBackAsTheyWereMade(t *testing.T) {
	made := payload{}.addU8(1, 7).addU16(2, 4096).addU32(3, 1<<31).addText(4|unix.NLA_F_NESTED, "name").add(5, nil)
	attrs, err := splitAttrs(made)
	if err != nil {
		t.Fatal(err)
	}
	if len(attrs) != 5 {
		t.Fatalf("got %d attributes, want 5", len(attrs))
	}
	if attrs[0].u8() != 7 || attrs[1].u16() != 4096 || attrs[2].u32() != 1<<31 || attrs[3].text() != "name" || attrs[3].kind != 4 {
		t.Errorf("got %v", attrs)
	}
	if attrs[4].u8() != 0 || attrs[4].u16() != 0 || attrs[4].u32() != 0 {
		t.Error("an empty attribute is a number")
	}
}

func TestADevlinkParameterIsItsRuntimeValue(t *testing.T) {
	value := func(mode uint8, text string) payload {
		return payload{}.add(unix.DEVLINK_ATTR_PARAM_VALUE, payload{}.
			addText(unix.DEVLINK_ATTR_PARAM_VALUE_DATA, text).
			addU8(unix.DEVLINK_ATTR_PARAM_VALUE_CMODE, mode))
	}
	param := func(kind uint8, values payload) payload {
		return payload{}.addText(unix.DEVLINK_ATTR_PARAM_NAME, "flow_steering_mode").
			addU8(unix.DEVLINK_ATTR_PARAM_TYPE, kind).
			add(unix.DEVLINK_ATTR_PARAM_VALUES_LIST, values)
	}
	permanent, runtime := value(unix.DEVLINK_PARAM_CMODE_PERMANENT, "dmfs"), value(unix.DEVLINK_PARAM_CMODE_RUNTIME, "smfs")
	got, err := parseParam(param(paramString, append(permanent, runtime...)))
	if err != nil || got != "smfs" {
		t.Errorf("got %q, %v; want smfs", got, err)
	}
	if _, err := parseParam(param(paramString, permanent)); !errors.Is(err, host.ErrUnsupported) {
		t.Errorf("without a runtime value: %v, want ErrUnsupported", err)
	}
	if got, err := parseParam(param(1, runtime)); err == nil {
		t.Errorf("a number was read as %q", got)
	}
}

func FuzzSplitAttrs(f *testing.F) {
	f.Add([]byte(payload{}.addText(3, "eth0").add(18, payload{}.addText(1, "bond"))))
	f.Add([]byte{5, 0, 1, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		attrs, err := splitAttrs(b)
		var length int
		for _, a := range attrs {
			length += attrHeader + len(a.value)
		}
		if length > len(b) {
			t.Errorf("%d octets came out of %d", length, len(b))
		}
		if err == nil && len(b) > 0 && len(attrs) == 0 {
			t.Error("nothing was read without an error")
		}
	})
}

func FuzzConversation(f *testing.F) {
	f.Add(datagramOf(unix.RTM_NEWLINK, unix.NLM_F_MULTI, linkHeader(3).addText(unix.IFLA_IFNAME, "eth0")))
	f.Add(datagramOf(unix.NLMSG_ERROR, unix.NLM_F_ACK_TLVS, errorBody(unix.EBUSY, false, "busy")))
	f.Add(datagramOf(unix.NLMSG_ERROR, unix.NLM_F_ACK_TLVS|unix.NLM_F_CAPPED, errorBody(unix.EBUSY, true, "busy")))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c conversation
		_ = c.take(b)
		for _, m := range c.messages {
			if len(m.body) > len(b) {
				t.Errorf("a body of %d octets came out of %d", len(m.body), len(b))
			}
			_, _ = parseLink(m.body)
			_, _ = parseVFs(m.body)
			_, _ = parseLinkChange(m)
			_ = parseDefault(m)
			_ = parseNexthop(m)
			_ = genericAttrs(m)
			_, _ = parseParam(m.body)
		}
	})
}

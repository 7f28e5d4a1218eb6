// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/binary"
	"net"

	"golang.org/x/sys/unix"
)

// setUp sets a netdev up.
func setUp(index int) error {
	body := header(index)
	binary.NativeEndian.PutUint32(body[8:], unix.IFF_UP)
	binary.NativeEndian.PutUint32(body[12:], unix.IFF_UP)
	return change(body)
}

// setMACs gives all VFs of a PF their MACs with one message.
func setMACs(index int, macs []net.HardwareAddr) error {
	const vfInfo, vfMAC = 1, 1 // include/uapi/linux/if_link.h
	var list []byte
	for i, mac := range macs {
		value := make([]byte, 36) // struct ifla_vf_mac
		binary.NativeEndian.PutUint32(value, uint32(i))
		copy(value[4:], mac)
		list = append(list, attribute(vfInfo, attribute(vfMAC, value))...)
	}
	return change(append(header(index), attribute(unix.IFLA_VFINFO_LIST, list)...))
}

// header is struct ifinfomsg.
func header(index int) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	return b
}

// attribute needs no padding here: all lengths are multiples of four.
func attribute(kind uint16, value []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	return append(b, value...)
}

// change sends one RTM_SETLINK and reads the kernel's answer.
func change(body []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	m := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	m = binary.NativeEndian.AppendUint16(m, unix.RTM_SETLINK)
	m = binary.NativeEndian.AppendUint16(m, unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	m = append(m, make([]byte, 8)...) // sequence number and port
	if err := unix.Sendto(fd, append(m, body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 8192)
	n, err := unix.Read(fd, answer)
	if err != nil {
		return err
	}
	if n < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return unix.EBADMSG
	}
	if code := int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:])); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}

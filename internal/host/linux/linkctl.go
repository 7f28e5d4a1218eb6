// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// linkControl is host.LinkControl.
type linkControl struct{}

// SetMTU implements host.LinkControl.
func (linkControl) SetMTU(ctx context.Context, index, mtu int) error {
	attrs := netlink.NewAttributeEncoder()
	attrs.Uint32(unix.IFLA_MTU, uint32(mtu))
	if err := setLink(ctx, linkHeader(index), attrs); err != nil {
		return fmt.Errorf("set MTU of link %d to %d: %w", index, mtu, err)
	}
	return nil
}

// SetUp implements host.LinkControl.
func (linkControl) SetUp(ctx context.Context, index int) error {
	header := linkHeader(index)
	binary.NativeEndian.PutUint32(header[8:], unix.IFF_UP)  // ifi_flags
	binary.NativeEndian.PutUint32(header[12:], unix.IFF_UP) // ifi_change
	if err := setLink(ctx, header, nil); err != nil {
		return fmt.Errorf("set link %d up: %w", index, err)
	}
	return nil
}

// SetVFMAC implements host.LinkControl.
func (linkControl) SetVFMAC(ctx context.Context, pfIndex, vf int, mac hw.MAC) error {
	attempt := fmt.Sprintf("set admin MAC of VF %d of link %d to %s", vf, pfIndex, mac)
	address, err := net.ParseMAC(string(mac))
	if err != nil {
		return fmt.Errorf("%s: %w", attempt, err)
	}
	value := make([]byte, vfMACSize)
	binary.NativeEndian.PutUint32(value, uint32(vf))
	copy(value[4:], address)
	if err := setVF(ctx, pfIndex, value, vfInfoMAC); err != nil {
		return fmt.Errorf("%s: %w", attempt, err)
	}
	return nil
}

// SetVFGUID implements host.LinkControl.
func (linkControl) SetVFGUID(ctx context.Context, pfIndex, vf int, guid hw.GUID) error {
	// struct ifla_vf_guid: the VF, padding, and the GUID as a number.
	value := make([]byte, 16)
	binary.NativeEndian.PutUint32(value, uint32(vf))
	binary.NativeEndian.PutUint64(value[8:], uint64(guid))
	if err := setVF(ctx, pfIndex, value, vfInfoNodeGUID, vfInfoPortGUID); err != nil {
		return fmt.Errorf("set GUID of VF %d of link %d to %s: %w", vf, pfIndex, guid, err)
	}
	return nil
}

// setVF sends one value as attributes of a VF through its PF.
func setVF(ctx context.Context, pfIndex int, value []byte, kinds ...uint16) error {
	attrs := netlink.NewAttributeEncoder()
	attrs.Nested(unix.IFLA_VFINFO_LIST, func(list *netlink.AttributeEncoder) error {
		list.Nested(vfInfo, func(vf *netlink.AttributeEncoder) error {
			for _, kind := range kinds {
				vf.Bytes(kind, value)
			}
			return nil
		})
		return nil
	})
	return setLink(ctx, linkHeader(pfIndex), attrs)
}

func setLink(ctx context.Context, header []byte, attrs *netlink.AttributeEncoder) error {
	_, err := ask(ctx, request{protocol: unix.NETLINK_ROUTE, kind: unix.RTM_SETLINK, header: header, attrs: attrs})
	return err
}

// EnableTCOffload implements host.LinkControl.
func (linkControl) EnableTCOffload(ctx context.Context, name string) error {
	return enableFeature(ctx, name, tcOffload)
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package hw

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// ID is a PCI vendor or device id: four lower-case hex digits, "15b3".
type ID string

// ParseID reads an id as sysfs writes it ("0x15b3") or as people do ("15B3").
func ParseID(s string) (ID, error) {
	digits := strings.ToLower(strings.TrimPrefix(strings.TrimSpace(s), "0x"))
	if _, err := strconv.ParseUint(digits, 16, 16); err != nil || len(digits) != 4 {
		return "", fmt.Errorf("PCI id %q: four hex digits are needed, like 15b3", s)
	}
	return ID(digits), nil
}

// MAC is a link-layer address in lower-case colon form: six octets for Ethernet,
// twenty for InfiniBand. The empty MAC means that there is none.
type MAC string

// ParseMAC reads an address of 6, 8 or 20 octets.
func ParseMAC(s string) (MAC, error) {
	a, err := net.ParseMAC(s)
	if err != nil {
		return "", fmt.Errorf("link-layer address %q: %w", s, err)
	}
	return MAC(a.String()), nil
}

// IsZero reports whether the address is empty or all zeros, which is how the
// kernel says that a VF has no admin MAC.
func (m MAC) IsZero() bool { return strings.Trim(string(m), "0:") == "" }

// DeriveMAC is the MAC that this project gives to a new VF: locally administered,
// unicast, and the same for the same PF and index after every reboot.
func DeriveMAC(seed MAC, vf VFRef) MAC {
	h := derive("mac", seed, vf)
	// Bit 0 of the first octet is multicast, bit 1 is "locally administered"
	// (IEEE 802-2014, section 8.2.2).
	h[0] = h[0]&^0x01 | 0x02
	return MAC(net.HardwareAddr(h[:6]).String())
}

// GUID is a 64-bit InfiniBand identity. Zero means that there is none.
type GUID uint64

// ParseGUID reads eight octets with colons, or four groups as sysfs writes them
// ("0002:c903:0000:1234").
func ParseGUID(s string) (GUID, error) {
	b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(s), ":", ""))
	if err != nil || len(b) != 8 {
		return 0, fmt.Errorf("GUID %q: sixteen hex digits are needed, like 00:02:c9:03:00:00:12:34", s)
	}
	return GUID(binary.BigEndian.Uint64(b)), nil
}

// String is eight octets with colons.
func (g GUID) String() string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(g))
	return net.HardwareAddr(b[:]).String()
}

// MarshalText makes the GUID a string in JSON and YAML; none is the empty string.
func (g GUID) MarshalText() ([]byte, error) {
	if g == 0 {
		return nil, nil
	}
	return []byte(g.String()), nil
}

// UnmarshalText is ParseGUID; the empty string is none.
func (g *GUID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*g = 0
		return nil
	}
	v, err := ParseGUID(string(text))
	if err != nil {
		return err
	}
	*g = v
	return nil
}

// DeriveGUID is the GUID that this project gives to a VF: the same for the same
// PF and index after every reboot, and never zero or multicast.
func DeriveGUID(seed MAC, vf VFRef) GUID {
	h := derive("guid", seed, vf)
	h[0] = h[0]&^0x01 | 0x02
	return GUID(binary.BigEndian.Uint64(h[:8]))
}

// derive hashes a PF's permanent address, which is unique in the world, with the
// VF's place under it.
func derive(kind string, seed MAC, vf VFRef) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "sriov-network-operator/%s/%s/%s", kind, seed, vf))
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// Memory is what is known of PFs from before: what was configured, and what they
// were like at first. "Ours or not ours" cannot be observed on a machine.
type Memory map[hw.PCIAddr]Record

// Record is what is remembered of one PF. Its JSON begins with the fields that
// the operator before this one wrote, so that each can read the other's.
type Record struct {
	PF                hw.PCIAddr     `json:"pciAddress"`
	Name              string         `json:"name,omitempty"`
	NumVFs            int            `json:"numVfs"`
	MTU               int            `json:"mtu,omitempty"`
	Eswitch           hw.EswitchMode `json:"eSwitchMode,omitempty"`
	LinkType          hw.LinkType    `json:"linkType,omitempty"`
	ExternallyManaged bool           `json:"externallyManaged,omitempty"`
	AllowInUse        bool           `json:"allowInUse,omitempty"`
	// SetMTU is the MTU that was set here; zero when it was never touched. While
	// the PF still has it, lowering it again takes nothing from its owner.
	SetMTU int `json:"setMTU,omitempty"`
	// WasMTU is what was set here before SetMTU. A crash between writing the
	// record and setting the MTU leaves the PF with it, and it is ours, too.
	WasMTU int `json:"wasMTU,omitempty"`
	// MadeVFs says that the number of VFs was changed here, so that they are
	// ours to remove.
	MadeVFs bool `json:"madeVFs,omitempty"`
	// Initial is what the PF was like before the first change; nil when that is
	// not known, as after taking over from the operator before this one.
	Initial *Initial `json:"initial,omitempty"`
}

// Initial is what a PF was like before the first change.
type Initial struct {
	MTU     int            `json:"mtu,omitempty"`
	NumVFs  int            `json:"numVfs"`
	Eswitch hw.EswitchMode `json:"eSwitchMode,omitempty"`
}

// same reports whether the records say the same.
func (r Record) same(o Record) bool {
	a, b := r.Initial, o.Initial
	if (a == nil) != (b == nil) || (a != nil && *a != *b) {
		return false
	}
	r.Initial, o.Initial = nil, nil
	return r == o
}

// defaultMTU is what an Ethernet PF goes back to when its first MTU is not known.
const defaultMTU = 1500

// defaultIBMTU is the same for InfiniBand in datagram mode.
const defaultIBMTU = 2044

// mtuTarget is the MTU that a PF should have: never below what its owner set,
// which is what it has unless that was set here.
func mtuTarget(asked, present int, rec Record) int {
	return max(asked, ownersMTU(present, rec))
}

func ownersMTU(present int, rec Record) int {
	if rec.set(present) && rec.Initial != nil {
		return rec.Initial.MTU
	}
	return present
}

// set reports whether an MTU was set here.
func (r Record) set(mtu int) bool { return mtu != 0 && (mtu == r.SetMTU || mtu == r.WasMTU) }

// resetMTU is the MTU that a PF goes back to. One that somebody else changed
// meanwhile is theirs and stays.
func resetMTU(saw hw.PF, present int, rec Record) int {
	switch {
	case rec.Initial != nil:
		return ownersMTU(present, rec)
	case rec.MTU == 0 || rec.MTU != present:
		return present
	case saw.LinkType == hw.LinkInfiniBand:
		return defaultIBMTU
	}
	return defaultMTU
}

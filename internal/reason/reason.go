// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package reason is the closed list of machine-readable reasons: why a step is
// taken, why something cannot be done, why a policy won or lost.
package reason

import "fmt"

// Reason is a constant that software may read. What it means for people is in
// Sentence, what to do about it in Fix.
type Reason string

// Reasons for a step.
const (
	CountDiffers       Reason = "CountDiffers"
	CountNeedsZero     Reason = "CountNeedsZero"
	EswitchModeDiffers Reason = "EswitchModeDiffers"
	EswitchNeedsLegacy Reason = "EswitchNeedsLegacy"
	EswitchNeedsNoVFs  Reason = "EswitchNeedsNoVFs"
	EswitchNeedsIdle   Reason = "EswitchNeedsIdle"
	SteeringDiffers    Reason = "SteeringDiffers"
	OffloadOff         Reason = "OffloadOff"
	MTUDiffers         Reason = "MTUDiffers"
	LinkDown           Reason = "LinkDown"
	DriverDiffers      Reason = "DriverDiffers"
	DriverMissing      Reason = "DriverMissing"
	NewVF              Reason = "NewVF"
	BindOnce           Reason = "BindOnce"
	AutoprobeOff       Reason = "AutoprobeOff"
	MACNotPinned       Reason = "MACNotPinned"
	GUIDMissing        Reason = "GUIDMissing"
	RDMANeedsRebind    Reason = "RDMANeedsRebind"
	VDPADiffers        Reason = "VDPADiffers"
	ModuleMissing      Reason = "ModuleMissing"
	FileDiffers        Reason = "FileDiffers"
	Claim              Reason = "Claim"
	PolicyGone         Reason = "PolicyGone"
	KernelArgMissing   Reason = "KernelArgMissing"
)

// Reasons why something that was asked for is not done.
const (
	PFMissing            Reason = "PFMissing"
	TotalVFsExceeded     Reason = "TotalVFsExceeded"
	EswitchUnsupported   Reason = "EswitchUnsupported"
	EswitchUnreadable    Reason = "EswitchUnreadable"
	MTUUnreadable        Reason = "MTUUnreadable"
	MTUTooLarge          Reason = "MTUTooLarge"
	MTUKept              Reason = "MTUKept"
	LinkTypeDiffers      Reason = "LinkTypeDiffers"
	HostTraffic          Reason = "HostTraffic"
	NoIOMMU              Reason = "NoIOMMU"
	IOMMUOff             Reason = "IOMMUOff"
	BootLoaderUnknown    Reason = "BootLoaderUnknown"
	BootRecordTorn       Reason = "BootRecordTorn"
	RebootInVain         Reason = "RebootInVain"
	ExternalCountTooLow  Reason = "ExternalCountTooLow"
	ExternalModeDiffers  Reason = "ExternalModeDiffers"
	ExternalMTUTooLow    Reason = "ExternalMTUTooLow"
	VirtualCount         Reason = "VirtualCount"
	VirtualMTU           Reason = "VirtualMTU"
	VirtualUserspace     Reason = "VirtualUserspace"
	LedgerTorn           Reason = "LedgerTorn"
	RDMAModeDiffers      Reason = "RDMAModeDiffers"
	OrderingAssumed      Reason = "OrderingAssumed"
	RepresentorNameLong  Reason = "RepresentorNameLong"
	BridgesNotConfigured Reason = "BridgesNotConfigured"
)

// Reasons in a trace: what became of a policy on a PF.
const (
	NodeNotSelected   Reason = "NodeNotSelected"
	NodeNotListed     Reason = "NodeNotListed"
	NoPFMatches       Reason = "NoPFMatches"
	NoVFsAsked        Reason = "NoVFsAsked"
	EmptySelector     Reason = "EmptySelector"
	DeprecatedDefault Reason = "DeprecatedDefault"
	NotListed         Reason = "NotListed"
	NICTypeDiffers    Reason = "NICTypeDiffers"
	BadPolicy         Reason = "BadPolicy"
	RangeUnreachable  Reason = "RangeUnreachable"
	RDMAWithVDPA      Reason = "RDMAWithVDPA"
	Won               Reason = "Won"
	Merged            Reason = "Merged"
	LostToPriority    Reason = "LostToPriority"
	LostToName        Reason = "LostToName"
	LostToObject      Reason = "LostToObject"
	RaisedByOther     Reason = "RaisedByOther"

	GroupNeedsSwitchdev Reason = "GroupNeedsSwitchdev"
)

// Reasons of a node's conditions: what its daemon does, and why.
const (
	AsDesired         Reason = "AsDesired"
	NotAsked          Reason = "NotAsked"
	NothingUnderWay   Reason = "NothingUnderWay"
	NoDrain           Reason = "NoDrain"
	DisturbsNobody    Reason = "DisturbsNobody"
	NobodyHolds       Reason = "NobodyHolds"
	DrainDisabled     Reason = "DrainDisabled"
	DrainGranted      Reason = "DrainGranted"
	PodsHoldVFs       Reason = "PodsHoldVFs"
	VFsMayBeGiven     Reason = "VFsMayBeGiven"
	RestartNeeded     Reason = "RestartNeeded"
	DrainPending      Reason = "DrainPending"
	DrainRunning      Reason = "DrainRunning"
	PodsLeaving       Reason = "PodsLeaving"
	LettingGo         Reason = "LettingGo"
	DrainNotNeeded    Reason = "DrainNotNeeded"
	DrainExceeds      Reason = "DrainExceeds"
	DrainFallsShort   Reason = "DrainFallsShort"
	PodsStay          Reason = "PodsStay"
	HoldersUnknown    Reason = "HoldersUnknown"
	HeldByNoPod       Reason = "HeldByNoPod"
	RestartGranted    Reason = "RestartGranted"
	RetrySoon         Reason = "RetrySoon"
	StepFailed        Reason = "StepFailed"
	PluginStays       Reason = "PluginStays"
	SpecUnreadable    Reason = "SpecUnreadable"
	SpecNotRendered   Reason = "SpecNotRendered"
	MachineUnreadable Reason = "MachineUnreadable"

	BootRestored       Reason = "BootRestored"
	BootRestoreFailed  Reason = "BootRestoreFailed"
	BootRestoreMissing Reason = "BootRestoreMissing"
)

// Why is a reason with the facts that make it true here. It explains; nothing
// decides on it.
type Why struct {
	Reason Reason `json:"reason"`
	// Detail is the fact in one phrase, with the two values that differ.
	Detail string `json:"detail,omitempty"`
}

// Because makes a Why with a formatted detail.
func Because(r Reason, format string, args ...any) Why {
	return Why{Reason: r, Detail: fmt.Sprintf(format, args...)}
}

// String is the detail, or the reason's sentence when there is none.
func (w Why) String() string {
	if w.Detail != "" {
		return w.Detail
	}
	return w.Reason.Sentence()
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// Action is a closed set: the types of this file. VFs are named by index, since
// they may not exist yet; the executor finds their addresses and netdevs when the
// step runs.
//
//sumtype:decl
type Action interface {
	// Does is the action's name, which is also its discriminator in JSON.
	Does() string
	action()
}

// LoadModule loads a kernel module.
type LoadModule struct {
	Module string `json:"module"`
}

// WriteFile makes one of this project's files hold exactly Content.
type WriteFile struct {
	Path    string   `json:"path"`
	Content string   `json:"content"`
	Mode    FileMode `json:"mode"`
}

// RemoveFile removes one of this project's files.
type RemoveFile struct {
	Path string `json:"path"`
}

// ReloadUdev makes udev read its rules again.
type ReloadUdev struct{}

// SetRDMAMode changes the RDMA namespace mode of the running kernel.
type SetRDMAMode struct {
	Mode hw.RDMAMode `json:"mode"`
}

// SetKernelArgs makes the boot loader hold arguments for the machine's next boots,
// and takes away others that were set here.
type SetKernelArgs struct {
	Add    []string `json:"add,omitempty"`
	Remove []string `json:"remove,omitempty"`
}

// RecordBoot writes down what is remembered of the machine's boots, when the boot
// loader is seen to hold some arguments and to lack others.
type RecordBoot struct {
	Record  BootRecord `json:"record"`
	Holding []string   `json:"holding,omitempty"`
	Lacking []string   `json:"lacking,omitempty"`
}

// Claim writes the PF's record down, before anything of it is changed.
type Claim struct {
	PF     hw.PCIAddr `json:"pf"`
	Record Record     `json:"record"`
}

// Release forgets the PF's record, after all of it was undone.
type Release struct {
	PF hw.PCIAddr `json:"pf"`
}

// SetLinkUp sets the PF's netdev up.
type SetLinkUp struct {
	PF hw.PCIAddr `json:"pf"`
}

// SetMTU sets the MTU of the PF's netdev, in bytes.
type SetMTU struct {
	PF   hw.PCIAddr `json:"pf"`
	From int        `json:"from"`
	To   int        `json:"to"`
}

// EnableTCOffload switches hardware offload of flows on, on the PF's netdev.
type EnableTCOffload struct {
	PF hw.PCIAddr `json:"pf"`
}

// SetSteering sets the devlink parameter flow_steering_mode.
type SetSteering struct {
	PF   hw.PCIAddr `json:"pf"`
	Mode string     `json:"mode"`
}

// SetEswitchMode changes the eSwitch's mode.
type SetEswitchMode struct {
	PF   hw.PCIAddr     `json:"pf"`
	From hw.EswitchMode `json:"from"`
	To   hw.EswitchMode `json:"to"`
}

// SetAutoprobe says whether VFs that are made from now on bind a driver by
// themselves.
type SetAutoprobe struct {
	PF hw.PCIAddr `json:"pf"`
	On bool       `json:"on"`
}

// SetNumVFs makes or removes VFs. One of From and To is always zero.
type SetNumVFs struct {
	PF   hw.PCIAddr `json:"pf"`
	From int        `json:"from"`
	To   int        `json:"to"`
}

// SetAdminMACs assigns MACs to VFs through the PF.
type SetAdminMACs struct {
	PF   hw.PCIAddr `json:"pf"`
	MACs []VFMAC    `json:"macs"`
}

// VFMAC is the MAC of one VF.
type VFMAC struct {
	VF  int    `json:"vf"`
	MAC hw.MAC `json:"mac"`
}

// SetGUIDs assigns node and port GUIDs to VFs through the PF.
type SetGUIDs struct {
	PF    hw.PCIAddr `json:"pf"`
	GUIDs []VFGUID   `json:"guids"`
}

// VFGUID is the GUID of one VF, both its node's and its port's.
type VFGUID struct {
	VF   int     `json:"vf"`
	GUID hw.GUID `json:"guid"`
}

// UnbindVFs takes VFs from their drivers.
type UnbindVFs struct {
	PF  hw.PCIAddr `json:"pf"`
	VFs []int      `json:"vfs"`
}

// BindVFs binds VFs to a driver, taking them from another one first if need be.
type BindVFs struct {
	PF  hw.PCIAddr `json:"pf"`
	VFs []int      `json:"vfs"`
	// Driver is empty for the driver that the kernel chooses.
	Driver string `json:"driver,omitempty"`
}

// SetVFMTU sets the MTU of the VFs' netdevs, in bytes.
type SetVFMTU struct {
	PF  hw.PCIAddr `json:"pf"`
	VFs []int      `json:"vfs"`
	MTU int        `json:"mtu"`
}

// CreateVDPA makes a vDPA device of each VF.
type CreateVDPA struct {
	PF   hw.PCIAddr  `json:"pf"`
	VFs  []int       `json:"vfs"`
	Type hw.VDPAType `json:"type"`
}

// DeleteVDPA removes the VFs' vDPA devices.
type DeleteVDPA struct {
	PF  hw.PCIAddr `json:"pf"`
	VFs []int      `json:"vfs"`
}

// Does names the action.
func (LoadModule) Does() string { return "LoadModule" }

// Does names the action.
func (WriteFile) Does() string { return "WriteFile" }

// Does names the action.
func (RemoveFile) Does() string { return "RemoveFile" }

// Does names the action.
func (ReloadUdev) Does() string { return "ReloadUdev" }

// Does names the action.
func (SetRDMAMode) Does() string { return "SetRDMAMode" }

// Does names the action.
func (SetKernelArgs) Does() string { return "SetKernelArgs" }

// Does names the action.
func (RecordBoot) Does() string { return "RecordBoot" }

// Does names the action.
func (Claim) Does() string { return "Claim" }

// Does names the action.
func (Release) Does() string { return "Release" }

// Does names the action.
func (SetLinkUp) Does() string { return "SetLinkUp" }

// Does names the action.
func (SetMTU) Does() string { return "SetMTU" }

// Does names the action.
func (EnableTCOffload) Does() string { return "EnableTCOffload" }

// Does names the action.
func (SetSteering) Does() string { return "SetSteering" }

// Does names the action.
func (SetEswitchMode) Does() string { return "SetEswitchMode" }

// Does names the action.
func (SetAutoprobe) Does() string { return "SetAutoprobe" }

// Does names the action.
func (SetNumVFs) Does() string { return "SetNumVFs" }

// Does names the action.
func (SetAdminMACs) Does() string { return "SetAdminMACs" }

// Does names the action.
func (SetGUIDs) Does() string { return "SetGUIDs" }

// Does names the action.
func (UnbindVFs) Does() string { return "UnbindVFs" }

// Does names the action.
func (BindVFs) Does() string { return "BindVFs" }

// Does names the action.
func (SetVFMTU) Does() string { return "SetVFMTU" }

// Does names the action.
func (CreateVDPA) Does() string { return "CreateVDPA" }

// Does names the action.
func (DeleteVDPA) Does() string { return "DeleteVDPA" }

func (LoadModule) action()      {}
func (WriteFile) action()       {}
func (RemoveFile) action()      {}
func (ReloadUdev) action()      {}
func (SetRDMAMode) action()     {}
func (SetKernelArgs) action()   {}
func (RecordBoot) action()      {}
func (Claim) action()           {}
func (Release) action()         {}
func (SetLinkUp) action()       {}
func (SetMTU) action()          {}
func (EnableTCOffload) action() {}
func (SetSteering) action()     {}
func (SetEswitchMode) action()  {}
func (SetAutoprobe) action()    {}
func (SetNumVFs) action()       {}
func (SetAdminMACs) action()    {}
func (SetGUIDs) action()        {}
func (UnbindVFs) action()       {}
func (BindVFs) action()         {}
func (SetVFMTU) action()        {}
func (CreateVDPA) action()      {}
func (DeleteVDPA) action()      {}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"fmt"
	"path"
	"strings"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
)

// Action says in a few words what an action does.
func Action(a plan.Action) string {
	switch a := a.(type) {
	case plan.LoadModule:
		return "load module " + a.Module
	case plan.WriteFile:
		return "write " + file(a.Path)
	case plan.RemoveFile:
		return "remove " + file(a.Path)
	case plan.ReloadUdev:
		return "reload udev rules"
	case plan.SetRDMAMode:
		return "RDMA namespace mode → " + string(a.Mode)
	case plan.SetKernelArgs:
		return kernelArgs(a)
	case plan.RecordBoot:
		return bootRecord(a)
	case plan.Claim:
		return "write down what is configured"
	case plan.Release:
		return "forget the PF"
	case plan.SetLinkUp:
		return "set the PF up"
	case plan.SetMTU:
		return fmt.Sprintf("mtu %d → %d", a.From, a.To)
	case plan.EnableTCOffload:
		return "hw-tc-offload off → on"
	case plan.SetSteering:
		return hw.SteeringParam + " → " + a.Mode
	case plan.SetEswitchMode:
		return fmt.Sprintf("eSwitch mode %s → %s", a.From, a.To)
	case plan.SetAutoprobe:
		return "autoprobe " + change(a.On)
	case plan.SetNumVFs:
		return fmt.Sprintf("numvfs %d → %d", a.From, a.To)
	case plan.SetAdminMACs, plan.SetGUIDs, plan.UnbindVFs, plan.BindVFs, plan.SetVFMTU, plan.CreateVDPA, plan.DeleteVDPA:
		return vfAction(a)
	}
	return a.Does()
}

func bootRecord(a plan.RecordBoot) string {
	if len(a.Holding) > 0 {
		return "write down what the next boot is to bring"
	}
	return "write down which kernel arguments are ours"
}

// kernelArgs says what changes: "next boot: + intel_iommu=on iommu=pt".
func kernelArgs(a plan.SetKernelArgs) string {
	text := "next boot:"
	if len(a.Add) > 0 {
		text += " + " + strings.Join(a.Add, " ")
	}
	if len(a.Remove) > 0 {
		text += " - " + strings.Join(a.Remove, " ")
	}
	return text
}

// vfAction is Action for what happens to VFs.
func vfAction(a plan.Action) string {
	switch a := a.(type) {
	case plan.SetAdminMACs:
		return "pin the MAC of " + vfs(macVFs(a.MACs))
	case plan.SetGUIDs:
		return "set the GUID of " + vfs(guidVFs(a.GUIDs))
	case plan.UnbindVFs:
		return "detach " + vfs(a.VFs) + " from their drivers"
	case plan.BindVFs:
		if a.Driver == "" {
			return "bind " + vfs(a.VFs) + " to the kernel's driver"
		}
		return "bind " + vfs(a.VFs) + " to " + a.Driver
	case plan.SetVFMTU:
		return fmt.Sprintf("mtu of %s → %d", vfs(a.VFs), a.MTU)
	case plan.CreateVDPA:
		return fmt.Sprintf("make %s vDPA devices of %s", a.Type, vfs(a.VFs))
	case plan.DeleteVDPA:
		return "remove the vDPA devices of " + vfs(a.VFs)
	default:
		return a.Does()
	}
}

func change(on bool) string {
	if on {
		return "off → on"
	}
	return "on → off"
}

// file names a file for people; those of ours by what they are.
func file(name string) string {
	switch name {
	case hw.ModulesConfig:
		return "modules to load at boot"
	case hw.RDMAConfig:
		return "RDMA mode to load with"
	}
	dir, base := path.Split(name)
	if _, ours := hw.OwnedRule(base); ours && path.Clean(dir) == hw.UdevRules {
		return "rule " + base
	}
	return "/" + name
}

// vfs names VFs: "VF 3", "VFs 0-3,6".
func vfs(indices []int) string {
	text := hw.FormatIndices(indices)
	if strings.ContainsAny(text, "-,") {
		return "VFs " + text
	}
	return "VF " + text
}

func macVFs(macs []plan.VFMAC) []int {
	out := make([]int, len(macs))
	for i, m := range macs {
		out[i] = m.VF
	}
	return out
}

func guidVFs(guids []plan.VFGUID) []int {
	out := make([]int, len(guids))
	for i, g := range guids {
		out[i] = g.VF
	}
	return out
}

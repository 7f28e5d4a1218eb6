// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package hw

import (
	"slices"
	"strings"
)

// Boot is how a machine booted, and how it will boot next.
type Boot struct {
	// ID is the kernel's random name of this boot (/proc/sys/kernel/random/boot_id).
	ID string `json:"id,omitempty"`
	// Args are the running kernel's arguments, as far as ManagedArg names them: a
	// command line may hold what nobody else shall read.
	Args []string `json:"args,omitempty"`
	// IOMMU is the one that the firmware tells the kernel of.
	IOMMU IOMMU `json:"iommu,omitempty"`
	// Next is what the boot loader will boot. It is looked at only where the plan
	// could need it.
	Next Reading[NextBoot] `json:"next,omitzero"`
}

// NextBoot is what a boot loader will boot.
type NextBoot struct {
	Loader BootLoader `json:"loader"`
	// Args are those of the next kernel that ManagedArg names.
	Args []string `json:"args,omitempty"`
}

// BootLoader is the way in which a machine's kernel arguments are changed.
type BootLoader string

// The boot loaders whose arguments can be changed, by the program that does it.
const (
	// Grubby is for RHEL, Fedora and those that follow them.
	Grubby BootLoader = "grubby"
	// RPMOSTree is for hosts whose root is an ostree deployment.
	RPMOSTree BootLoader = "rpm-ostree"
	// UpdateGrub is for Debian, Ubuntu and those that follow them.
	UpdateGrub BootLoader = "update-grub"
)

// IOMMU is a kind of IOMMU, as the firmware tells of it.
type IOMMU string

// The kinds of IOMMU. IOMMUNone is also that of machines without ACPI's tables
// for it, such as those with ARM processors: their kernels need no argument.
const (
	IOMMUNone  IOMMU = ""
	IOMMUIntel IOMMU = "intel" // ACPI table DMAR
	IOMMUAMD   IOMMU = "amd"   // ACPI table IVRS
)

// RDMAModeArg is the kernel argument that chooses the RDMA namespace mode
// (drivers/infiniband/core/device.c, netns_mode).
const RDMAModeArg = "ib_core.netns_mode"

// ManagedArg reports whether an argument is one that this project sets or looks
// at.
func ManagedArg(arg string) bool {
	return slices.Contains([]string{"intel_iommu", "amd_iommu", "iommu", RDMAModeArg}, ArgName(arg))
}

// ArgName is the name of a kernel argument: "iommu" of "iommu=pt". The kernel
// takes - and _ for the same (kernel/params.c, parameq).
func ArgName(arg string) string {
	name, _, _ := strings.Cut(arg, "=")
	return strings.ReplaceAll(name, "-", "_")
}

// ParseKernelArgs splits a kernel's command line as the kernel does: at white
// space outside of double quotes, up to "--", after which the words are those of
// init (lib/cmdline.c, next_arg; kernel/params.c, parse_args).
func ParseKernelArgs(line string) []string {
	var out []string
	begin, quoted := -1, false
	word := func(end int) {
		if begin >= 0 {
			out = append(out, line[begin:end])
		}
		begin = -1
	}
	for i, r := range line {
		switch {
		case !quoted && strings.ContainsRune(" \t\n\r\v\f\x00", r):
			word(i)
			continue
		case r == '"':
			quoted = !quoted
		}
		if begin < 0 {
			begin = i
		}
	}
	word(len(line))
	if i := slices.Index(out, "--"); i >= 0 {
		out = out[:i]
	}
	return out
}

// ManagedArgs are those of a command line that ManagedArg names.
func ManagedArgs(line string) []string {
	return slices.DeleteFunc(ParseKernelArgs(line), func(arg string) bool { return !ManagedArg(arg) })
}

// The files of this project that concern the whole machine, without a leading
// slash. The name of RDMAConfig is that of the operator before this one.
const (
	// BootRecord is what is remembered of the machine's boots.
	BootRecord = "etc/sriov-operator/boot"
	// ModulesConfig names the modules to load at boot (modules-load.d(5)).
	ModulesConfig = "etc/modules-load.d/sriov-network-operator.conf"
	// RDMAConfig chooses the RDMA namespace mode for when ib_core is loaded.
	RDMAConfig = "etc/modprobe.d/sriov_network_operator_modules_config.conf"
)

// NodeFiles are the files of this project that concern the whole machine.
func NodeFiles() []string { return []string{BootRecord, ModulesConfig, RDMAConfig} }

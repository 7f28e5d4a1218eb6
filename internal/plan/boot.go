// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// Reboot is why the machine must boot again before it can be as desired.
type Reboot struct {
	Why []reason.Why `json:"why"`
}

// BootRecord is what is remembered of the machine's boots.
type BootRecord struct {
	// Args are the kernel arguments that were set here. Others are never removed.
	Args []string `json:"args,omitempty"`
	// Awaited is what a next boot was to bring, and the boot in which that was
	// prepared. A machine that is in another boot and still lacks it booted in
	// vain, and is not rebooted for the same again.
	Awaited map[string]string `json:"awaited,omitempty"`
}

// Content is the record as its file holds it; empty for a record that says
// nothing, which needs no file.
func (r BootRecord) Content() string {
	if len(r.Args) == 0 && len(r.Awaited) == 0 {
		return ""
	}
	text, err := json.Marshal(r)
	if err != nil {
		// Strings always encode.
		return err.Error()
	}
	return string(text) + "\n"
}

// prospect is what becomes of a wish that the running kernel cannot meet.
type prospect int

const (
	possible prospect = iota
	nextBoot          // the next boot brings it
	hopeless          // no boot would, or one did not
)

// bootPlan is what the machine's next boot shall bring, while it is planned.
type bootPlan struct {
	saw    hw.Inventory
	record BootRecord
	torn   bool
	// vfio is what becomes of VFs for vfio-pci, and hitch why they cannot be had.
	vfio  prospect
	hitch reason.Why

	add, remove, awaited []string
	reboot               []reason.Why
	runtime              []Step // steps that need no boot
	blocked              []Blocker
	modules              []string // that stay loaded over a boot
}

func newBootPlan(want desired.Node, saw hw.Inventory) *bootPlan {
	b := &bootPlan{saw: saw}
	if text, ok := saw.OwnedFiles[hw.BootRecord]; ok {
		b.torn = json.Unmarshal([]byte(text), &b.record) != nil
	}
	if asksFor(want, desired.VFIO) {
		b.iommu()
	}
	b.rdma(want.RDMAMode())
	return b
}

func asksFor(want desired.Node, d desired.Driver) bool {
	return slices.ContainsFunc(want.PFs(), func(pf desired.PF) bool {
		return slices.ContainsFunc(pf.Groups, func(g desired.Group) bool { return g.Driver == d })
	})
}

// iommuArgs switch an IOMMU on and let the host's own devices past it
// (Documentation/admin-guide/kernel-parameters.txt).
func iommuArgs(kind hw.IOMMU) []string {
	switch kind {
	case hw.IOMMUIntel:
		return []string{"intel_iommu=on", "iommu=pt"}
	case hw.IOMMUAMD:
		return []string{"iommu=pt"}
	case hw.IOMMUNone:
	}
	return nil
}

// iommu decides whether a boot can bring the IOMMU groups that vfio-pci needs.
func (b *bootPlan) iommu() {
	running := b.saw.Boot.Args
	args := iommuArgs(b.saw.Boot.IOMMU)
	lacking := without(args, running)
	if b.saw.IOMMUGroups > 0 {
		if len(lacking) == 0 {
			b.keep(args)
		}
		return
	}
	off := slices.IndexFunc(running, func(arg string) bool { return arg == "iommu=off" || arg == "amd_iommu=off" })
	b.vfio = hopeless
	switch {
	case len(args) == 0:
		b.hitch = reason.Because(reason.NoIOMMU, "the machine has no IOMMU group")
	case off >= 0:
		b.hitch = reason.Because(reason.IOMMUOff, "the kernel was booted with %s", running[off])
	case len(lacking) == 0:
		b.hitch = reason.Because(reason.NoIOMMU, "the machine has no IOMMU group although it was booted with %s", strings.Join(args, " "))
	default:
		b.vfio, b.hitch = b.bootable(lacking)
	}
}

// bootable says whether the next boot can bring the arguments: unless there was a
// boot for them in vain, or the boot loader cannot be told.
func (b *bootPlan) bootable(lacking []string) (prospect, reason.Why) {
	if vain := b.inVain(lacking); vain.Reason != "" {
		return hopeless, vain
	}
	if _, known := b.saw.Boot.Next.Get(); !known {
		return hopeless, reason.Because(reason.BootLoaderUnknown, "the kernel was booted without %s and cannot be given it here: %s",
			strings.Join(lacking, " "), b.saw.Boot.Next.Unknown)
	}
	return nextBoot, reason.Why{}
}

// awaitIOMMU asks for a boot that brings the IOMMU, for PFs that wait for it.
func (b *bootPlan) awaitIOMMU() {
	args := iommuArgs(b.saw.Boot.IOMMU)
	lacking := without(args, b.saw.Boot.Args)
	b.keep(args)
	b.awaited = append(b.awaited, lacking...)
	b.reboot = append(b.reboot, reason.Because(reason.KernelArgMissing,
		"vfio-pci needs the IOMMU and the kernel was booted without %s", strings.Join(lacking, " ")))
}

// keep makes the boot loader hold arguments, if it can be told.
func (b *bootPlan) keep(args []string) {
	if next, known := b.saw.Boot.Next.Get(); known && next.Loader != "" {
		b.add = append(b.add, without(args, next.Args)...)
	}
}

// inVain says that the machine was booted for this and came back without it.
func (b *bootPlan) inVain(lacking []string) reason.Why {
	if b.torn {
		return reason.Because(reason.BootRecordTorn, "/%s cannot be read, so it is not known whether the machine was rebooted for %s before",
			hw.BootRecord, strings.Join(lacking, " "))
	}
	again := slices.DeleteFunc(slices.Clone(lacking), func(what string) bool {
		boot, awaited := b.record.Awaited[what]
		return !awaited || boot == b.saw.Boot.ID
	})
	if len(again) == 0 {
		return reason.Why{}
	}
	return reason.Because(reason.RebootInVain, "the machine was rebooted for %s and came back without it", strings.Join(again, " "))
}

// rdmaArg is the kernel argument of a mode: 0 is exclusive
// (drivers/infiniband/core/device.c, netns_mode).
func rdmaArg(mode hw.RDMAMode) string {
	if mode == hw.RDMAExclusive {
		return hw.RDMAModeArg + "=0"
	}
	return hw.RDMAModeArg + "=1"
}

// rdma plans the RDMA namespace mode: at once where the kernel allows it, else by
// the next boot. An argument that was set here for another mode goes.
func (b *bootPlan) rdma(mode hw.RDMAMode) {
	if mode == "" {
		return
	}
	arg := rdmaArg(mode)
	for _, old := range b.record.Args {
		if hw.ArgName(old) == hw.RDMAModeArg && old != arg {
			b.remove = append(b.remove, old)
			b.keep([]string{arg})
		}
	}
	have, known := b.saw.RDMA.Get()
	switch {
	case b.saw.RDMAAbsent, known && have == mode:
	case !known:
		b.block(reason.Because(reason.RDMAModeDiffers, "RDMA namespace mode is %s, asked for %s", describe(b.saw.RDMA), mode))
	case !b.saw.RDMAFixed:
		b.runtime = append(b.runtime, Step{Do: SetRDMAMode{Mode: mode},
			Why: reason.Because(reason.RDMAModeDiffers, "RDMA namespace mode is %s, asked for %s", have, mode)})
	default:
		b.rdmaByBoot(have, mode)
	}
}

// rdmaByBoot lets the next boot bring the mode. The file that chooses it does so
// unless the initramfs loads ib_core; the argument does so always, so it is set
// where the boot loader can be told.
func (b *bootPlan) rdmaByBoot(have, mode hw.RDMAMode) {
	what := awaitedRDMA + string(mode)
	if vain := b.inVain([]string{what}); vain.Reason != "" {
		b.block(vain)
		return
	}
	if !slices.Contains(b.add, rdmaArg(mode)) {
		b.keep([]string{rdmaArg(mode)})
	}
	b.awaited = append(b.awaited, what)
	b.reboot = append(b.reboot, reason.Because(reason.RDMAModeDiffers,
		"RDMA namespace mode is %s, asked for %s, and the kernel does not change it while other network namespaces exist", have, mode))
}

// awaitedRDMA begins the word for an awaited RDMA mode.
const awaitedRDMA = "RDMA namespace mode "

func (b *bootPlan) block(why reason.Why) { b.blocked = append(b.blocked, Blocker{Why: why}) }

// finish adds the steps of the node and, if there is one, the reason to boot.
func (b *bootPlan) finish(p *Plan, mode hw.RDMAMode) {
	p.Blocked = append(p.Blocked, b.blocked...)
	slices.Sort(b.modules)
	p.file(b.saw, hw.ModulesConfig, modulesContent(slices.Compact(b.modules)))
	if mode != "" {
		p.file(b.saw, hw.RDMAConfig, rdmaContent(mode))
	}
	p.Before = append(p.Before, b.runtime...)
	b.arguments(p)
	if len(b.reboot) > 0 {
		p.Reboot = &Reboot{Why: b.reboot}
	}
}

// arguments writes down first which arguments become ours, and last, once the
// boot loader holds them, what the next boot is expected to bring.
func (b *bootPlan) arguments(p *Plan) {
	first := BootRecord{Args: append(slices.Clone(b.record.Args), without(b.add, b.record.Args)...), Awaited: b.record.Awaited}
	last := BootRecord{Args: without(first.Args, b.remove), Awaited: b.outstanding()}
	if first.Content() != b.record.Content() {
		p.Before = append(p.Before, Step{Do: RecordBoot{Record: first},
			Why: reason.Because(reason.Claim, "these kernel arguments become ours: %s", strings.Join(b.add, " "))})
	}
	if len(b.add)+len(b.remove) > 0 {
		p.Before = append(p.Before, Step{Do: SetKernelArgs{Add: b.add, Remove: b.remove}, Why: b.why()})
	}
	if last.Content() != first.Content() {
		p.Before = append(p.Before, Step{Do: RecordBoot{Record: last, Holding: b.holding(), Lacking: b.remove}, Why: b.recordWhy()})
	}
}

// holding is what the boot loader must hold before the next boot is awaited.
func (b *bootPlan) holding() []string {
	out := slices.DeleteFunc(slices.Concat(b.awaited, b.add), func(what string) bool { return strings.HasPrefix(what, awaitedRDMA) })
	slices.Sort(out)
	return slices.Compact(out)
}

func (b *bootPlan) why() reason.Why {
	if len(b.reboot) > 0 {
		return reason.Because(reason.KernelArgMissing, "the next boot needs %s", strings.Join(b.add, " "))
	}
	return reason.Because(reason.KernelArgMissing, "the next boot shall be like this one: %s", strings.Join(append(slices.Clone(b.add), b.remove...), " "))
}

func (b *bootPlan) recordWhy() reason.Why {
	if len(b.awaited) > 0 {
		return reason.Because(reason.Claim, "a reboot that does not bring this is not repeated: %s", strings.Join(b.awaited, ", "))
	}
	return reason.Because(reason.Claim, "what was awaited of a boot is there, or arguments are ours no more")
}

// outstanding is what the next boot, or one before, was to bring and is not there.
func (b *bootPlan) outstanding() map[string]string {
	out := map[string]string{}
	for what, boot := range b.record.Awaited {
		if !b.arrived(what) {
			out[what] = boot
		}
	}
	for _, what := range b.awaited {
		out[what] = b.saw.Boot.ID
	}
	return out
}

func (b *bootPlan) arrived(what string) bool {
	if mode, ok := strings.CutPrefix(what, awaitedRDMA); ok {
		have, known := b.saw.RDMA.Get()
		return known && string(have) == mode
	}
	return slices.Contains(b.saw.Boot.Args, what)
}

// without are the words of all that are not in some.
func without(all, some []string) []string {
	var out []string
	for _, word := range all {
		if !slices.Contains(some, word) {
			out = append(out, word)
		}
	}
	return out
}

const nodeHeader = "# Written by the SR-IOV network operator; changes are overwritten.\n"

// modulesContent is the file that keeps modules loaded over a boot; empty for none.
func modulesContent(modules []string) string {
	if len(modules) == 0 {
		return ""
	}
	return nodeHeader + strings.Join(modules, "\n") + "\n"
}

func rdmaContent(mode hw.RDMAMode) string {
	return nodeHeader + fmt.Sprintf("options ib_core netns_mode=%s\n", strings.TrimPrefix(rdmaArg(mode), hw.RDMAModeArg+"="))
}

// file makes a file of the node hold exactly the content; empty for no such file.
func (p *Plan) file(saw hw.Inventory, name, content string) {
	have, exists := saw.OwnedFiles[name]
	switch {
	case content == have:
	case content == "" && exists:
		p.Before = append(p.Before, Step{Do: RemoveFile{Path: name}, Why: reason.Because(reason.FileDiffers, "the file is not needed")})
	case content != "":
		why := reason.Because(reason.FileDiffers, "the file is missing")
		if exists {
			why = reason.Because(reason.FileDiffers, "the file differs")
		}
		p.Before = append(p.Before, Step{Do: WriteFile{Path: name, Content: content, Mode: ruleMode}, Why: why})
	}
}

// giveBack undoes what concerns the node, when nothing of it is asked for any
// more. Arguments leave the boot loader without a reboot.
func (b *bootPlan) giveBack(p *Plan) {
	gone := reason.Because(reason.PolicyGone, "nothing of this node is asked for any more")
	for _, name := range []string{hw.ModulesConfig, hw.RDMAConfig} {
		if _, ok := b.saw.OwnedFiles[name]; ok {
			p.After = append(p.After, Step{Do: RemoveFile{Path: name}, Why: gone})
		}
	}
	if len(b.record.Args) > 0 {
		p.After = append(p.After, Step{Do: SetKernelArgs{Remove: b.record.Args}, Why: gone},
			Step{Do: RecordBoot{Record: BootRecord{Awaited: b.record.Awaited}, Lacking: b.record.Args}, Why: gone})
	}
}

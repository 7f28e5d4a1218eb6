// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// booting is host.BootReader and host.BootControl.
type booting struct {
	files    fs.ReadLinkFS
	programs programs
	conf     confWriter
	ostree   *ostreeArgs
}

// Running implements host.BootReader.
func (b booting) Running(ctx context.Context) (hw.Boot, error) {
	if err := ctx.Err(); err != nil {
		return hw.Boot{}, fmt.Errorf("read how the machine booted: %w", err)
	}
	id, err := host.ReadAttr(b.files, "proc/sys/kernel/random/boot_id")
	if err != nil {
		return hw.Boot{}, fmt.Errorf("read the boot id: %w", err)
	}
	line, err := host.ReadAttr(b.files, "proc/cmdline")
	if err != nil {
		return hw.Boot{}, fmt.Errorf("read the kernel's command line: %w", err)
	}
	return hw.Boot{ID: id, Args: hw.ManagedArgs(line), IOMMU: firmwareIOMMU(b.files)}, nil
}

// firmwareIOMMU is the IOMMU of which the firmware tells, whether or not the kernel
// uses it (Documentation/ABI/testing/sysfs-firmware-acpi). ACPI's tables can be
// listed by everybody and read by root alone.
func firmwareIOMMU(files fs.ReadLinkFS) hw.IOMMU {
	for table, kind := range map[string]hw.IOMMU{"DMAR": hw.IOMMUIntel, "IVRS": hw.IOMMUAMD} {
		if there(files, path.Join("sys/firmware/acpi/tables", table)) {
			return kind
		}
	}
	return hw.IOMMUNone
}

func there(files fs.ReadLinkFS, name string) bool {
	_, err := files.Lstat(name)
	return err == nil
}

// Next implements host.BootReader.
func (b booting) Next(ctx context.Context) (hw.NextBoot, error) {
	next, err := b.next(ctx)
	if err != nil {
		return hw.NextBoot{}, fmt.Errorf("read what the machine boots next: %w", err)
	}
	return next, nil
}

func (b booting) next(ctx context.Context) (hw.NextBoot, error) {
	if err := ctx.Err(); err != nil {
		return hw.NextBoot{}, err
	}
	loader, err := b.loader()
	if err != nil {
		return hw.NextBoot{}, err
	}
	var lines []string
	if loader == hw.RPMOSTree {
		lines, err = b.ostree.lines(ctx, b)
	} else {
		lines, err = grubLines(b.files)
	}
	return hw.NextBoot{Loader: loader, Args: common(lines)}, err
}

// common are the managed arguments that all lines have, in the order of the first:
// what is booted has them, whichever of the lines it is.
func common(lines []string) []string {
	var out []string
	for i, line := range lines {
		args := hw.ManagedArgs(line)
		if i == 0 {
			out = args
			continue
		}
		out = slices.DeleteFunc(out, func(arg string) bool { return !slices.Contains(args, arg) })
	}
	return out
}

// loader finds the program that rules the machine's boot loader.
func (b booting) loader() (hw.BootLoader, error) {
	if there(b.files, "run/ostree-booted") {
		if b.has("rpm-ostree") {
			return hw.RPMOSTree, nil
		}
		return "", fmt.Errorf("%w: the machine is an ostree deployment without rpm-ostree", host.ErrUnsupported)
	}
	switch {
	case b.has("grubby"):
		return hw.Grubby, nil
	case b.has("update-grub") && there(b.files, "etc/default/grub"):
		return hw.UpdateGrub, nil
	}
	for _, other := range []struct{ sign, name string }{
		{"etc/kernel/cmdline", "systemd-boot or a unified kernel image; its arguments are in /etc/kernel/cmdline"},
		{"efi/loader/loader.conf", "systemd-boot"}, {"boot/loader/loader.conf", "systemd-boot"}, {"boot/efi/loader/loader.conf", "systemd-boot"},
		{"etc/default/grub", "GRUB without grubby or update-grub; its arguments are in /etc/default/grub"},
	} {
		if there(b.files, other.sign) {
			return "", fmt.Errorf("%w: the machine boots with %s", host.ErrUnsupported, other.name)
		}
	}
	return "", fmt.Errorf("%w: the machine has none of grubby, rpm-ostree and update-grub", host.ErrUnsupported)
}

func (b booting) has(program string) bool {
	_, err := b.programs.find(program)
	return err == nil
}

// kernelArg is a word that means the same to the kernel, to GRUB's scripts and to a
// shell that reads it from a file.
var kernelArg = regexp.MustCompile(`^[A-Za-z0-9._-]+(=[A-Za-z0-9._,:-]*)?$`)

// SetArgs implements host.BootControl.
func (b booting) SetArgs(ctx context.Context, add, remove []string) error {
	if err := b.setArgs(ctx, add, remove); err != nil {
		return fmt.Errorf("tell the boot loader of kernel arguments: %w", err)
	}
	return nil
}

func (b booting) setArgs(ctx context.Context, add, remove []string) error {
	for _, arg := range slices.Concat(add, remove) {
		if !kernelArg.MatchString(arg) {
			return fmt.Errorf("%w: %q is no kernel argument that is set here", fs.ErrInvalid, arg)
		}
	}
	loader, err := b.loader()
	if err != nil || len(add)+len(remove) == 0 {
		return err
	}
	switch loader {
	case hw.Grubby:
		return b.grubby(ctx, add, remove)
	case hw.RPMOSTree:
		return b.rpmOSTree(ctx, add, remove)
	case hw.UpdateGrub:
		return b.updateGrub(ctx, add, remove)
	}
	return fmt.Errorf("%w: boot loader %s", host.ErrUnsupported, loader)
}

// grubby changes all kernels, so that neither the choice of another one nor the
// installation of a new one, which takes over the arguments, loses any.
func (b booting) grubby(ctx context.Context, add, remove []string) error {
	argv := []string{"--update-kernel=ALL"}
	if len(remove) > 0 {
		argv = append(argv, "--remove-args="+strings.Join(remove, " "))
	}
	if len(add) > 0 {
		argv = append(argv, "--args="+strings.Join(add, " "))
	}
	return b.programs.run(ctx, "grubby", argv...)
}

func (b booting) rpmOSTree(ctx context.Context, add, remove []string) error {
	argv := []string{"kargs"}
	for _, arg := range remove {
		argv = append(argv, "--delete-if-present="+arg)
	}
	for _, arg := range add {
		argv = append(argv, "--append-if-missing="+arg)
	}
	b.ostree.forget()
	return b.programs.run(ctx, "rpm-ostree", argv...)
}

// grubDefaults is read by grub-mkconfig after /etc/default/grub and after what
// clouds put beside it (Debian's and Ubuntu's grub-mkconfig).
const grubDefaults = "etc/default/grub.d/95-sriov-network-operator.cfg"

const (
	grubHeader = "# Written by the SR-IOV network operator; changes are overwritten.\n"
	// The arguments come last, so that they win, and rescue entries do not have them
	// (util/grub.d/10_linux.in).
	grubBegin = `GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT `
	grubEnd   = "\"\n"
)

func (b booting) updateGrub(ctx context.Context, add, remove []string) error {
	ours, err := b.grubArgs()
	if err != nil {
		return err
	}
	for _, arg := range slices.Concat(add, remove) {
		ours = slices.DeleteFunc(ours, func(have string) bool { return have == arg })
	}
	ours = append(ours, add...)
	if len(ours) == 0 {
		err = b.conf.Remove(ctx, grubDefaults)
	} else {
		err = b.conf.Replace(ctx, grubDefaults, []byte(grubHeader+grubBegin+strings.Join(ours, " ")+grubEnd), 0o644)
	}
	if err != nil {
		return err
	}
	return b.programs.run(ctx, "update-grub")
}

// grubArgs are those that this door has added before.
func (b booting) grubArgs() ([]string, error) {
	text, err := fs.ReadFile(b.files, grubDefaults)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, grubBegin); ok {
			return strings.Fields(strings.TrimSuffix(rest, grubEnd)), nil
		}
	}
	return nil, nil
}

// ostreeArgs remembers what rpm-ostree said: asking it takes a tenth of a second
// and wakes its daemon.
type ostreeArgs struct {
	mu    sync.Mutex
	state string
	said  []string
}

func (o *ostreeArgs) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.state = ""
}

// lines is the command line of the deployment that is booted next. A staged one is
// written to the boot loader only at shutdown, so its files do not tell.
func (o *ostreeArgs) lines(ctx context.Context, b booting) ([]string, error) {
	state := ostreeState(b.files)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.state != "" && o.state == state {
		return o.said, nil
	}
	output, err := b.programs.output(ctx, "rpm-ostree", "kargs")
	if err != nil {
		return nil, err
	}
	o.state, o.said = state, []string{output}
	return o.said, nil
}

// ostreeState differs when another deployment is to be booted: the boot loader's
// folder is a link that each change turns round, and a staged deployment is a file.
func ostreeState(files fs.ReadLinkFS) string {
	target, err := files.ReadLink("boot/loader")
	if err != nil {
		return ""
	}
	var state strings.Builder
	state.WriteString(target)
	for _, name := range []string{"boot/loader/entries", "run/ostree/staged-deployment"} {
		if info, err := fs.Stat(files, name); err == nil {
			fmt.Fprintf(&state, " %d/%d", info.ModTime().UnixNano(), info.Size())
		}
	}
	return state.String()
}

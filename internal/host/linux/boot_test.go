// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && !vm

package linux

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// debianMenu is what Debian's grub-mkconfig writes, with less in it. %DEFAULT% is
// GRUB_DEFAULT, and each kernel's arguments tell it from the others.
const debianMenu = `### BEGIN /etc/grub.d/00_header ###
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="%DEFAULT%"
fi
function savedefault {
  if [ -z "${boot_once}" ]; then
    saved_entry="${chosen}"
    save_env saved_entry
  fi
}
### BEGIN /etc/grub.d/10_linux ###
menuentry 'Debian GNU/Linux' --class debian --class os $menuentry_id_option 'gnulinux-simple-1' {
	load_video
	if [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi
	search --no-floppy --fs-uuid --set=root 1
	echo	'Loading Linux 6.12 ...'
	linux	/boot/vmlinuz-6.12 root=UUID=1 ro iommu=first quiet
	initrd	/boot/initrd.img-6.12
}
submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option 'gnulinux-advanced-1' {
	menuentry 'Debian GNU/Linux, with Linux 6.12' --class os $menuentry_id_option 'gnulinux-6.12-advanced-1' {
		linux	/boot/vmlinuz-6.12 root=UUID=1 ro iommu=second quiet
	}
	menuentry 'Debian GNU/Linux, with Linux 6.12 (recovery mode)' --class os $menuentry_id_option 'gnulinux-6.12-recovery-1' {
		linux	/boot/vmlinuz-6.12 root=UUID=1 ro single iommu=third
	}
}
### BEGIN /etc/grub.d/30_uefi-firmware ###
menuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' {
	fwsetup
}
`

func TestWhatGRUBBootsNextIsReadFromItsMenu(t *testing.T) {
	all := []string{"iommu=first", "iommu=second", "iommu=third"}
	for name, c := range map[string]struct {
		chosen, env string
		want        []string
	}{
		"the first entry":                   {"0", "", all[:1]},
		"a submenu's first entry":           {"1", "", all[1:2]},
		"an entry of a submenu, by numbers": {"1>1", "", all[2:]},
		"an entry by its title":             {"Debian GNU/Linux", "", all[:1]},
		"an entry of a submenu, by ids":     {"gnulinux-advanced-1>gnulinux-6.12-recovery-1", "", all[2:]},
		"the one that was saved":            {"${saved_entry}", "saved_entry=1>0\n", all[1:2]},
		"none was saved":                    {"${saved_entry}", "", all[:1]},
		"an entry for the next boot alone":  {"0", "# GRUB Environment Block\nnext_entry=1>1\n####", all[2:]},
		"an entry that is not there":        {"gone", "", all},
		"an entry that boots no Linux":      {"uefi-firmware", "", all},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			write(t, root, "boot/grub/grub.cfg", strings.Replace(debianMenu, "%DEFAULT%", c.chosen, 1))
			write(t, root, "boot/grub/grubenv", c.env)
			lines, err := grubLines(tree{root: root})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, line := range lines {
				got = append(got, hw.ManagedArgs(line)...)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatEntriesOfTheBootLoaderSpecificationSay(t *testing.T) {
	const menu = "set default=\"${saved_entry}\"\ninsmod blscfg\nblscfg\nmenuentry 'UEFI Firmware Settings' {\n fwsetup\n}\n"
	old := "title Red Hat (5.14.0-1)\nlinux /vmlinuz-5.14.0-1\noptions $kernelopts $tuned_params\n"
	young := "title Red Hat (5.14.0-2)\nlinux /vmlinuz-5.14.0-2\noptions root=/dev/sda1 ro iommu=pt\noptions intel_iommu=on\n"
	for name, c := range map[string]struct {
		env  string
		want []string
	}{
		"the one that was saved":           {"saved_entry=id-5.14.0-2\n", []string{"iommu=pt", "intel_iommu=on"}},
		"with GRUB's own variables":        {"saved_entry=id-5.14.0-1\nkernelopts=root=/dev/sda1 iommu=pt\n", []string{"iommu=pt"}},
		"what all have, if none was saved": {"kernelopts=root=/dev/sda1 iommu=pt\n", []string{"iommu=pt"}},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			write(t, root, "boot/grub2/grub.cfg", menu)
			write(t, root, "boot/grub2/grubenv", c.env)
			write(t, root, "boot/loader/entries/id-5.14.0-1.conf", old)
			write(t, root, "boot/loader/entries/id-5.14.0-2.conf", young)
			write(t, root, "boot/loader/entries/README", "no entry")
			lines, err := grubLines(tree{root: root})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, common(lines)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	root := t.TempDir()
	write(t, root, "boot/loader/entries/x.conf", "title x\n")
	if _, err := grubLines(tree{root: root}); !errors.Is(err, errNoEntry) {
		t.Errorf("without an entry: %v", err)
	}
	if _, err := grubLines(tree{root: t.TempDir()}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a boot loader: %v", err)
	}
}

func FuzzMenusAreRead(f *testing.F) {
	f.Add(debianMenu, "saved_entry")
	f.Add("menuentry 'a' {\n linux /x iommu=pt\n", "1>2>")
	f.Add("}\n}\nsubmenu x {\nmenuentry {\n", "")
	f.Fuzz(func(t *testing.T, text, choice string) {
		for _, line := range grubMenu(text).chosen(map[string]string{"next_entry": choice}) {
			if line == "" {
				t.Error("an empty command line is booted")
			}
		}
	})
}

func TestEachBootLoaderIsToldInItsOwnWay(t *testing.T) {
	add, remove := []string{"intel_iommu=on", "iommu=pt"}, []string{"ib_core.netns_mode=1"}
	for name, c := range map[string]struct {
		paths, files []string
		want         string
	}{
		"grubby": {[]string{"usr/sbin/grubby"}, nil,
			"/usr/sbin/grubby --update-kernel=ALL --remove-args=ib_core.netns_mode=1 --args=intel_iommu=on iommu=pt\n"},
		"rpm-ostree": {[]string{"usr/bin/rpm-ostree", "usr/sbin/grubby"}, []string{"run/ostree-booted"},
			"/usr/bin/rpm-ostree kargs --delete-if-present=ib_core.netns_mode=1 --append-if-missing=intel_iommu=on --append-if-missing=iommu=pt\n"},
		"update-grub": {[]string{"usr/sbin/update-grub"}, []string{"etc/default/grub"}, "/usr/sbin/update-grub\n"},
	} {
		t.Run(name, func(t *testing.T) {
			root := machineWith(t, c.paths...)
			for _, file := range c.files {
				write(t, root, file, "")
			}
			h, err := New(root)
			if err != nil {
				t.Fatal(err)
			}
			if err := h.BootCtl.SetArgs(t.Context(), add, remove); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, said(t, root)); diff != "" {
				t.Errorf("programs that ran (-want +got):\n%s", diff)
			}
			for _, arg := range []string{"", "a b", "a;b", "$(a)", "a=\"b\"", "a\nb"} {
				if err := h.BootCtl.SetArgs(t.Context(), []string{arg}, nil); !errors.Is(err, fs.ErrInvalid) {
					t.Errorf("%q was taken for an argument: %v", arg, err)
				}
			}
		})
	}
}

func TestOfUpdateGrubOnlyOurOwnFileChanges(t *testing.T) {
	root := machineWith(t, "usr/sbin/update-grub")
	write(t, root, "etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet iommu=pt\"\n")
	h, err := New(root)
	if err != nil {
		t.Fatal(err)
	}
	ours := func() string {
		text, err := os.ReadFile(filepath.Join(root, grubDefaults))
		if errors.Is(err, fs.ErrNotExist) {
			return "no file"
		}
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimPrefix(string(text), grubHeader)
	}
	line := func(args string) string {
		return "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT " + args + "\"\n"
	}
	for _, c := range []struct {
		add, remove []string
		want        string
	}{
		{[]string{"intel_iommu=on"}, nil, line("intel_iommu=on")},
		{[]string{"ib_core.netns_mode=0"}, nil, line("intel_iommu=on ib_core.netns_mode=0")},
		{[]string{"intel_iommu=on"}, nil, line("ib_core.netns_mode=0 intel_iommu=on")},
		{nil, []string{"ib_core.netns_mode=0", "iommu=pt"}, line("intel_iommu=on")},
		{nil, []string{"intel_iommu=on"}, "no file"},
	} {
		if err := h.BootCtl.SetArgs(t.Context(), c.add, c.remove); err != nil {
			t.Fatal(err)
		}
		if got := ours(); got != c.want {
			t.Errorf("+%v -%v: the file holds %q, want %q", c.add, c.remove, got, c.want)
		}
	}
}

func TestABootLoaderThatIsNotKnownIsNamed(t *testing.T) {
	for sign, want := range map[string]string{
		"etc/kernel/cmdline":      "/etc/kernel/cmdline",
		"boot/loader/loader.conf": "systemd-boot",
		"etc/default/grub":        "GRUB without grubby or update-grub",
		"run/ostree-booted":       "ostree deployment without rpm-ostree",
		"etc/hostname":            "none of grubby, rpm-ostree and update-grub",
	} {
		root := t.TempDir()
		write(t, root, sign, "")
		h, err := New(root)
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.Boot.Next(t.Context())
		if !errors.Is(err, host.ErrUnsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", sign, err)
		}
		if err := h.BootCtl.SetArgs(t.Context(), []string{"iommu=pt"}, nil); !errors.Is(err, host.ErrUnsupported) {
			t.Errorf("%s: %v", sign, err)
		}
	}
}

func TestRPMOSTreeIsAskedAgainOnlyWhenItsDeploymentsChange(t *testing.T) {
	root := machineWith(t, "usr/bin/rpm-ostree")
	write(t, root, "run/ostree-booted", "")
	write(t, root, "boot/loader.0/entries/x.conf", "")
	if err := os.Symlink("loader.0", filepath.Join(root, "boot/loader")); err != nil {
		t.Fatal(err)
	}
	write(t, root, "kargs", "ro root=/dev/sda1 iommu=pt\n")
	h, err := New(root)
	if err != nil {
		t.Fatal(err)
	}
	next := func() hw.NextBoot {
		t.Helper()
		n, err := h.Boot.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for range 3 {
		if diff := cmp.Diff(hw.NextBoot{Loader: hw.RPMOSTree, Args: []string{"iommu=pt"}}, next()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if n := strings.Count(said(t, root), "\n"); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
	write(t, root, "kargs", "ro root=/dev/sda1\n")
	write(t, root, "run/ostree/staged-deployment", "another")
	if n := next(); len(n.Args) > 0 {
		t.Errorf("after a deployment was staged: %v", n)
	}
}

func TestHowTheMachineBooted(t *testing.T) {
	root := t.TempDir()
	write(t, root, "proc/sys/kernel/random/boot_id", "0b1e\n")
	write(t, root, "proc/cmdline", "BOOT_IMAGE=/vmlinuz secret=1 iommu=pt -- intel_iommu=on\n")
	write(t, root, "sys/firmware/acpi/tables/IVRS", "")
	h, err := New(root)
	if err != nil {
		t.Fatal(err)
	}
	got, err := h.Boot.Running(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(hw.Boot{ID: "0b1e", Args: []string{"iommu=pt"}, IOMMU: hw.IOMMUAMD}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := h.Power.Reboot(t.Context(), "no bus here"); err == nil || !strings.Contains(err.Error(), "/"+busSocket) {
		t.Errorf("without a bus: %v", err)
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && !vm

package linux

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// machineWith makes a root directory with a program that stands for the named
// ones; see testdata/program.
func machineWith(t *testing.T, paths ...string) string {
	t.Helper()
	root := t.TempDir()
	binary := filepath.Join(root, "bin/program")
	build := exec.Command("go", "build", "-o", binary, "./testdata/program")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	write(t, root, "marker", "")
	for _, p := range paths {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, p)), 0o755); err != nil {
			t.Fatal(err)
		}
		// Absolute, and so right in the machine's root alone.
		if err := os.Symlink("/bin/program", filepath.Join(root, p)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func said(t *testing.T, root string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "said"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

func TestAModuleIsLoadedByTheMachinesOwnModprobe(t *testing.T) {
	root := machineWith(t, "usr/sbin/modprobe")
	h, err := New(root)
	if err != nil {
		t.Fatal(err)
	}
	write(t, root, "sys/module/built_in/parameters/a", "1")
	write(t, root, "sys/module/live/initstate", "live\n")
	write(t, root, "sys/module/coming/initstate", "coming\n")
	for _, module := range []string{"built-in", "live", "vfio-pci", "coming"} {
		if err := h.Modules.Load(t.Context(), module); err != nil {
			t.Errorf("%s: %v", module, err)
		}
	}
	const want = "/usr/sbin/modprobe vfio-pci\n/usr/sbin/modprobe coming\n"
	if diff := cmp.Diff(want, said(t, root)); diff != "" {
		t.Errorf("programs that ran (-want +got):\n%s", diff)
	}
}

func TestAModuleThatCannotBeLoadedSaysWhy(t *testing.T) {
	root := machineWith(t, "sbin/modprobe")
	h, err := New(root)
	if err != nil {
		t.Fatal(err)
	}
	err = h.Modules.Load(t.Context(), "no_such_module")
	const want = "load module no_such_module: run modprobe no_such_module: exit status 1: FATAL: Module no_such_module not found."
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	for _, module := range []string{"", "-r", "a b", "../a", "a;b", "a\n"} {
		if err := h.Modules.Load(t.Context(), module); err == nil {
			t.Errorf("%q was taken for a module", module)
		}
	}
	if got := said(t, root); strings.Count(got, "\n") != 1 {
		t.Errorf("programs that ran: %s", got)
	}
	bare, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := bare.Modules.Load(t.Context(), "vfio-pci"); !errors.Is(err, errNoProgram) {
		t.Errorf("a machine without modprobe: %v", err)
	}
}

func TestAProgramThatHangsEndsWithItsContext(t *testing.T) {
	root := machineWith(t, "sbin/modprobe")
	h, err := New(root)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := h.Modules.Load(ctx, "hang"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestUdevIsToldToReadItsRulesIfItRuns(t *testing.T) {
	root := machineWith(t, "usr/bin/udevadm")
	h, err := New(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Udev.Reload(t.Context()); err != nil || said(t, root) != "" {
		t.Errorf("without a running udevd: %v, ran %q", err, said(t, root))
	}
	write(t, root, "run/udev/control", "")
	if err := h.Udev.Reload(t.Context()); err != nil || said(t, root) != "/usr/bin/udevadm control --reload\n" {
		t.Errorf("with a running udevd: %v, ran %q", err, said(t, root))
	}
	bare := t.TempDir()
	write(t, bare, "run/udev/control", "")
	if err := (udevControl{programs: programs{root: bare}}).Reload(t.Context()); err != nil {
		t.Errorf("without udevadm: %v", err)
	}
}

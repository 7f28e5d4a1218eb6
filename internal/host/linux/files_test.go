// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func write(t *testing.T, root, name, content string) {
	t.Helper()
	p := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTheTreeIsAFileSystem(t *testing.T) {
	root := t.TempDir()
	write(t, root, "sys/devices/a/vendor", "0x8086\n")
	write(t, root, "sys/devices/a/empty", "")
	// As long as the first buffer, and longer than several.
	write(t, root, "sys/devices/a/full", strings.Repeat("x", 512))
	write(t, root, "sys/devices/a/long", strings.Repeat("x", 3000))
	write(t, root, "etc/page", strings.Repeat("x", 512))
	write(t, root, "etc/pages", strings.Repeat("x", 9000))
	if err := os.MkdirAll(filepath.Join(root, "sys/bus"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../devices/a", filepath.Join(root, "sys/bus/a")); err != nil {
		t.Fatal(err)
	}
	files := tree{root: root}
	if err := fstest.TestFS(files, "sys/devices/a/vendor", "sys/devices/a/empty", "sys/devices/a/full", "sys/devices/a/long", "etc/page", "etc/pages", "sys/bus/a"); err != nil {
		t.Error(err)
	}
	through, err := files.ReadFile("sys/bus/a/vendor")
	if err != nil || string(through) != "0x8086\n" {
		t.Errorf("read through a link: %q, %v", through, err)
	}
}

func TestTheTreeReadsSysfsAsTheStandardLibraryDoes(t *testing.T) {
	files, standard := tree{root: "/"}, os.DirFS("/")
	entries, err := files.ReadDir("sys/class/net/lo")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) == 0 {
		t.Fatal("sys/class/net/lo is empty")
	}
	for _, e := range entries {
		name := "sys/class/net/lo/" + e.Name()
		if !e.Type().IsRegular() {
			continue
		}
		got, gotErr := files.ReadFile(name)
		want, wantErr := fs.ReadFile(standard, name)
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if (gotErr == nil) != (wantErr == nil) {
			t.Errorf("%s: error %v, the standard library's %v", name, gotErr, wantErr)
		}
	}
}

func TestReadingKeepsTheErrno(t *testing.T) {
	files := tree{root: "/"}
	if _, err := files.ReadFile("sys/class/net/lo/speed"); !errors.Is(err, unix.EINVAL) {
		t.Errorf("speed of lo: %v, want EINVAL in the chain", err)
	}
	_, err := files.ReadFile("sys/class/net/lo/nothing")
	if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, unix.ENOENT) {
		t.Errorf("a missing file: %v, want ErrNotExist", err)
	}
	for _, name := range []string{"/sys", "../sys", "sys/", ""} {
		if _, err := files.ReadFile(name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("name %q: %v, want ErrInvalid", name, err)
		}
	}
}

func TestTheRootMustBeAnAbsoluteDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, filepath.Dir(file), "file", "")
	for _, root := range []string{"", "host", file, file + "/missing"} {
		if _, err := New(root); err == nil {
			t.Errorf("New(%q) opened it", root)
		}
		if _, err := New(root); err == nil {
			t.Errorf("New(%q) opened it", root)
		}
	}
}

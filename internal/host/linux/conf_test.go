// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReplaceMakesFoldersAndTheFileWhateverTheUmask(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	root := t.TempDir()
	conf := confWriter{root: root}
	for _, content := range []string{"first, and longer", "second"} {
		if err := conf.Replace(t.Context(), "etc/udev/rules.d/10-a.rules", []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(root, "etc/udev/rules.d/10-a.rules"))
		if err != nil || string(got) != content {
			t.Errorf("got %q, %v; want %q", got, err, content)
		}
	}
	modes := map[string]fs.FileMode{
		"etc": fs.ModeDir | 0o755, "etc/udev/rules.d": fs.ModeDir | 0o755, "etc/udev/rules.d/10-a.rules": 0o644,
	}
	for name, want := range modes {
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil || info.Mode() != want {
			t.Errorf("%s: mode %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
	if got := names(t, filepath.Join(root, "etc/udev/rules.d")); len(got) != 1 {
		t.Errorf("files beside the wanted one: %v", got)
	}
}

func TestAReplaceThatFailsLeavesNothingBehind(t *testing.T) {
	root := t.TempDir()
	// A folder that is not empty stands where the file should be.
	write(t, root, "etc/a/b", "old")
	err := confWriter{root: root}.Replace(t.Context(), "etc/a", []byte("new"), 0o644)
	if err == nil {
		t.Fatal("a folder was replaced by a file")
	}
	if got := names(t, filepath.Join(root, "etc")); len(got) != 1 {
		t.Errorf("etc holds %v, want a alone", got)
	}
	if err := (confWriter{root: root}).Replace(t.Context(), "etc/a/b/c", nil, 0o644); err == nil {
		t.Error("a file was taken for a folder")
	}
}

func TestWhatAKilledWriterLeftGoes(t *testing.T) {
	root := t.TempDir()
	conf := confWriter{root: root}
	for _, mend := range []func() error{
		func() error { return conf.Replace(t.Context(), "etc/a", []byte("new"), 0o644) },
		func() error { return conf.Remove(t.Context(), "etc/a") },
	} {
		write(t, root, beside("etc/a"), "half of what was to be written, and longer")
		if err := mend(); err != nil {
			t.Fatal(err)
		}
		if got := names(t, filepath.Join(root, "etc")); slices.Contains(got, filepath.Base(beside("etc/a"))) {
			t.Errorf("etc holds %v", got)
		}
		if got, err := os.ReadFile(filepath.Join(root, "etc/a")); err == nil && string(got) != "new" {
			t.Errorf("the file holds %q", got)
		}
	}
}

func TestWritersOfOneFileTakeTurns(t *testing.T) {
	root := t.TempDir()
	content := map[string]bool{}
	ended := make(chan error)
	const writers = 20
	for i := range writers {
		text := strings.Repeat(string(rune('a'+i)), 1000*(i+1))
		content[text] = true
		go func() { ended <- confWriter{root: root}.Replace(t.Context(), "etc/a", []byte(text), 0o644) }()
	}
	for range writers {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	got, err := os.ReadFile(filepath.Join(root, "etc/a"))
	if err != nil || !content[string(got)] {
		t.Errorf("the file is no writer's: %d bytes, %v", len(got), err)
	}
	if got := names(t, filepath.Join(root, "etc")); len(got) != 1 {
		t.Errorf("etc holds %v", got)
	}
}

func TestRemoveTakesAMissingFileForRemoved(t *testing.T) {
	root := t.TempDir()
	write(t, root, "etc/a", "old")
	for range 2 {
		if err := (confWriter{root: root}).Remove(t.Context(), "etc/a"); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(filepath.Join(root, "etc/a")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the file is there: %v", err)
		}
	}
	if err := (confWriter{root: root}).Remove(t.Context(), "etc/no/such/folder"); err != nil {
		t.Errorf("a file in a missing folder: %v", err)
	}
}

func TestOnlyFilesBelowEtcAreTouched(t *testing.T) {
	root := t.TempDir()
	write(t, root, "usr/a", "old")
	conf := confWriter{root: root}
	for _, name := range []string{"usr/a", "etc/../usr/a", "/etc/a", "etc", "etc/", ""} {
		if err := conf.Replace(t.Context(), name, []byte("new"), 0o644); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("replace %q: %v, want ErrInvalid", name, err)
		}
		if err := conf.Remove(t.Context(), name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("remove %q: %v, want ErrInvalid", name, err)
		}
	}
}

func TestALinkThatLeavesTheRootIsRefused(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	write(t, root, "etc/a", "")
	if err := os.Symlink(outside, filepath.Join(root, "etc/out")); err != nil {
		t.Fatal(err)
	}
	if err := (confWriter{root: root}).Replace(t.Context(), "etc/out/a", []byte("x"), 0o644); err == nil {
		t.Error("the file was written")
	}
	if got := names(t, outside); len(got) != 0 {
		t.Errorf("outside of the root there is %v", got)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestAnAttributeIsWrittenOverAndNotCut(t *testing.T) {
	root := t.TempDir()
	write(t, root, "sys/a", "abcdef")
	if err := (attrWriter{root: root}).WriteAttr(t.Context(), "sys/a", "XY"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, "sys/a"))
	if err != nil || string(got) != "XYcdef" {
		t.Errorf("got %q, %v; a file that is opened without truncation holds XYcdef", got, err)
	}
}

func TestAMissingAttributeIsNotCreated(t *testing.T) {
	root := t.TempDir()
	write(t, root, "sys/a", "")
	err := (attrWriter{root: root}).WriteAttr(t.Context(), "sys/b", "1")
	if !errors.Is(err, unix.ENOENT) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want ENOENT in the chain", err)
	}
	if _, err := os.Lstat(filepath.Join(root, "sys/b")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is there: %v", err)
	}
}

func TestOnlyAttributesOfSysfsAreWritten(t *testing.T) {
	root := t.TempDir()
	write(t, root, "etc/a", "old")
	for _, name := range []string{"etc/a", "sys/../etc/a", "/sys/a", "sys", ""} {
		if err := (attrWriter{root: root}).WriteAttr(t.Context(), name, "new"); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: %v, want ErrInvalid", name, err)
		}
	}
}

// A named pipe without a reader blocks whoever opens it for writing, as an
// attribute does whose driver takes its time.
func slowAttr(t *testing.T) (root, file string) {
	t.Helper()
	root = t.TempDir()
	write(t, root, "sys/other", "")
	file = filepath.Join(root, "sys/slow")
	if err := unix.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	return root, file
}

func TestASlowWriteIsLeftBehindAndGoesOn(t *testing.T) {
	root, file := slowAttr(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := (attrWriter{root: root}).WriteAttr(ctx, "sys/slow", "8\n")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want the context's error", err)
	}
	const want = `write "8" to sys/slow: context deadline exceeded`
	if err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != "8\n" {
		t.Errorf("the write that was left behind wrote %q, %v", got, err)
	}
}

func TestNothingIsWrittenWhenTheContextHasEnded(t *testing.T) {
	root := t.TempDir()
	write(t, root, "sys/a", "old")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (attrWriter{root: root}).WriteAttr(ctx, "sys/a", "new"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	if got, _ := os.ReadFile(filepath.Join(root, "sys/a")); string(got) != "old" {
		t.Errorf("the file holds %q", got)
	}
}

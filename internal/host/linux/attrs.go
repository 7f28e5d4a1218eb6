// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// attrWriter is host.AttrWriter.
type attrWriter struct{ root string }

// WriteAttr implements host.AttrWriter. Only names below sys/ are taken.
func (a attrWriter) WriteAttr(ctx context.Context, name, value string) error {
	if !fs.ValidPath(name) || !strings.HasPrefix(name, "sys/") {
		return fmt.Errorf("write attribute %q: %w: it must be a path below sys/", name, fs.ErrInvalid)
	}
	p := filepath.Join(a.root, name)
	_, err := within(ctx, func() (struct{}, error) { return struct{}{}, writeOnce(p, value) })
	if err != nil {
		return fmt.Errorf("write %q to %s: %w", strings.TrimSuffix(value, "\n"), name, err)
	}
	return nil
}

// writeOnce writes an existing file with one system call. Sysfs calls the
// attribute's store function once per write, so a value must not be cut.
func writeOnce(p, value string) error {
	fd, err := retried(func() (int, error) { return unix.Open(p, unix.O_WRONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	n, err := retried(func() (int, error) { return unix.Write(fd, []byte(value)) })
	if err != nil {
		return err
	}
	if n != len(value) {
		return io.ErrShortWrite
	}
	return nil
}

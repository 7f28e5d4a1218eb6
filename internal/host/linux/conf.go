// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// confWriter is host.ConfWriter. It works through os.Root, so that no symbolic
// link leads it out of the machine's root into that of a container.
type confWriter struct{ root string }

// Replace implements host.ConfWriter. Only names below etc/ are taken.
func (c confWriter) Replace(ctx context.Context, name string, data []byte, mode fs.FileMode) error {
	err := c.inEtc(ctx, name, func(root *os.Root) error {
		if err := makeDirs(root, path.Dir(name)); err != nil {
			return err
		}
		return replaceFile(root, name, data, mode)
	})
	if err != nil {
		return fmt.Errorf("replace %s: %w", name, err)
	}
	return nil
}

// Remove implements host.ConfWriter. Only names below etc/ are taken.
func (c confWriter) Remove(ctx context.Context, name string) error {
	err := c.inEtc(ctx, name, func(root *os.Root) error {
		err := root.Remove(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return syncDir(root, path.Dir(name))
	})
	if err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}

func (c confWriter) inEtc(ctx context.Context, name string, work func(*os.Root) error) error {
	if !fs.ValidPath(name) || !strings.HasPrefix(name, "etc/") {
		return fmt.Errorf("%w: it must be a path below etc/", fs.ErrInvalid)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	root, err := os.OpenRoot(c.root)
	if err != nil {
		return err
	}
	defer root.Close()
	return work(root)
}

// replaceFile writes a new file beside the old one and renames it over it. The
// file's content reaches the disk before its name does, and the name before this
// returns.
func replaceFile(root *os.Root, name string, data []byte, mode fs.FileMode) error {
	dir, base := path.Split(name)
	// A leading dot and a foreign ending keep udev and modprobe from reading it.
	temp := dir + "." + base + "." + rand.Text()
	if err := writeSynced(root, temp, data, mode); err != nil {
		return errors.Join(err, removeQuietly(root, temp))
	}
	if err := root.Rename(temp, name); err != nil {
		return errors.Join(err, removeQuietly(root, temp))
	}
	return syncDir(root, path.Dir(name))
}

func writeSynced(root *os.Root, name string, data []byte, mode fs.FileMode) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		// The process's umask has no say in what the machine's files look like.
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func removeQuietly(root *os.Root, name string) error {
	if err := root.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// makeDirs makes the missing folders on the way and writes each one's name to
// the disk.
func makeDirs(root *os.Root, dir string) error {
	if dir == "." {
		return nil
	}
	info, err := root.Stat(dir)
	if err == nil && !info.IsDir() {
		return &fs.PathError{Op: "mkdir", Path: dir, Err: errors.New("is no directory")}
	}
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeDirs(root, path.Dir(dir)); err != nil {
		return err
	}
	err = root.Mkdir(dir, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := root.Chmod(dir, 0o755); err != nil {
		return err
	}
	return syncDir(root, path.Dir(dir))
}

func syncDir(root *os.Root, dir string) error {
	f, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

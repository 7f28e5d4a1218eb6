// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
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
		// What is beside it is of a writer that was killed.
		if err := removeQuietly(root, beside(name)); err != nil && !errors.Is(err, unix.ENOTDIR) {
			return err
		}
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
// returns. Who writes holds a lock, which goes with its process: what a killed one
// left is written over.
func replaceFile(root *os.Root, name string, data []byte, mode fs.FileMode) error {
	temp := beside(name)
	f, err := openLocked(root, temp)
	if err != nil {
		return err
	}
	err = writeSynced(f, data, mode)
	if err == nil {
		err = root.Rename(temp, name)
	}
	if err != nil {
		err = errors.Join(err, removeQuietly(root, temp))
	}
	// Only now may another begin.
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return syncDir(root, path.Dir(name))
}

// beside is the name under which a file is written before it has its own. A leading
// dot and a foreign ending keep udev and modprobe from reading it.
func beside(name string) string {
	dir, base := path.Split(name)
	return dir + "." + base + ".new"
}

// openLocked opens a file, made if it is missing, once nobody else holds it.
func openLocked(root *os.Root, name string) (*os.File, error) {
	for {
		f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		mine, err := lock(root, f, name)
		if mine {
			return f, nil
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
}

// lock waits for the lock on a file, and reports whether the file has its name still:
// who held the lock may have given it another.
func lock(root *os.Root, f *os.File, name string) (bool, error) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX)
	if errors.Is(err, unix.EINTR) {
		return false, nil // once more
	}
	if err != nil {
		return false, &fs.PathError{Op: "flock", Path: name, Err: err}
	}
	held, err := f.Stat()
	if err != nil {
		return false, err
	}
	named, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(held, named), err
}

func writeSynced(f *os.File, data []byte, mode fs.FileMode) error {
	err := f.Truncate(0)
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		// The process's umask has no say in what the machine's files look like.
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	return err
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

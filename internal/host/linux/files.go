// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// tree is the machine's root directory as a file system. It differs from
// os.DirFS in reading files with bare system calls: a file of sysfs can be
// polled, and so the standard library adds each one to its poller, which doubles
// the time of a read. Symbolic links are the kernel's to follow; those of sysfs
// are relative and so stay below the root.
type tree struct{ root string }

func (t tree) path(op, name string) (string, error) {
	if !fs.ValidPath(name) {
		return "", &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	if t.root == "/" {
		return "/" + name, nil
	}
	return t.root + "/" + name, nil
}

// Open implements fs.FS.
func (t tree) Open(name string) (fs.File, error) {
	p, err := t.path("open", name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(p)
	if err != nil {
		return nil, named(err, name)
	}
	return f, nil
}

// ReadFile implements fs.ReadFileFS.
func (t tree) ReadFile(name string) ([]byte, error) {
	p, err := t.path("open", name)
	if err != nil {
		return nil, err
	}
	fd, err := retried(func() (int, error) { return unix.Open(p, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	// Sysfs makes an attribute's text when it is first read, and one read that has
	// space left has all of it (fs/kernfs/file.c, kernfs_fop_read_iter). Another,
	// to see the end, is a third of the time.
	inOne := strings.HasPrefix(name, "sys/")
	data := make([]byte, 0, 512)
	for {
		n, err := retried(func() (int, error) { return unix.Read(fd, data[len(data):cap(data)]) })
		if err != nil {
			return nil, &fs.PathError{Op: "read", Path: name, Err: err}
		}
		if n == 0 {
			return data, nil
		}
		data = data[:len(data)+n]
		switch {
		case len(data) == cap(data):
			data = slices.Grow(data, cap(data))
		case inOne:
			return data, nil
		}
	}
}

// ReadDir implements fs.ReadDirFS.
func (t tree) ReadDir(name string) ([]fs.DirEntry, error) {
	p, err := t.path("open", name)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(p)
	return entries, named(err, name)
}

// Stat implements fs.StatFS.
func (t tree) Stat(name string) (fs.FileInfo, error) {
	p, err := t.path("stat", name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(p)
	return info, named(err, name)
}

// Lstat implements fs.ReadLinkFS.
func (t tree) Lstat(name string) (fs.FileInfo, error) {
	p, err := t.path("lstat", name)
	if err != nil {
		return nil, err
	}
	info, err := os.Lstat(p)
	return info, named(err, name)
}

// ReadLink implements fs.ReadLinkFS.
func (t tree) ReadLink(name string) (string, error) {
	p, err := t.path("readlink", name)
	if err != nil {
		return "", err
	}
	target, err := os.Readlink(p)
	return target, named(err, name)
}

// named makes an error speak of the name below the root, as fs.FS asks.
func named(err error, name string) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: pe.Op, Path: name, Err: pe.Err}
	}
	return err
}

// retried repeats a system call that a signal interrupted. Go sends its threads
// signals of its own to preempt them.
func retried(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kubeovn/sriov-network-operator/internal/host"
)

// files is the door to files: those of sysfs, and those that were written
// through it.
type files struct{ m *Machine }

var (
	_ fs.ReadLinkFS   = files{}
	_ fs.ReadDirFS    = files{}
	_ fs.ReadFileFS   = files{}
	_ fs.StatFS       = files{}
	_ host.AttrWriter = files{}
	_ host.ConfWriter = files{}
)

// maxLinks is how many links a path may go through (include/linux/namei.h,
// MAXSYMLINKS).
const maxLinks = 40

// walk finds what a path leads to; the last element is followed only if asked.
// m.mu is held.
func (m *Machine) walk(name string, last followLast) (entry, error) {
	if !fs.ValidPath(name) {
		return entry{}, fs.ErrInvalid
	}
	if name == "." {
		return m.root, nil
	}
	at, done := m.root, 0 // name[:done] is the real path of at
	for hops := 0; done < len(name); {
		if at.attr != nil {
			return entry{}, syscall.ENOTDIR
		}
		first, rest, deeper := strings.Cut(name[done:], "/")
		next, ok := at.lookup(first)
		if !ok {
			return entry{}, syscall.ENOENT
		}
		if next.link == "" || !deeper && last == asLink {
			at, done = next, len(name)-len(rest)
			continue
		}
		if hops++; hops > maxLinks {
			return entry{}, syscall.ELOOP
		}
		// The folder of the link is a real path, so ".." can be resolved as text.
		name = path.Join(name[:done], next.link, rest)
		if !fs.ValidPath(name) {
			return entry{}, syscall.ENOENT
		}
		at, done = m.root, 0
	}
	return at, nil
}

// followLast says what a link at the end of a path stands for.
type followLast int

const (
	asTarget followLast = iota
	asLink
)

// look is walk with the rules of every door.
func (f files) look(op, name string, last followLast) (entry, error) {
	if err := f.m.looks(name); err != nil {
		return entry{}, &fs.PathError{Op: op, Path: name, Err: err}
	}
	e, err := f.m.walk(name, last)
	if err != nil {
		return entry{}, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return e, nil
}

// Open implements fs.FS. A file's content is that of this moment.
func (f files) Open(name string) (fs.File, error) {
	f.m.mu.Lock()
	e, err := f.look("open", name, asTarget)
	f.m.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if e.dir != nil {
		list, err := f.ReadDir(name)
		return &openDir{info: infoOf(e), path: name, entries: list}, err
	}
	if e.attr.read == nil {
		// sysfs checks the permission bits even for root
		// (fs/kernfs/file.c, kernfs_fop_open).
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EACCES}
	}
	data, err := f.ReadFile(name)
	return &openFile{info: infoOf(e), data: *bytes.NewReader(data), err: err}, nil
}

// ReadFile implements fs.ReadFileFS.
func (f files) ReadFile(name string) ([]byte, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	e, err := f.look("open", name, asTarget)
	if err != nil {
		return nil, err
	}
	if e.dir != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: syscall.EISDIR}
	}
	if e.attr.read == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EACCES}
	}
	if e.attr.serial != nil {
		f.m.mu.Unlock()
		c := startClock()
		c.acquire(e.attr.serial)
		c.release(e.attr.serial)
		f.m.mu.Lock()
	}
	s, err := e.attr.read()
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return []byte(s), nil
}

// ReadDir implements fs.ReadDirFS.
func (f files) ReadDir(name string) ([]fs.DirEntry, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	e, err := f.look("open", name, asTarget)
	if err != nil {
		return nil, err
	}
	if e.dir == nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: syscall.ENOTDIR}
	}
	children := e.dir.list()
	out := make([]fs.DirEntry, 0, len(children))
	for _, child := range children {
		out = append(out, infoOf(child))
	}
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}

// Stat implements fs.StatFS.
func (f files) Stat(name string) (fs.FileInfo, error) { return f.stat("stat", name, asTarget) }

// Lstat implements fs.ReadLinkFS.
func (f files) Lstat(name string) (fs.FileInfo, error) { return f.stat("lstat", name, asLink) }

func (f files) stat(op, name string, last followLast) (fs.FileInfo, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	e, err := f.look(op, name, last)
	if err != nil {
		return nil, err
	}
	i := infoOf(e)
	i.name = path.Base(name)
	return i, nil
}

// ReadLink implements fs.ReadLinkFS.
func (f files) ReadLink(name string) (string, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	e, err := f.look("readlink", name, asLink)
	if err != nil {
		return "", err
	}
	if e.link == "" {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: syscall.EINVAL}
	}
	return e.link, nil
}

// WriteAttr implements host.AttrWriter.
func (f files) WriteAttr(ctx context.Context, name, value string) error {
	err := f.m.change(ctx, func(c *clock) error { return f.write(c, name, value) }, name, name+"="+strings.TrimRight(value, "\n"))
	if err != nil {
		return &fs.PathError{Op: "write", Path: name, Err: err}
	}
	return nil
}

func (f files) write(c *clock, name, value string) error {
	f.m.mu.Lock()
	e, err := f.m.walk(name, asTarget)
	f.m.mu.Unlock()
	switch {
	case err != nil:
		return err
	case e.dir != nil:
		return syscall.EISDIR
	case e.attr.write == nil:
		return syscall.EACCES
	case value == "":
		return nil // fs/sysfs/file.c, sysfs_kf_write: nothing is no write
	}
	return e.attr.write(c, value)
}

// Replace implements host.ConfWriter. The machine's files are those below etc/.
func (f files) Replace(ctx context.Context, name string, data []byte, mode fs.FileMode) error {
	err := f.conf(ctx, name, func() error {
		if e, err := f.m.walk(name, asTarget); err == nil && e.dir != nil {
			return syscall.EISDIR
		}
		f.m.etc[name] = confFile{data: slices.Clone(data), mode: mode}
		return nil
	})
	if err != nil {
		return &fs.PathError{Op: "replace", Path: name, Err: err}
	}
	return nil
}

// Remove implements host.ConfWriter.
func (f files) Remove(ctx context.Context, name string) error {
	err := f.conf(ctx, name, func() error {
		delete(f.m.etc, name)
		return nil
	})
	if err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	return nil
}

func (f files) conf(ctx context.Context, name string, work func() error) error {
	if !fs.ValidPath(name) || !strings.HasPrefix(name, "etc/") {
		return fs.ErrInvalid
	}
	return f.m.change(ctx, func(c *clock) error {
		c.pass(f.m.takes().Conf)
		f.m.mu.Lock()
		defer f.m.mu.Unlock()
		return work()
	}, name)
}

// info is what stat and a listing say of an entry.
type info struct {
	name string
	mode fs.FileMode
	size int64
}

func infoOf(e entry) info {
	switch {
	case e.link != "":
		return info{name: e.name, mode: fs.ModeSymlink | 0o777}
	case e.dir != nil:
		return info{name: e.name, mode: fs.ModeDir | 0o755}
	}
	return info{name: e.name, mode: fs.FileMode(e.attr.mode), size: 4096} // sysfs says a page for every attribute
}

// Name implements fs.FileInfo.
func (i info) Name() string { return i.name }

// Size implements fs.FileInfo.
func (i info) Size() int64 { return i.size }

// Mode implements fs.FileInfo.
func (i info) Mode() fs.FileMode { return i.mode }

// ModTime implements fs.FileInfo; the machine keeps no times.
func (i info) ModTime() time.Time { return time.Time{} }

// IsDir implements fs.FileInfo.
func (i info) IsDir() bool { return i.mode.IsDir() }

// Type implements fs.DirEntry.
func (i info) Type() fs.FileMode { return i.mode.Type() }

// Info implements fs.DirEntry.
func (i info) Info() (fs.FileInfo, error) { return i, nil }

// Sys implements fs.FileInfo.
func (i info) Sys() any { return nil }

// openFile is a file that was opened. What its reading fails with, it fails with
// at the first read, as in sysfs.
type openFile struct {
	info
	data bytes.Reader
	err  error
}

// Stat implements fs.File.
func (o *openFile) Stat() (fs.FileInfo, error) { return o.info, nil }

// Read implements fs.File.
func (o *openFile) Read(b []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	return o.data.Read(b)
}

// Close implements fs.File.
func (o *openFile) Close() error { return nil }

// openDir is a folder that was opened.
type openDir struct {
	info
	path    string
	entries []fs.DirEntry
}

// Stat implements fs.File.
func (o *openDir) Stat() (fs.FileInfo, error) { return o.info, nil }

// Read implements fs.File.
func (o *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: o.path, Err: syscall.EISDIR}
}

// Close implements fs.File.
func (o *openDir) Close() error { return nil }

// ReadDir implements fs.ReadDirFile.
func (o *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(o.entries)
	} else if len(o.entries) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(o.entries))
	out := o.entries[:n]
	o.entries = o.entries[n:]
	return out, nil
}

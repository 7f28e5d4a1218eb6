// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

// maxLinks is how many links a path may go through, as on Linux
// (include/linux/namei.h, MAXSYMLINKS).
const maxLinks = 40

// node is one recorded file, folder or link. Its mode's type bits say which.
type node struct {
	mode   fs.FileMode
	size   int64 // as stat says it; sysfs says a page for every attribute
	data   []byte
	target string
	// fault is what reading it answered.
	fault *fault
	// known: the content of a file, or the list of a folder, was read.
	known bool
}

// tree is a recorded file system. Names are real paths: no folder in them is a
// link.
type tree struct {
	nodes    map[string]*node
	children map[string][]string // names in a folder, unsorted
}

func newTree() *tree {
	t := &tree{nodes: map[string]*node{}, children: map[string][]string{}}
	t.nodes["."] = &node{mode: fs.ModeDir | 0o755}
	return t
}

// add puts a node into its folder, which exists.
func (t *tree) add(name string, n *node) {
	t.nodes[name] = n
	dir := path.Dir(name)
	t.children[dir] = append(t.children[dir], path.Base(name))
}

// resolve finds the real path of a name; lookup gives the node of a real path.
// The last element is followed unless it is asked for itself.
func resolve(name string, itself bool, lookup func(real string) (*node, error)) (string, *node, error) {
	if !fs.ValidPath(name) {
		return "", nil, fs.ErrInvalid
	}
	real := "."
	at, err := lookup(real)
	if err != nil || name == "." {
		return real, at, err
	}
	todo := strings.Split(name, "/")
	for hops := 0; len(todo) > 0; {
		if !at.mode.IsDir() {
			return "", nil, syscall.ENOTDIR
		}
		next := path.Join(real, todo[0])
		n, err := lookup(next)
		if err != nil {
			return "", nil, err
		}
		if n.mode.Type() != fs.ModeSymlink || len(todo) == 1 && itself {
			real, at, todo = next, n, todo[1:]
			continue
		}
		if hops++; hops > maxLinks {
			return "", nil, syscall.ELOOP
		}
		if todo, err = through(real, n.target, todo[1:]); err != nil {
			return "", nil, err
		}
		real = "."
		if at, err = lookup(real); err != nil {
			return "", nil, err
		}
	}
	return real, at, nil
}

// through gives what is left to walk, from the root, behind a link in dir. That
// is a real path, so ".." can be resolved as text. What leads out of the recorded
// machine leads nowhere.
func through(dir, link string, rest []string) ([]string, error) {
	target := path.Join(dir, link)
	switch {
	case path.IsAbs(link) || !fs.ValidPath(target):
		return nil, syscall.ENOENT
	case target == ".":
		return rest, nil
	}
	return append(strings.Split(target, "/"), rest...), nil
}

func (t *tree) lookup(real string) (*node, error) {
	if n, ok := t.nodes[real]; ok {
		return n, nil
	}
	return nil, syscall.ENOENT
}

var (
	_ fs.ReadLinkFS = (*tree)(nil)
	_ fs.ReadDirFS  = (*tree)(nil)
	_ fs.ReadFileFS = (*tree)(nil)
	_ fs.StatFS     = (*tree)(nil)
)

func failed(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

// find is resolve with the operation in the error.
func (t *tree) find(op, name string, itself bool) (string, *node, error) {
	real, n, err := resolve(name, itself, t.lookup)
	if err != nil {
		return "", nil, failed(op, name, err)
	}
	return real, n, nil
}

// Open implements fs.FS.
func (t *tree) Open(name string) (fs.File, error) {
	_, n, err := t.find("open", name, false)
	if err != nil {
		return nil, err
	}
	return open(t, name, info{name: path.Base(name), node: n})
}

// open opens a file or folder of any file system that reads whole ones. What
// reading fails with, the first read fails with, as in sysfs.
func open(files interface {
	fs.ReadDirFS
	fs.ReadFileFS
}, name string, i fs.FileInfo) (fs.File, error) {
	o := &opened{info: i, path: name}
	if i.IsDir() {
		o.entries, o.err = files.ReadDir(name)
		return o, nil
	}
	data, err := files.ReadFile(name)
	o.data, o.err = bytes.NewReader(data), err
	return o, nil
}

// ReadFile implements fs.ReadFileFS.
func (t *tree) ReadFile(name string) ([]byte, error) {
	_, n, err := t.find("open", name, false)
	switch {
	case err != nil:
		return nil, err
	case n.mode.IsDir():
		return nil, failed("read", name, syscall.EISDIR)
	case n.fault != nil:
		return nil, failed(n.fault.Op, name, n.fault.replay())
	case !n.known:
		return nil, failed("read", name, ErrNotRecorded)
	}
	return slices.Clone(n.data), nil
}

// ReadDir implements fs.ReadDirFS.
func (t *tree) ReadDir(name string) ([]fs.DirEntry, error) {
	real, n, err := t.find("open", name, false)
	switch {
	case err != nil:
		return nil, err
	case !n.mode.IsDir():
		return nil, failed("readdir", name, syscall.ENOTDIR)
	case n.fault != nil:
		return nil, failed(n.fault.Op, name, n.fault.replay())
	case !n.known:
		return nil, failed("readdir", name, ErrNotRecorded)
	}
	var out []fs.DirEntry
	for _, child := range slices.Sorted(slices.Values(t.children[real])) {
		out = append(out, fs.FileInfoToDirEntry(info{name: child, node: t.nodes[path.Join(real, child)]}))
	}
	return out, nil
}

// Stat implements fs.StatFS.
func (t *tree) Stat(name string) (fs.FileInfo, error) {
	_, n, err := t.find("stat", name, false)
	return info{name: path.Base(name), node: n}, err
}

// Lstat implements fs.ReadLinkFS.
func (t *tree) Lstat(name string) (fs.FileInfo, error) {
	_, n, err := t.find("lstat", name, true)
	return info{name: path.Base(name), node: n}, err
}

// ReadLink implements fs.ReadLinkFS.
func (t *tree) ReadLink(name string) (string, error) {
	_, n, err := t.find("readlink", name, true)
	if err != nil {
		return "", err
	}
	if n.mode.Type() != fs.ModeSymlink {
		return "", failed("readlink", name, syscall.EINVAL)
	}
	return n.target, nil
}

// info is what stat says of a node.
type info struct {
	name string
	node *node
}

// Name implements fs.FileInfo.
func (i info) Name() string { return i.name }

// Size implements fs.FileInfo.
func (i info) Size() int64 { return i.node.size }

// Mode implements fs.FileInfo.
func (i info) Mode() fs.FileMode { return i.node.mode }

// ModTime implements fs.FileInfo; a capture holds no times.
func (i info) ModTime() time.Time { return time.Time{} }

// IsDir implements fs.FileInfo.
func (i info) IsDir() bool { return i.node.mode.IsDir() }

// Sys implements fs.FileInfo.
func (i info) Sys() any { return nil }

// opened is a file or folder that was opened.
type opened struct {
	info    fs.FileInfo
	path    string
	data    *bytes.Reader
	entries []fs.DirEntry
	err     error
}

// Stat implements fs.File.
func (o *opened) Stat() (fs.FileInfo, error) { return o.info, nil }

// Close implements fs.File.
func (o *opened) Close() error { return nil }

// Read implements fs.File.
func (o *opened) Read(b []byte) (int, error) {
	switch {
	case o.info.IsDir():
		return 0, failed("read", o.path, syscall.EISDIR)
	case o.err != nil:
		return 0, o.err
	}
	return o.data.Read(b)
}

// ReadDir implements fs.ReadDirFile.
func (o *opened) ReadDir(n int) ([]fs.DirEntry, error) {
	switch {
	case !o.info.IsDir():
		return nil, failed("readdir", o.path, syscall.ENOTDIR)
	case o.err != nil:
		return nil, o.err
	case n <= 0:
		n = len(o.entries)
	case len(o.entries) == 0:
		return nil, io.EOF
	}
	n = min(n, len(o.entries))
	out := o.entries[:n]
	o.entries = o.entries[n:]
	return out, nil
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/kubeovn/sriov-network-operator/internal/host"
)

// A capture may come from anybody. These bounds are far above what a machine
// with 16 PFs of 256 VFs needs.
const (
	maxEntries  = 1 << 20
	maxDocument = 64 << 20  // bytes of one JSON file
	maxFile     = 1 << 20   // bytes of one recorded file
	maxTotal    = 512 << 20 // bytes of all
	maxName     = 1 << 10   // bytes of a path or of a link's target
)

// Open loads a capture: a tar file, which may be compressed with gzip, or a
// folder that one was unpacked to. Links in it lead nowhere outside of it.
func Open(name string) (host.Reader, error) {
	i, err := os.Stat(name)
	if err != nil {
		return host.Reader{}, fmt.Errorf("open capture: %w", err)
	}
	l := newLoader()
	if i.IsDir() {
		err = l.folder(name)
	} else {
		err = l.file(name)
	}
	var r host.Reader
	if err == nil {
		r, err = l.reader()
	}
	if err != nil {
		return host.Reader{}, fmt.Errorf("open capture %s: %w", name, err)
	}
	return r, nil
}

// loader builds a recorded machine from entries in any order.
type loader struct {
	entries   int
	size      int64
	documents map[string][]byte
	tree      *tree
}

func newLoader() *loader {
	return &loader{documents: map[string][]byte{}, tree: newTree()}
}

func (l *loader) file(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(l.tar(f), f.Close())
}

func (l *loader) tar(r io.Reader) error {
	buffered := bufio.NewReader(r)
	if magic, err := buffered.Peek(2); err == nil && bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return err
		}
		buffered = bufio.NewReader(unzipped)
	}
	// One more than allowed, so that too much is seen and not cut off.
	in := tar.NewReader(io.LimitReader(buffered, maxTotal+1))
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		n := &node{known: true}
		switch header.Typeflag {
		case tar.TypeReg:
			n.mode = 0o644
		case tar.TypeDir:
			n.mode = fs.ModeDir | 0o755
		case tar.TypeSymlink:
			n.mode, n.target = fs.ModeSymlink|0o777, header.Linkname
		default:
			return fmt.Errorf("%s: %w", header.Name, errKind)
		}
		name := strings.TrimSuffix(strings.TrimPrefix(header.Name, "./"), "/")
		if err := l.entry(name, n, in); err != nil {
			return err
		}
	}
}

// folder loads an unpacked capture. os.Root refuses what leads out of it.
func (l *loader) folder(name string) error {
	root, err := os.OpenRoot(name) //nolint:forbidigo // a capture is a folder that a person names, and no machine's root
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // nothing was written
	files := root.FS()
	return fs.WalkDir(files, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		n := &node{known: true, mode: e.Type() | 0o644}
		var content io.Reader
		switch {
		case n.mode.IsRegular():
			f, err := files.Open(name)
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }() // nothing was written
			content = f
		case n.mode.Type() == fs.ModeSymlink:
			if n.target, err = fs.ReadLink(files, name); err != nil {
				return err
			}
		case !n.mode.IsDir():
			return fmt.Errorf("%s: %w", name, errKind)
		}
		return l.entry(name, n, content)
	})
}

// entry takes one entry of the capture.
func (l *loader) entry(name string, n *node, content io.Reader) error {
	if l.entries++; l.entries > maxEntries {
		return fmt.Errorf("more than %d entries", maxEntries)
	}
	if !fs.ValidPath(name) || len(name) > maxName || len(n.target) > maxName {
		return fmt.Errorf("%.100q: a path that leads out of the capture, or is too long", name)
	}
	limit := int64(maxFile)
	inRoot := name == rootName || strings.HasPrefix(name, rootName+"/")
	if !inRoot {
		limit = maxDocument
	}
	if n.mode.IsRegular() {
		data, err := io.ReadAll(io.LimitReader(content, limit+1))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		l.size += int64(len(data))
		if int64(len(data)) > limit || l.size > maxTotal {
			return fmt.Errorf("%s: more than %d bytes in one file or %d in all", name, limit, maxTotal)
		}
		n.data, n.size = data, int64(len(data))
	}
	if !inRoot {
		if n.mode.IsRegular() {
			l.documents[name] = n.data
		}
		return nil // a folder, or something that a person put there
	}
	return l.put(strings.TrimPrefix(strings.TrimPrefix(name, rootName), "/"), n)
}

// put adds an entry to the tree, with the folders above it.
func (l *loader) put(name string, n *node) error {
	if name == "" {
		if !n.mode.IsDir() {
			return fmt.Errorf("%s is no folder", rootName)
		}
		l.tree.nodes["."].known = true
		return nil
	}
	if old := l.tree.nodes[name]; old != nil {
		if old.mode.IsDir() && n.mode.IsDir() {
			return nil
		}
		return fmt.Errorf("%s is there twice", name)
	}
	dir := path.Dir(name)
	if above := l.tree.nodes[dir]; above == nil {
		if l.entries++; l.entries > maxEntries {
			return fmt.Errorf("more than %d entries", maxEntries)
		}
		if err := l.put(dir, &node{mode: fs.ModeDir | 0o755, known: true}); err != nil {
			return err
		}
	} else if !above.mode.IsDir() {
		return fmt.Errorf("%s is in %s, which is no folder", name, dir)
	}
	l.tree.add(name, n)
	return nil
}

// reader puts together what was loaded.
func (l *loader) reader() (host.Reader, error) {
	var idx index
	if l.documents[indexName] == nil {
		return host.Reader{}, fmt.Errorf("%s is missing: this is no capture", indexName)
	}
	var doors replay
	for name, into := range map[string]any{indexName: &idx, linksName: &doors.links, devlinkName: &doors.devlink, rdmaName: &doors.rdma, bootName: &doors.boot} {
		if l.documents[name] == nil {
			continue
		}
		if err := json.Unmarshal(l.documents[name], into); err != nil {
			return host.Reader{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	if idx.Format != format {
		return host.Reader{}, fmt.Errorf("the capture has format %d and this program reads %d", idx.Format, format)
	}
	for _, name := range idx.Partial {
		if n := l.tree.nodes[name]; n != nil {
			n.known = false
		}
	}
	for name, f := range idx.Failing {
		if n := l.tree.nodes[name]; n != nil {
			n.fault, n.known = &f, false
		}
	}
	return host.Reader{Files: l.tree, Links: doors, Devlink: doors, RDMA: doors, Boot: doors}, nil
}

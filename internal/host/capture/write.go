// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
)

// format is the version of the layout that this package writes and reads.
const format = 1

// The names in a capture.
const (
	indexName   = "capture.json"
	linksName   = "doors/links.json"
	devlinkName = "doors/devlink.json"
	rdmaName    = "doors/rdma.json"
	bootName    = "doors/boot.json"
	rootName    = "root"
)

// index is capture.json.
type index struct {
	Format int `json:"format"`
	// Partial are the files whose content, and the folders whose list, nobody
	// read.
	Partial []string `json:"partial,omitempty"`
	// Failing are those whose reading failed, and how.
	Failing map[string]fault `json:"failing,omitempty"`
}

// WriteTar writes what was read so far. The same reading gives the same bytes.
func (r *Recorder) WriteTar(w io.Writer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := tar.NewWriter(w)
	names := slices.Sorted(maps.Keys(r.tree.nodes))
	idx := index{Format: format, Failing: map[string]fault{}}
	for _, name := range names {
		n := r.tree.nodes[name]
		switch {
		case n.fault != nil:
			idx.Failing[name] = *n.fault
		case !n.known && n.mode.Type() != fs.ModeSymlink:
			idx.Partial = append(idx.Partial, name)
		}
	}
	documents := []struct {
		name string
		v    any
	}{{indexName, idx}, {linksName, r.doors.links}, {devlinkName, r.doors.devlink}, {rdmaName, r.doors.rdma}, {bootName, r.doors.boot}}
	for _, d := range documents {
		b, err := json.MarshalIndent(d.v, "", "  ")
		if err == nil {
			err = writeEntry(out, d.name, &node{mode: 0o644, data: append(b, '\n')})
		}
		if err != nil {
			return fmt.Errorf("write %s of the capture: %w", d.name, err)
		}
	}
	for _, name := range names {
		if err := writeEntry(out, path.Join(rootName, name), r.tree.nodes[name]); err != nil {
			return fmt.Errorf("write %s of the capture: %w", name, err)
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("write the capture: %w", err)
	}
	return nil
}

// errKind says that a machine has a file that is neither file nor folder nor
// link.
var errKind = errors.New("neither a file nor a folder nor a link")

func writeEntry(out *tar.Writer, name string, n *node) error {
	// Whoever unpacks a capture may read and remove it, whatever the machine's
	// permissions were.
	header := tar.Header{Name: name, Format: tar.FormatPAX, Mode: 0o644}
	switch kind := n.mode.Type(); {
	case n.mode.IsRegular():
		header.Typeflag, header.Size = tar.TypeReg, int64(len(n.data))
	case n.mode.IsDir():
		header.Typeflag, header.Name, header.Mode = tar.TypeDir, name+"/", 0o755
	case kind == fs.ModeSymlink:
		header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, n.target, 0o777
	default:
		return errKind
	}
	if err := out.WriteHeader(&header); err != nil {
		return err
	}
	_, err := out.Write(n.data)
	return err
}

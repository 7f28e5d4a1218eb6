// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// annotationName is where containerd and podman read which name an image gets that is
// loaded from a file. The specification's own annotation may hold only the tag.
const annotationName = "io.containerd.image.name"

// writeArchive stores an image in a file, as an image layout in a tar archive, whole or
// not at all.
func writeArchive(path, ref string, index v1.ImageIndex, at time.Time) error {
	folder, err := os.MkdirTemp(filepath.Dir(path), ".layout-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	outer := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{
		Add: index, Descriptor: v1.Descriptor{Annotations: map[string]string{annotationName: ref}},
	})
	content := filepath.Join(folder, "content")
	if _, err := layout.Write(content, outer); err != nil {
		return fmt.Errorf("lay out: %w", err)
	}
	whole := filepath.Join(folder, "archive")
	out, err := os.Create(whole)
	if err != nil {
		return err
	}
	if err := archive(out, os.DirFS(content), at); err != nil {
		_ = out.Close()
		return fmt.Errorf("archive: %w", err)
	}
	if err := out.Close(); err != nil {
		return err
	}
	return os.Rename(whole, path)
}

// archive writes the files of a folder in the order of their names. Nothing of the
// machine is in it.
func archive(out io.Writer, folder fs.FS, at time.Time) error {
	w := tar.NewWriter(out)
	err := fs.WalkDir(folder, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(folder, path)
		if err != nil {
			return err
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: 0o644, Size: int64(len(content)), ModTime: at}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	})
	if err != nil {
		return err
	}
	return w.Close()
}

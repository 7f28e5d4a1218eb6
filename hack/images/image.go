// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Where things are in an image. Workloads name their program without its folder.
const (
	programs = "usr/bin"
	license  = "licenses/LICENSE"
)

const (
	// nobody is who pods run as that are not root, unless they say otherwise.
	nobody = "10000:10000"
	// root is for the daemon, which changes the host.
	root = "0:0"
)

// want is one image.
type want struct {
	// name is the repository's, below the registry.
	name, program, user, title string
}

// wanted are the images of this project.
func wanted() []want {
	return []want{
		{"sriov-network-operator", "sriov-network-operator", nobody, "SR-IOV network operator"},
		{"sriov-network-config-daemon", "sriov-network-config-daemon", root, "Config daemon of the SR-IOV network operator"},
		{"sriov-network-operator-webhook", "webhook", nobody, "Webhook of the SR-IOV network operator"},
	}
}

func reference(registry, repository, tag string) (name.Tag, error) {
	ref, err := name.NewTag(registry+"/"+repository+":"+tag, name.StrictValidation)
	if err != nil {
		return name.Tag{}, fmt.Errorf("-registry and -tag make no name of an image: %w", err)
	}
	return ref, nil
}

// build is the image for every processor.
func build(ctx context.Context, o options, from source, w want) (v1.ImageIndex, error) {
	folder, err := os.MkdirTemp("", "images-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	text, err := os.ReadFile(filepath.Join(o.root, "LICENSE"))
	if err != nil {
		return nil, err
	}
	var images []mutate.IndexAddendum
	for _, arch := range o.arches {
		file, err := compile(ctx, o.root, folder, w.program, arch, from.version)
		if err != nil {
			return nil, err
		}
		program, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		image, err := assemble(w, from, arch, program, text)
		if err != nil {
			return nil, fmt.Errorf("assemble for %s: %w", arch, err)
		}
		images = append(images, addendum(image, arch))
	}
	return join(images), nil
}

func addendum(image v1.Image, arch string) mutate.IndexAddendum {
	return mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}}
}

// join makes one image of those for single processors.
func join(images []mutate.IndexAddendum) v1.ImageIndex {
	return mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), images...)
}

// assemble is the image for one processor: the program and its license, and nothing else.
// There is no base: programs are static, and the trust in the API server comes with the
// pod's token.
func assemble(w want, from source, arch string, program, text []byte) (v1.Image, error) {
	files, err := layer(from.time, file{programs + "/" + w.program, 0o755, program}, file{license, 0o644, text})
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	made := v1.Time{Time: from.time}
	image, err := mutate.Append(base, mutate.Addendum{
		Layer: files, MediaType: types.OCILayer, History: v1.History{Created: made, CreatedBy: "hack/images"},
	})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Created, config.OS, config.Architecture = made, "linux", arch
	config.Config = v1.Config{
		User: w.user, Entrypoint: []string{"/" + programs + "/" + w.program}, Env: []string{"PATH=/" + programs},
		WorkingDir: "/", Labels: labels(w, from),
	}
	return mutate.ConfigFile(image, config)
}

// labels are those that the specification of images names.
func labels(w want, from source) map[string]string {
	const prefix = "org.opencontainers.image."
	return map[string]string{
		prefix + "title": w.title, prefix + "version": from.version, prefix + "revision": from.revision,
		prefix + "created":  from.time.Format(time.RFC3339),
		prefix + "source":   "https://github.com/kubeovn/sriov-network-operator",
		prefix + "licenses": "Apache-2.0",
	}
}

// file is a file of an image, which is root's.
type file struct {
	name    string
	mode    int64
	content []byte
}

func layer(at time.Time, files ...file) (v1.Layer, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.content)), ModTime: at}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
}

func push(ctx context.Context, ref name.Tag, index v1.ImageIndex) error {
	err := remote.WriteIndex(ref, index, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
	if err != nil {
		return fmt.Errorf("push %s: %w", ref.Name(), err)
	}
	return nil
}

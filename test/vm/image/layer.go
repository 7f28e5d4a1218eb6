// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// key is the hash of a layer's inputs.
type key string

// input is one thing that a layer is made from.
type input struct {
	Name    string
	Content string
}

// keyOf returns the key of inputs, in their order.
func keyOf(inputs ...input) key {
	h := sha256.New()
	for _, in := range inputs {
		fmt.Fprintf(h, "%d %s %d %s\n", len(in.Name), in.Name, len(in.Content), in.Content)
	}
	return key(hex.EncodeToString(h.Sum(nil))[:16])
}

// inputsOf returns the files under a folder of files, in their names' order,
// without Go tests, which change nothing that is built.
func inputsOf(files fs.FS, folder string) ([]input, error) {
	var inputs []input
	err := fs.WalkDir(files, folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := fs.ReadFile(files, path)
		inputs = append(inputs, input{path, string(b)})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read inputs: %w", err)
	}
	return inputs, nil
}

// layer is a folder of the cache.
type layer struct {
	Name string
	Key  key
	// Build fills dir, which is then renamed to final.
	Build func(ctx context.Context, dir, final string) error
}

// keepUnused is how long a layer that nobody used stays in the cache.
const keepUnused = 14 * 24 * time.Hour

// layer returns the folder of a layer. It builds the layer if the cache lacks
// it, and waits while another process does. An interrupted build leaves no layer.
func (b Builder) layer(ctx context.Context, l layer) (string, error) {
	final := b.folder(l)
	if err := touch(final); err == nil {
		return final, nil
	}
	if err := os.MkdirAll(b.Cache, 0o755); err != nil {
		return "", fmt.Errorf("make the cache: %w", err)
	}
	unlock, err := Lock(filepath.Join(b.Cache, l.Name+".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if err := touch(final); err == nil {
		return final, nil
	}
	started := time.Now()
	b.say("build layer %s", filepath.Base(final))
	if err := buildInto(ctx, l, final); err != nil {
		return "", fmt.Errorf("build the VM's %s: %w", l.Name, err)
	}
	b.say("built layer %s in %.1f s", filepath.Base(final), time.Since(started).Seconds())
	return final, b.prune(l.Name, started.Add(-keepUnused))
}

func (b Builder) folder(l layer) string {
	return filepath.Join(b.Cache, l.Name+"-"+string(l.Key))
}

// has reports whether the cache holds a layer.
func (b Builder) has(l layer) bool {
	_, err := os.Stat(b.folder(l))
	return err == nil
}

func buildInto(ctx context.Context, l layer, final string) error {
	dir := final + ".part"
	// The lock makes what is there the remains of an interrupted build.
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := l.Build(ctx, dir, final); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	return os.Rename(dir, final)
}

// touch notes that a layer is in use. Its error says that there is none.
func touch(path string) error {
	now := time.Now()
	err := os.Chtimes(path, now, now)
	if errors.Is(err, fs.ErrPermission) {
		return nil // another user's cache is as good
	}
	return err
}

// prune removes the layers of a name that were last used before limit.
func (b Builder) prune(name string, limit time.Time) error {
	entries, err := os.ReadDir(b.Cache)
	if err != nil {
		return fmt.Errorf("prune the cache: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.HasPrefix(e.Name(), name+"-") || info.ModTime().After(limit) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(b.Cache, e.Name())); err != nil {
			return fmt.Errorf("prune the cache: %w", err)
		}
	}
	return nil
}

// Lock waits for a lock, which holds between processes and within one, and takes
// it.
func Lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package binaries

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// DefaultCache returns the folder of the rig's cache: kube in $SRIOV_CACHE, or
// in sriov-network-operator in the user's cache folder.
func DefaultCache(getenv func(string) string) (string, error) {
	if dir := getenv("SRIOV_CACHE"); dir != "" {
		dir, err := filepath.Abs(filepath.Join(dir, "kube"))
		if err != nil {
			return "", fmt.Errorf("find the cache: %w", err)
		}
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache: %w: set SRIOV_CACHE to a folder", err)
	}
	return filepath.Join(dir, "sriov-network-operator", "kube"), nil
}

// Set is a folder of built programs.
type Set struct {
	Dir string
}

// Bin returns the folder of the programs alone, as KUBEBUILDER_ASSETS and PATH
// want it.
func (s Set) Bin() string { return filepath.Join(s.Dir, "bin") }

// Program returns the path of etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler, kubectl or kwok.
func (s Set) Program(name string) string { return filepath.Join(s.Bin(), name) }

// Stages returns the path of what kwok needs to be told: how a node becomes
// ready and stays so, and how pods run, complete and go.
func (s Set) Stages() string { return filepath.Join(s.Dir, "stages.yaml") }

// keepUnused is how long programs that nobody used stay in the cache.
const keepUnused = 14 * 24 * time.Hour

// Find returns the programs from the cache. Where there are none it is an error
// that says how to build them: that takes longer than a test may.
func (b Builder) Find() (Set, error) {
	s, err := b.place()
	if err != nil {
		return Set{}, err
	}
	if err := touch(s.Dir); err != nil {
		return Set{}, fmt.Errorf("no Kubernetes for tests in %s: run `go run ./test/kube/cmd/kuberig build` in %s, once (up to ten minutes): %w", s.Dir, b.Repository, err)
	}
	return s, nil
}

// place returns where the programs belong.
func (b Builder) place() (Set, error) {
	h := sha256.New()
	_, _ = fmt.Fprintln(h, runtime.Version(), runtime.GOARCH, recipe) // a hash takes all
	for _, m := range modules() {
		fmt.Fprintf(h, "%q\n", m)
		for _, file := range []string{"go.mod", "go.sum"} {
			text, err := os.ReadFile(filepath.Join(b.module(m), file))
			if err != nil {
				return Set{}, fmt.Errorf("read the versions of the control plane: %w", err)
			}
			fmt.Fprintf(h, "%d %s\n", len(text), text)
		}
	}
	return Set{filepath.Join(b.Cache, hex.EncodeToString(h.Sum(nil))[:16])}, nil
}

// touch notes that a folder is in use. Its error says that there is none.
func touch(path string) error {
	now := time.Now()
	err := os.Chtimes(path, now, now)
	if errors.Is(err, fs.ErrPermission) {
		return nil // another user's cache is as good
	}
	return err
}

// prune removes the programs that were last used before limit.
func (b Builder) prune(limit time.Time) error {
	entries, err := os.ReadDir(b.Cache)
	if err != nil {
		return fmt.Errorf("prune the cache: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !e.IsDir() || info.ModTime().After(limit) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(b.Cache, e.Name())); err != nil {
			return fmt.Errorf("prune the cache: %w", err)
		}
	}
	return nil
}

// modulePath is the operator's.
const modulePath = "github.com/kubeovn/sriov-network-operator"

// Repository returns the root of the repository that a folder is in.
func Repository(from string) (string, error) {
	dir, err := filepath.Abs(from)
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		first, _, _ := strings.Cut(string(text), "\n")
		if err == nil && strings.TrimSpace(first) == "module "+modulePath {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("find the repository of %s: %s is not in it: change to a folder of the repository", modulePath, from)
		}
	}
}

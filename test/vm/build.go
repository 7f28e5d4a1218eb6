// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubeovn/sriov-network-operator/test/vm/clone"
	"github.com/kubeovn/sriov-network-operator/test/vm/image"
)

// Build compiles a command for the guest and returns the binary's path. Each
// package is compiled once in a test process.
func Build(tb testing.TB, pkg string) string {
	tb.Helper()
	return compile(tb, filepath.Base(pkg), "build", "-ldflags=-s -w", pkg)
}

// BuildTest compiles a package's tests, with build tags, for the guest and
// returns the binary's path. Each is compiled once in a test process. Push the
// binary under any name; it takes the flags of go test with the prefix test.
func BuildTest(tb testing.TB, pkg string, tags ...string) string {
	tb.Helper()
	return compile(tb, filepath.Base(pkg)+".test", "test", "-c", "-ldflags=-s -w", "-tags="+strings.Join(tags, ","), pkg)
}

// compile runs the go command to make a binary of a name. The binary's folder
// is known by the arguments and shared by the process.
func compile(tb testing.TB, name string, args ...string) string {
	tb.Helper()
	shared, err := clone.ProcessFolder()
	if err != nil {
		tb.Fatal(err)
	}
	sum := sha256.Sum256([]byte(strings.Join(args, "\x00")))
	dir := filepath.Join(shared, hex.EncodeToString(sum[:8]))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		tb.Fatalf("make a folder for %s: %v", name, err)
	}
	// Tests that run in parallel wait for the first to compile.
	unlock, err := image.Lock(filepath.Join(dir, "lock"))
	if err != nil {
		tb.Fatalf("compile %s: %v", name, err)
	}
	defer unlock()
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path
	}
	cmd := exec.CommandContext(tb.Context(), "go", append(args[:len(args)-1:len(args)-1], "-o", path, args[len(args)-1])...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("compile %s: %v\n%s", args[len(args)-1], err, out)
	}
	return path
}

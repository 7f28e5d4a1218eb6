// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// kernelMeta is the package that depends on the newest kernel of the series.
const kernelMeta = "linux-image-6.12-amd64"

// kernelVersion names a kernel of Debian's.
type kernelVersion struct {
	Release string `json:"release"` // as in uname -r: 6.12.1+deb12-amd64
	Package string `json:"package"` // of the packages: 6.12.1-1~deb12u1
}

// resolved is a kernel version and apt's lists that it comes from.
type resolved struct {
	Lists   time.Time     `json:"lists"`
	Version kernelVersion `json:"version"`
}

const aptLists = "/var/lib/apt/lists"

// resolveKernel returns the newest kernel that apt knows of. Asking apt takes
// half a second, so the answer is kept until apt's lists change.
func (b Builder) resolveKernel(ctx context.Context) (kernelVersion, error) {
	lists, err := os.Stat(aptLists)
	if err != nil {
		return kernelVersion{}, errors.Join(checkSystem(), fmt.Errorf("look at apt's lists: %w", err))
	}
	memo := filepath.Join(b.Cache, "kernel.json")
	var known resolved
	if text, err := os.ReadFile(memo); err == nil && json.Unmarshal(text, &known) == nil && known.Lists.Equal(lists.ModTime()) {
		return known.Version, nil
	}
	if err := checkSystem(); err != nil {
		return kernelVersion{}, err
	}
	v, err := askForKernel(ctx)
	if errors.Is(err, errNoKernel) && os.Geteuid() == 0 {
		if err := b.apt(ctx, "update", "-qq"); err != nil {
			return kernelVersion{}, err
		}
		v, err = askForKernel(ctx)
	}
	if err != nil {
		return kernelVersion{}, err
	}
	return v, b.keepKernel(memo, v)
}

func (b Builder) keepKernel(memo string, v kernelVersion) error {
	lists, err := os.Stat(aptLists)
	if err != nil {
		return fmt.Errorf("look at apt's lists: %w", err)
	}
	text, err := json.Marshal(resolved{lists.ModTime(), v})
	if err != nil {
		return fmt.Errorf("keep the kernel's version: %w", err)
	}
	err = os.MkdirAll(b.Cache, 0o755)
	if err == nil {
		err = writeAtomically(memo, text)
	}
	// A cache that another user owns serves without this.
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("keep the kernel's version: %w", err)
	}
	return nil
}

var errNoKernel = errors.New("apt knows no package " + kernelMeta + ": enable bookworm-security in apt's sources and run `apt-get update`")

func askForKernel(ctx context.Context) (kernelVersion, error) {
	out, err := exec.CommandContext(ctx, "apt-cache", "show", "--no-all-versions", kernelMeta).Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return kernelVersion{}, fmt.Errorf("ask apt for the kernel: %w", err)
	}
	return parseKernel(string(out))
}

// parseKernel reads the record of the meta package, whose dependency is
// "linux-image-6.12.1+deb12-amd64 (= 6.12.1-1~deb12u1)".
func parseKernel(record string) (kernelVersion, error) {
	for line := range strings.Lines(record) {
		depends, ok := strings.CutPrefix(line, "Depends: ")
		if !ok {
			continue
		}
		for dependency := range strings.SplitSeq(depends, ",") {
			name, version, _ := strings.Cut(strings.TrimSpace(dependency), " ")
			release, ok := strings.CutPrefix(name, "linux-image-")
			version = strings.TrimSuffix(strings.TrimPrefix(version, "(= "), ")")
			if ok && version != "" {
				return kernelVersion{Release: release, Package: version}, nil
			}
		}
	}
	return kernelVersion{}, errNoKernel
}

func writeAtomically(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

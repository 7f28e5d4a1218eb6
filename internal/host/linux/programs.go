// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/kubeovn/sriov-network-operator/internal/host"
)

// errNoProgram says that the machine has no such program.
var errNoProgram = errors.New("the machine has no such program")

// programs runs the few programs of the machine that nothing in Go replaces.
type programs struct{ root string }

// run runs a program of the machine, in the machine's root. Only the child
// changes its root directory.
func (p programs) run(ctx context.Context, name string, args ...string) error {
	_, err := p.output(ctx, name, args...)
	return err
}

// output is run with what the program said on its standard output.
func (p programs) output(ctx context.Context, name string, args ...string) (string, error) {
	file, err := p.find(name)
	if err != nil {
		return "", fmt.Errorf("run %s: %w", name, err)
	}
	attempt := "run " + strings.Join(append([]string{name}, args...), " ")
	said, err := within(ctx, func() (speech, error) {
		var s speech
		cmd := exec.CommandContext(ctx, file, args...)
		cmd.Dir = "/"
		cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
		cmd.Stdout, cmd.Stderr = &s.output, &s.complaint
		if p.root != "/" {
			cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: p.root}
		}
		err := cmd.Run()
		return s, err
	})
	if err == nil {
		return said.output.String(), nil
	}
	if words := strings.Join(strings.Fields(said.output.String()+" "+said.complaint.String()), " "); words != "" {
		return "", fmt.Errorf("%s: %w: %s", attempt, err, words)
	}
	return "", fmt.Errorf("%s: %w", attempt, err)
}

// speech is what a program said.
type speech struct{ output, complaint bytes.Buffer }

// find is where the machine has the program, as its own root sees it. The last
// element may be an absolute symbolic link, which leads elsewhere from here, so
// it is not followed.
func (p programs) find(name string) (string, error) {
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin", "/run/current-system/sw/bin"} {
		file := path.Join(dir, name)
		_, err := os.Lstat(filepath.Join(p.root, file))
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			return "", err
		}
	}
	return "", errNoProgram
}

// moduleLoader is host.ModuleLoader. It runs the machine's modprobe because that
// alone honours all of /etc/modprobe.d: options, aliases, softdeps and install
// commands.
type moduleLoader struct {
	files    fs.FS
	programs programs
}

// Load implements host.ModuleLoader.
func (l moduleLoader) Load(ctx context.Context, module string) error {
	if !regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9_-]*$`).MatchString(module) {
		return fmt.Errorf("load module %q: it is no name of a module", module)
	}
	loaded, err := l.loaded(module)
	if err != nil {
		return fmt.Errorf("load module %s: %w", module, err)
	}
	if loaded {
		return nil
	}
	if err := l.programs.run(ctx, "modprobe", module); err != nil {
		return fmt.Errorf("load module %s: %w", module, err)
	}
	return nil
}

// loaded reports whether the kernel has the module ready. The kernel writes names
// with underscores; a module that is built in has no initstate.
func (l moduleLoader) loaded(module string) (bool, error) {
	dir := path.Join("sys/module", strings.ReplaceAll(module, "-", "_"))
	if _, err := fs.Stat(l.files, dir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, err
	}
	state, err := host.ReadAttr(l.files, path.Join(dir, "initstate"))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return state == "live", err
}

// udevControl is host.UdevControl.
type udevControl struct{ programs programs }

// Reload implements host.UdevControl.
func (u udevControl) Reload(ctx context.Context) error {
	if err := u.udevadm(ctx, "control", "--reload"); err != nil {
		return fmt.Errorf("reload udev rules: %w", err)
	}
	return nil
}

// Settle implements host.UdevControl.
func (u udevControl) Settle(ctx context.Context) error {
	if err := u.udevadm(ctx, "settle"); err != nil {
		return fmt.Errorf("wait for udev: %w", err)
	}
	return nil
}

// udevadm speaks to udevd, if there is one.
func (u udevControl) udevadm(ctx context.Context, args ...string) error {
	// Without the socket no udevd runs, and udevadm would wait for one.
	_, err := os.Lstat(filepath.Join(u.programs.root, "run/udev/control"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = u.programs.run(ctx, "udevadm", args...)
	}
	if errors.Is(err, errNoProgram) {
		return nil
	}
	return err
}

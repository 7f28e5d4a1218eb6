// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/kubeovn/sriov-network-operator/test/vm/agent"
	"github.com/kubeovn/sriov-network-operator/test/vm/modules"
	"github.com/kubeovn/sriov-network-operator/test/vm/protocol"
)

//go:embed scripts guest snapshot.go
var recipe embed.FS

// Builder builds images into a cache.
type Builder struct {
	Cache string    // folder; layers are its subfolders
	Log   io.Writer // nil is silence
}

// Disk is what a machine boots from.
type Disk struct {
	Root   string // qcow2 with GRUB; the backing file of what a guest changes
	Kernel string // the same kernel and initramfs, to boot without GRUB
	Initrd string
	Agent  string // the agent's binary, which serves as the relay on the host too
	key    key
}

func (b Builder) say(format string, args ...any) {
	if b.Log != nil {
		// Where the log cannot be written, the build goes on without.
		_, _ = fmt.Fprintf(b.Log, "vmrig: "+format+"\n", args...)
	}
}

// Disk returns the boot disk. It builds what the cache lacks of it, for which
// it needs root on Debian 12, the Debian mirror and about five minutes.
func (b Builder) Disk(ctx context.Context) (Disk, error) {
	kernel, err := b.resolveKernel(ctx)
	if err != nil {
		return Disk{}, err
	}
	layers, err := b.plan(kernel)
	if err != nil {
		return Disk{}, err
	}
	if err := b.preflight(layers.disk); err != nil {
		return Disk{}, err
	}
	agentDir, err := b.layer(ctx, layers.agent)
	if err != nil {
		return Disk{}, err
	}
	// With the disk there, the layers below it may be gone.
	dir, err := b.layer(ctx, layers.disk)
	if err != nil {
		return Disk{}, err
	}
	return Disk{
		Root:   filepath.Join(dir, "disk.qcow2"),
		Kernel: filepath.Join(dir, "vmlinuz"),
		Initrd: filepath.Join(dir, "initrd.gz"),
		Agent:  filepath.Join(agentDir, "vm-agent"),
		key:    layers.disk.Key,
	}, nil
}

// preflight returns why the disk cannot be built here, if it has to be, before
// minutes are spent on the layers below it.
func (b Builder) preflight(disk layer) error {
	if b.has(disk) {
		return nil
	}
	if err := checkSystem(); err != nil {
		return err
	}
	return needRoot("make the VM rig's disk")
}

// layers are those of a disk; the disk's own builds the others.
type layers struct {
	kernel, modules, rootfs, agent, disk layer
}

func (b Builder) plan(kernel kernelVersion) (layers, error) {
	var l layers
	release := input{"release", kernel.Release}
	kernelInputs, err := scriptInputs("kernel.sh", release, input{"version", kernel.Package})
	if err != nil {
		return l, err
	}
	l.kernel = layer{"kernel", keyOf(kernelInputs...), b.buildKernel(kernel)}

	sources, err := inputsOf(modules.Source, ".")
	if err != nil {
		return l, err
	}
	moduleInputs, err := scriptInputs("modules.sh", append(sources, input{"kernel", string(l.kernel.Key)})...)
	if err != nil {
		return l, err
	}
	l.modules = layer{"modules", keyOf(moduleInputs...), b.buildModules(kernel, l.kernel)}

	rootfsInputs, err := scriptInputs("rootfs.sh")
	if err != nil {
		return l, err
	}
	l.rootfs = layer{"rootfs", keyOf(rootfsInputs...), b.buildRootfs}

	agentInputs, err := agentInputs()
	if err != nil {
		return l, err
	}
	l.agent = layer{"agent", keyOf(agentInputs...), buildAgent}

	guest, err := inputsOf(recipe, "guest")
	if err != nil {
		return l, err
	}
	diskInputs, err := scriptInputs("disk.sh", append(guest,
		input{"kernel", string(l.kernel.Key)}, input{"modules", string(l.modules.Key)},
		input{"rootfs", string(l.rootfs.Key)}, input{"agent", string(l.agent.Key)})...)
	if err != nil {
		return l, err
	}
	l.disk = layer{"disk", keyOf(diskInputs...), b.buildDisk(kernel, l)}
	return l, nil
}

func scriptInputs(name string, more ...input) ([]input, error) {
	text, err := recipe.ReadFile("scripts/" + name)
	if err != nil {
		return nil, fmt.Errorf("read recipe: %w", err)
	}
	return append([]input{{name, string(text)}}, more...), nil
}

func agentInputs() ([]input, error) {
	inputs := []input{{"go", runtime.Version()}}
	for _, source := range []fs.FS{agent.Source, protocol.Source} {
		more, err := inputsOf(source, ".")
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, more...)
	}
	return inputs, nil
}

func (b Builder) buildKernel(kernel kernelVersion) func(context.Context, string, string) error {
	return func(ctx context.Context, dir, final string) error {
		if err := b.require(ctx, plainPackages("xz-utils")); err != nil {
			return err
		}
		return runScript(ctx, "kernel.sh", "OUT="+dir, "FINAL="+final, "KERNEL="+kernel.Release, "VERSION="+kernel.Package)
	}
}

func (b Builder) buildModules(kernel kernelVersion, kernelLayer layer) func(context.Context, string, string) error {
	return func(ctx context.Context, dir, _ string) error {
		kernelDir, err := b.layer(ctx, kernelLayer)
		if err != nil {
			return err
		}
		// libelf1 is for the headers' objtool, which dpkg -x brought without
		// its dependencies.
		if err := b.require(ctx, plainPackages("gcc", "make", "bc", "libelf1")); err != nil {
			return err
		}
		sources, err := unpack(modules.Source)
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(sources) }() // a copy in $TMPDIR
		return runScript(ctx, "modules.sh", "OUT="+dir, "KERNEL_DIR="+kernelDir, "KERNEL="+kernel.Release, "SOURCES="+sources)
	}
}

func (b Builder) buildRootfs(ctx context.Context, dir, _ string) error {
	if err := b.require(ctx, plainPackages("mmdebstrap", "debian-archive-keyring")); err != nil {
		return err
	}
	sources, err := aptSources()
	if err != nil {
		return err
	}
	mirror, err := mirrorOf(sources)
	if err != nil {
		return err
	}
	return runScript(ctx, "rootfs.sh", "OUT="+dir, "MIRROR="+mirror)
}

func (b Builder) buildDisk(kernel kernelVersion, l layers) func(context.Context, string, string) error {
	return func(ctx context.Context, dir, _ string) error {
		var dirs []string
		for _, below := range []layer{l.kernel, l.modules, l.rootfs, l.agent} {
			d, err := b.layer(ctx, below)
			if err != nil {
				return err
			}
			dirs = append(dirs, d)
		}
		packages := append(machinePackages(), plainPackages("busybox-static", "cpio", "fdisk", "e2fsprogs", "xz-utils")...)
		if err := b.require(ctx, packages); err != nil {
			return err
		}
		files, err := unpack(recipe)
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(files) }() // a copy in $TMPDIR
		return runScript(ctx, "disk.sh", "OUT="+dir, "KERNEL="+kernel.Release,
			"KERNEL_DIR="+dirs[0], "MODULES_DIR="+dirs[1], "ROOTFS_DIR="+dirs[2],
			"AGENT="+filepath.Join(dirs[3], "vm-agent"), "GUEST="+filepath.Join(files, "guest", "root"))
	}
}

func needRoot(what string) error {
	if os.Geteuid() == 0 {
		return nil
	}
	return fmt.Errorf("only root can %s, which chroots into it: run `go run ./test/vm/cmd/vmrig build` once as root, with SRIOV_CACHE set to a folder that this user can read", what)
}

func buildAgent(ctx context.Context, dir, _ string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-ldflags=-s -w", "-o", filepath.Join(dir, "vm-agent"), agent.Command)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	return runLoudly(cmd)
}

// unpack writes embedded files to a new folder, which the caller removes.
func unpack(files fs.FS) (string, error) {
	dir, err := os.MkdirTemp("", "vmrig-")
	if err != nil {
		return "", fmt.Errorf("unpack the recipe: %w", err)
	}
	if err := os.CopyFS(dir, files); err != nil {
		return "", fmt.Errorf("unpack the recipe: %w", err)
	}
	return dir, nil
}

// runScript runs a script of the recipe with variables.
func runScript(ctx context.Context, name string, variables ...string) error {
	text, err := recipe.ReadFile("scripts/" + name)
	if err != nil {
		return fmt.Errorf("read recipe: %w", err)
	}
	cmd := exec.CommandContext(ctx, "bash", "-c", string(text), name)
	cmd.Env = append(os.Environ(), variables...)
	return runLoudly(cmd)
}

// stopTime is how long a command has to clean up after a cancelled build.
const stopTime = 10 * time.Second

// runLoudly runs a command whose error holds the end of what it said. A
// cancelled command is asked to stop together with all it started, so that
// mmdebstrap undoes its mounts.
func runLoudly(cmd *exec.Cmd) error {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = stopTime
	err := cmd.Run()
	if err == nil {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Args[len(cmd.Args)-1]), err, strings.Join(lines[max(0, len(lines)-30):], "\n"))
}

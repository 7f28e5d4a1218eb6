// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package clone

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/test/vm/image"
	"github.com/kubeovn/sriov-network-operator/test/vm/machine"
)

// Spec describes a machine. Its zero value is the default one.
type Spec struct {
	Cmdline  string // words added to the kernel's command line
	Hostname string // empty keeps "vm"
	Forward  string // TCP address of the host that the guest reaches at machine.ForwardAddress; empty is none
}

// startTime is how long a machine may take from its start until its agent answers.
const startTime = 5 * time.Minute

// Clone is a running machine.
type Clone struct {
	*machine.Machine
	dir string
}

// Close ends the machine and removes its files.
func (c *Clone) Close() error {
	c.Machine.Close()
	return os.RemoveAll(c.dir)
}

// Start starts a machine and waits until its agent answers and its clock is
// set. It builds what the cache lacks.
func Start(ctx context.Context, b image.Builder, s Spec) (*Clone, error) {
	disk, err := b.Disk(ctx)
	if err != nil {
		return nil, err
	}
	verdict, err := b.Accel(ctx, disk)
	if err != nil {
		return nil, err
	}
	config := machine.Config{Hardware: machine.DefaultHardware(verdict.Accel), Network: s.network(disk)}
	snapshot, err := b.Snapshot(ctx, config.Hardware, s.Cmdline)
	if err != nil {
		return nil, err
	}
	config.State = snapshot.State
	dir, err := newFolder()
	if err != nil {
		return nil, err
	}
	config.Dir, config.Root = dir, filepath.Join(dir, "root.qcow2")
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("the machine did not come up within %v", startTime))
	defer cancel()
	m, err := up(ctx, config, snapshot.Root, s)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &Clone{Machine: m, dir: dir}, nil
}

func up(ctx context.Context, config machine.Config, backing string, s Spec) (*machine.Machine, error) {
	if err := image.Overlay(ctx, config.Root, backing); err != nil {
		return nil, err
	}
	m, err := machine.Start(ctx, config)
	if err != nil {
		return nil, err
	}
	err = m.Greet(s.Hostname)
	if err == nil {
		err = m.Resume(ctx)
	}
	if err == nil {
		_, err = m.AwaitAgent(ctx, "")
	}
	if err != nil {
		err = fmt.Errorf("%w\nthe console ended with:\n%s", err, m.Console(25))
		m.Close()
		return nil, err
	}
	return m, nil
}

func (s Spec) network(disk image.Disk) machine.Network {
	if s.Forward == "" {
		return machine.Network{}
	}
	return machine.Network{Relay: []string{disk.Agent, "relay", s.Forward}}
}

// folderPrefix begins the names of this package's temporary folders; the
// owner's process id follows.
const folderPrefix = "sriov-vm-"

// newFolder makes a folder for a machine, and removes those of processes that
// ended without doing so.
func newFolder() (string, error) {
	if err := RemoveAbandoned(); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", folderPrefix, os.Getpid()))
	if err != nil {
		return "", fmt.Errorf("make a folder for the machine: %w", err)
	}
	return dir, nil
}

// ProcessFolder returns a temporary folder that the process's callers share. It
// is made if there is none, and removed by a later process.
func ProcessFolder() (string, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("%s%d", folderPrefix, os.Getpid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the process's folder: %w", err)
	}
	return dir, nil
}

// RemoveAbandoned removes the folders of processes that have ended.
func RemoveAbandoned() error {
	paths, err := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*"))
	if err != nil {
		return fmt.Errorf("look for abandoned folders: %w", err)
	}
	for _, path := range paths {
		owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(path), folderPrefix), "-")
		pid, err := strconv.Atoi(owner)
		if err != nil || !errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove abandoned folder: %w", err)
		}
	}
	return nil
}

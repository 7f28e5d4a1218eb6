// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kubeovn/sriov-network-operator/test/vm/machine"
)

// probeTime is how long a kernel may take under KVM to reach its initramfs; it
// takes a second where KVM works.
const probeTime = 20 * time.Second

// probeMarker is what the initramfs prints for the word rig.probe.
const probeMarker = "RIG-INITRAMFS-REACHED"

// Verdict is the outcome of a probe of KVM.
type Verdict struct {
	Accel  machine.Accel `json:"accel"`
	Reason string        `json:"reason"`
}

// Accel returns KVM where a guest of the rig has been seen to boot with it, and
// TCG elsewhere. A /dev/kvm alone proves nothing: kvm_pvm, the KVM of some
// cloud machines, starts QEMU and then breaks down in the guest's decompressor.
// The verdict is kept for the kernel and the QEMU that it was found with.
func (b Builder) Accel(ctx context.Context, disk Disk) (Verdict, error) {
	if reason := withoutKVM(); reason != "" {
		return Verdict{machine.AccelTCG, reason}, nil
	}
	version, err := b.qemuVersion(ctx)
	if err != nil {
		return Verdict{}, err
	}
	host, err := os.ReadFile("/proc/sys/kernel/version")
	if err != nil {
		return Verdict{}, fmt.Errorf("read the host kernel's version: %w", err)
	}
	providers, err := filepath.Glob("/sys/module/kvm*")
	if err != nil {
		return Verdict{}, fmt.Errorf("list KVM's modules: %w", err)
	}
	k := keyOf(input{"disk", string(disk.key)}, input{"qemu", version}, input{"host", string(host)}, input{"kvm", strings.Join(providers, " ")})
	dir, err := b.layer(ctx, layer{"accel", k, func(ctx context.Context, dir, _ string) error {
		text, err := json.Marshal(probe(ctx, disk, dir))
		if err != nil {
			return err
		}
		return errors.Join(ctx.Err(), os.WriteFile(filepath.Join(dir, "verdict.json"), text, 0o644))
	}})
	if err != nil {
		return Verdict{}, err
	}
	var v Verdict
	text, err := os.ReadFile(filepath.Join(dir, "verdict.json"))
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		return Verdict{}, fmt.Errorf("read the verdict on KVM: %w", err)
	}
	return v, nil
}

// withoutKVM returns why this process cannot open KVM; empty if it can.
func withoutKVM() string {
	kvm, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return err.Error()
	}
	_ = kvm.Close()
	return ""
}

func probe(ctx context.Context, disk Disk, dir string) Verdict {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	c := machine.Config{
		Hardware: machine.DefaultHardware(machine.AccelKVM),
		Root:     filepath.Join(dir, "root.qcow2"),
		Direct:   &machine.DirectBoot{Kernel: disk.Kernel, Initrd: disk.Initrd, Cmdline: "console=ttyS0 quiet rig.probe"},
	}
	err := withMachine(ctx, c, disk.Root, func(m *machine.Machine) error {
		select {
		case <-m.Dead():
		case <-ctx.Done():
		}
		if strings.Contains(m.Console(100), probeMarker) {
			return nil
		}
		if err := m.Death(); err != nil {
			return err
		}
		return fmt.Errorf("no guest booted within %v", probeTime)
	})
	if err != nil {
		return Verdict{machine.AccelTCG, err.Error()}
	}
	return Verdict{machine.AccelKVM, "a guest booted with it"}
}

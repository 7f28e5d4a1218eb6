// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package atboot

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"sigs.k8s.io/yaml"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/host"
)

// Files on the machine. The names are those of the operator before this one.
const (
	configFile = "etc/sriov-operator/sriov-interface-config.yaml"
	resultFile = "etc/sriov-operator/sriov-interface-result.yaml"
	unitFile   = "etc/systemd/system/sriov-config.service"
	// wantsFile starts the service at boot without a link, and so without a reload of
	// systemd.
	wantsFile = "etc/systemd/system/multi-user.target.d/sriov-config.conf"
)

// foreignFiles are files of the operator before this one that would be in the way.
func foreignFiles() []string {
	return []string{"etc/systemd/system/sriov-config-post-network.service", "etc/sriov-operator/sriov-supported-nics-ids.yaml"}
}

// Program is where the program is on the machine, below its root.
const Program = "var/lib/sriov/sriov-network-config-daemon"

// Config is what is restored.
type Config struct {
	// Spec is that of the node state.
	Spec sriovv1.SriovNetworkNodeStateSpec `json:"spec"`
	// NICs is the data of the ConfigMap supported-nic-ids; nil for the list that is
	// shipped.
	NICs map[string]string `json:"supportedNics,omitempty"`
	// Since is the boot in which the machine was first told to restore anything: a later
	// one has a result. Keep sets it.
	Since string `json:"since,omitempty"`
}

// Result is how it went at a boot. Without a SyncStatus nobody knows: the service was not
// started, or was ended, or left all to the daemon.
type Result struct {
	SyncStatus    sriovv1.SyncStatus `json:"syncStatus"`
	LastSyncError string             `json:"lastSyncError"`
	// Boot is the kernel's name of the boot. The operator before this one wrote none.
	Boot string `json:"boot,omitempty"`
}

// The service runs before anything configures the network, because VFs that come later
// would be missed, and before the kubelet, so that no pod holds a VF yet.
const unit = `# Written by the SR-IOV network operator; changes are overwritten.
[Unit]
Description=SR-IOV virtual functions, as the cluster asked for last
DefaultDependencies=no
ConditionPathExists=/` + configFile + `
ConditionFileIsExecutable=/` + Program + `
RequiresMountsFor=/` + Program + `
After=local-fs.target systemd-modules-load.service systemd-sysctl.service systemd-udev-trigger.service
Wants=network-pre.target
Before=network-pre.target network.target NetworkManager.service systemd-networkd.service
Before=ovsdb-server.service ovs-vswitchd.service openvswitch-switch.service kubelet.service
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=10min
ExecStart=/` + Program + ` service

[Install]
WantedBy=multi-user.target
`

const wants = `# Written by the SR-IOV network operator; changes are overwritten.
[Unit]
Wants=sriov-config.service
`

// Keep makes the machine restore c at its next boot. What is there already is not written
// again.
func Keep(ctx context.Context, h host.Host, c Config) error {
	running, err := h.Boot.Running(ctx)
	if err != nil {
		return fmt.Errorf("keep what is restored at boot: %w", err)
	}
	c.Since = running.ID
	if before, _, err := Read(h.Files); err == nil { // one that cannot be read promised nothing
		c.Since = cmp.Or(before.Since, running.ID)
	}
	text, err := yaml.Marshal(c)
	if err != nil {
		return fmt.Errorf("marshal what is restored at boot: %w", err)
	}
	for _, f := range []struct {
		name, text string
		mode       fs.FileMode
	}{{configFile, string(text), 0o600}, {unitFile, unit, 0o644}, {wantsFile, wants, 0o644}} {
		have, err := fs.ReadFile(h.Files, f.name)
		if err == nil && bytes.Equal(have, []byte(f.text)) {
			continue
		}
		if err := h.Conf.Replace(ctx, f.name, []byte(f.text), f.mode); err != nil {
			return fmt.Errorf("keep what is restored at boot: %w", err)
		}
	}
	return remove(ctx, h, foreignFiles())
}

// Drop makes the machine restore nothing at its next boot.
func Drop(ctx context.Context, h host.Host) error {
	return remove(ctx, h, append(foreignFiles(), wantsFile, unitFile, configFile, resultFile))
}

// remove removes the files that are there.
func remove(ctx context.Context, h host.Host, names []string) error {
	for _, name := range names {
		_, err := fs.Stat(h.Files, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look for /%s: %w", name, err)
		}
		if err := h.Conf.Remove(ctx, name); err != nil {
			return fmt.Errorf("restore nothing at boot: %w", err)
		}
	}
	return nil
}

// Read is what is to be restored; false where that is nothing. It reads what the operator
// before this one wrote, too, whose names of fields are in lower case.
func Read(files fs.FS) (Config, bool, error) {
	var c Config
	is, err := read(files, configFile, &c)
	return c, is, err
}

// At is how it went at a boot; false where nothing was to be restored then.
func At(files fs.FS, boot string) (Result, bool, error) {
	if boot == "" {
		return Result{}, false, nil
	}
	var r Result
	if _, err := read(files, resultFile, &r); err != nil || r.Boot == boot {
		return r, true, err
	}
	c, is, err := Read(files)
	return Result{Boot: boot}, is && c.Since != "" && c.Since != boot, err
}

func read(files fs.FS, name string, into any) (bool, error) {
	text, err := fs.ReadFile(files, name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		return false, fmt.Errorf("read /%s: %w", name, err)
	}
	return true, nil
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm

package docs

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeovn/sriov-network-operator/test/vm"
)

// The systemd unit of the how-to makes the VFs again after a reboot, with the
// same MACs.
func TestTheServiceOfTheHowToMakesTheVFsAtBoot(t *testing.T) {
	ctx := t.Context()
	guest := vm.Start(t)
	if err := guest.Push(ctx, vm.Build(t, "github.com/kubeovn/sriov-network-operator/cmd/kubectl-sriov"), "/usr/local/bin/kubectl-sriov"); err != nil {
		t.Fatal(err)
	}
	guest.Shell(ctx, "mkdir /etc/sriov-policies")
	const policy = `apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodePolicy
metadata: {name: net, namespace: kube-system}
spec:
  nodeSelector: {}
  resourceName: net
  numVfs: 3
  nicSelector: {pfNames: [enp1s0f0, enp2s0f1]}
`
	for name, text := range map[string]string{
		"/etc/sriov-policies/policy.yaml":            policy,
		"/etc/systemd/system/sriov-policies.service": unit(t),
	} {
		if err := guest.WriteFile(ctx, name, 0o644, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	const state = `udevadm settle; ip -o link | grep -o 'enp[12]s0f[01]v. .*' | sed 's/ .*link/ link/' | sort
		for pf in enp1s0f0 enp2s0f1; do ip link show $pf | grep ' vf '; done`
	guest.Shell(ctx, "systemctl daemon-reload; systemctl enable --now sriov-policies.service")
	before := guest.Shell(ctx, state)
	if n := strings.Count(before, " vf "); n != 6 {
		t.Fatalf("there are %d VFs:\n%s", n, before)
	}
	if _, err := guest.Reboot(ctx); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, guest.Shell(ctx, state)); diff != "" {
		t.Errorf("after the reboot (-before +after):\n%s%s", diff, guest.Shell(ctx, "systemctl status sriov-policies.service || true"))
	}
}

// unit is the unit that the how-to shows.
func unit(t *testing.T) string {
	t.Helper()
	p := read(t, filepath.Join(root, "docs/how-to/configure-one-machine.md"))
	for _, b := range p.blocks {
		if text := p.text(b); strings.Contains(text, "[Unit]") {
			return text
		}
	}
	t.Fatal("the page has no unit")
	return ""
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operand_test

import (
	"slices"
	"testing"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

func TestTheDaemonAsksTheKubeletWhereItIs(t *testing.T) {
	for dir, want := range map[string]bool{"": false, "/var/lib/kubelet": false, "/data/kubelet": true} {
		s := settings()
		s.KubeletDir = dir
		out, _ := operand.Render(config(sriovv1.SriovOperatorConfigSpec{}), s)
		args := workload(t, out, operand.ConfigDaemon).Spec.Containers[0].Args
		if slices.Contains(args, "--kubelet-dir=/data/kubelet") != want {
			t.Errorf("with the kubelet in %q the daemon is told %q", dir, args)
		}
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryExampleWorks validates each example, plans it, applies it twice on a
// machine that it is for, and renders its networks.
func TestEveryExampleWorks(t *testing.T) {
	machineOf := map[string]string{
		"quick-start.yaml": "two-port-connectx5.yaml", "dpdk.yaml": "e810.yaml", "rdma.yaml": "two-port-connectx5.yaml",
		"ranges.yaml": "two-port-connectx5.yaml", "network.yaml": "", "infiniband.yaml": "connectx6-ib.yaml",
		"ovs.yaml": "e810.yaml", "kube-ovn.yaml": "two-port-connectx5.yaml", "externally-managed.yaml": "e810.yaml", "settings.yaml": "",
		"sriov-configmap.yaml": "e810.yaml", "sriov-configmap-rack2.yaml": "",
	}
	files, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(files) != len(machineOf) {
		t.Fatalf("there are %d examples and machines for %d, error %v", len(files), len(machineOf), err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			machine, ok := machineOf[filepath.Base(f)]
			if !ok {
				t.Fatal("the test does not know the example")
			}
			if got := run(t, "validate", "-f", f); got.code != ExitDone || got.err != "" {
				t.Errorf("validate ends with %d: %s", got.code, got.err)
			}
			if machine != "" {
				applies(t, f, machine)
			}
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), "Network\n") {
				if got := run(t, "render", "network", "-f", f); got.code != ExitDone {
					t.Errorf("render ends with %d: %s", got.code, got.err)
				}
			}
		})
	}
}

func applies(t *testing.T, example, machine string) {
	t.Helper()
	w := world{this: described(t, machine)}
	if got := w.run(t, "plan", "--detailed-exitcode", "-f", example); got.code != ExitChanges {
		t.Errorf("plan ends with %d: %s%s", got.code, got.out, got.err)
	}
	if got := w.run(t, "apply", "--yes", "--step-timeout", "20s", "-f", example); got.code != ExitDone {
		t.Errorf("apply ends with %d: %s%s", got.code, got.out, got.err)
	}
	second(t, w, example)
	plugin := w.run(t, "render", "device-plugin", "-f", example)
	if plugin.code != ExitDone || !strings.Contains(plugin.out, `"resourceName"`) {
		t.Errorf("the device plugin gets nothing: %s%s", plugin.out, plugin.err)
	}
}

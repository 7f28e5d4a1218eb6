// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// claimed writes a ConfigMap with these lines under data and says what a command
// makes of it on a machine.
func claimed(t *testing.T, data string, args ...string) said {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sriov-configmap.yaml")
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: sriov-configmap\ndata:\n  " + strings.ReplaceAll(data, "\n", "\n  ") + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got := run(t, append(args, "-f", file)...)
	got.err = strings.ReplaceAll(got.err, file, "FILE")
	return got
}

const onConnectX5 = machines + "two-port-connectx5.yaml" // its nodeName is node1

func TestTheKeyOfTheNodeIsTaken(t *testing.T) {
	node := filepath.Join(t.TempDir(), "node.yaml")
	labels := "{kubernetes.io/os: linux, feature.node.kubernetes.io/network-sriov.capable: \"true\"}"
	if err := os.WriteFile(node, []byte("apiVersion: v1\nkind: Node\nmetadata: {name: node7.example.com, labels: "+labels+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const data = "node1: |\n  interfaces: [{nicName: ens41f0np0, numVfs: 1}]\nnode7.example.com: |\n  interfaces: [{nicName: ens41f0np0, numVfs: 2}]\ndefault: |\n  interfaces: [{nicName: ens41f0np0, numVfs: 3}]\n"
	for name, c := range map[string]struct {
		data, want string
		args       []string
	}{
		"of the described machine":               {data, "policyName: sriov-configmap/node1/ens41f0np0", nil},
		"of --node":                              {data, "policyName: sriov-configmap/node7.example.com/ens41f0np0", []string{"--node", node}},
		"without a key of its own it is default": {strings.ReplaceAll(data, "node1", "node2"), "policyName: sriov-configmap/default/ens41f0np0", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := claimed(t, c.data, append([]string{"render", "nodestate", "--machine", onConnectX5}, c.args...)...)
			if got.code != ExitDone || got.err != "" || !strings.Contains(got.out, c.want+"\n") {
				t.Errorf("exit code %d, %s\n%s", got.code, got.err, got.out)
			}
		})
	}
}

func TestABrokenKeyIsNamedWithItsPlaceInTheFile(t *testing.T) {
	for name, c := range map[string]struct{ data, want string }{
		"in a block": {
			"node9.example.com: |\n  interfaces:\n  - nicName: a\n    numVfs: many",
			"error: FILE:9: document 1: ConfigMap sriov-configmap: data[node9.example.com].interfaces[0].numVfs: \"many\" is no whole number; write it in decimal digits alone\n",
		},
		"in quotes": {
			"node9: \"interfaces: [{nicName: a}]\"",
			"error: FILE:6: document 1: ConfigMap sriov-configmap: data[node9].interfaces[0].numVfs: the number of VFs is missing; write numVfs\n",
		},
		"no YAML": {
			"node9: |\n  interfaces:\n  - nicName: a: b",
			"error: FILE:8: document 1: ConfigMap sriov-configmap: data[node9]: not valid YAML: mapping values are not allowed in this context\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := claimed(t, c.data, "validate")
			if diff := cmp.Diff(c.want, got.err); diff != "" || got.code != ExitError {
				t.Errorf("exit code %d (-want +got):\n%s", got.code, diff)
			}
		})
	}
}

// A machine that was configured, of which a key breaks.
func TestWhatABrokenKeyTouches(t *testing.T) {
	good := "node1: |\n  interfaces: [{nicName: ens41f0np0, nicType: Nvidia_mlx5_ConnectX-5, numVfs: 2}]"
	for name, c := range map[string]struct{ data, err string }{
		"another node's key is none of our business": {good + "\nnode2: \"{\"", "data[node2]: not valid YAML"},
		"our own: nothing is given back":             {"node1: \"{\"", "0000:5f:00.0 was configured before and is left alone"},
		"default's, and we have a key":               {good + "\ndefault: \"{\"", "data[default]: not valid YAML"},
		"default's, and we have none":                {"default: \"{\"", "0000:5f:00.0 was configured before and is left alone"},
		"our NIC is another: it is not touched": {
			strings.ReplaceAll(good, "Nvidia_mlx5_ConnectX-5", "ice"),
			"nicType is ice, and the NIC is Nvidia_mlx5_ConnectX-5 (15b3:1017); fix:",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := world{this: described(t, "two-port-connectx5.yaml")}
			dir := t.TempDir()
			node, before, now := filepath.Join(dir, "node.yaml"), filepath.Join(dir, "before.yaml"), filepath.Join(dir, "now.yaml")
			head := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: sriov-configmap}\ndata:\n  "
			for file, text := range map[string]string{
				node:   "apiVersion: v1\nkind: Node\nmetadata: {name: node1, labels: {kubernetes.io/os: linux, feature.node.kubernetes.io/network-sriov.capable: \"true\"}}\n",
				before: head + strings.ReplaceAll(good, "\n", "\n  ") + "\n",
				now:    head + strings.ReplaceAll(c.data, "\n", "\n  ") + "\n",
			} {
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := w.run(t, "apply", "--yes", "--node", node, "-f", before); got.code != ExitDone {
				t.Fatalf("apply ends with %d: %s%s", got.code, got.out, got.err)
			}
			got := w.run(t, "plan", "-o", "json", "--detailed-exitcode", "--node", node, "-f", now)
			if !strings.Contains(got.out, `"stepCount": 0`) {
				t.Errorf("there are steps:\n%s", got.out)
			}
			// A word of the cause is said, and it is an error also where no PF is touched.
			if got.code != ExitError || !strings.Contains(got.err, c.err) {
				t.Errorf("exit code %d, said:\n%s", got.code, got.err)
			}
		})
	}
}

func TestNodesTurnTheirKeysIntoTheDevicePluginsConfiguration(t *testing.T) {
	got := claimed(t, "node1: |\n  interfaces: [{nicType: mlx5_core, numVfs: 2, resourceName: all, needVhostNet: true}]",
		"render", "device-plugin", "--machine", onConnectX5)
	for _, want := range []string{`"resourceName": "all"`, `"NeedVhostNet": true`, `0000:5f:00.0`, `0000:5f:00.1`} {
		if !strings.Contains(got.out, want) {
			t.Errorf("%s is missing in\n%s%s", want, got.out, got.err)
		}
	}
}

func TestConfigMapsThatAreNotMeantAreSkipped(t *testing.T) {
	file := filepath.Join(t.TempDir(), "other.yaml")
	if err := os.WriteFile(file, []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other, labels: {a: b}}\ndata: {x: y}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := run(t, "validate", "-f", file)
	if !strings.Contains(got.err, "skipped: v1 ConfigMap other is not ours") || got.code != ExitDone {
		t.Errorf("exit code %d, said %s", got.code, got.err)
	}
}

func TestTheExampleOfAFleetIsRead(t *testing.T) {
	for node, want := range map[string]string{"node21": "policyName: sriov-configmap/node21/ens41f0np0#0-3", "node22": "policyName: sriov-configmap/node22/0000:18:00.0"} {
		file := filepath.Join(t.TempDir(), "node.yaml")
		if err := os.WriteFile(file, []byte("apiVersion: v1\nkind: Node\nmetadata: {name: "+node+", labels: {kubernetes.io/os: linux, feature.node.kubernetes.io/network-sriov.capable: \"true\"}}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		machine := map[string]string{"node21": onConnectX5, "node22": machines + "e810.yaml"}[node]
		got := run(t, "render", "nodestate", "--machine", machine, "--node", file, "-f", "../../examples/sriov-configmap-rack2.yaml")
		if got.code != ExitDone || !strings.Contains(got.out, want) {
			t.Errorf("%s: exit code %d\n%s%s", node, got.code, got.out, got.err)
		}
	}
}

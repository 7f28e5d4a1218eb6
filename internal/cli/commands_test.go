// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/host/contract"
	"github.com/kubeovn/sriov-network-operator/internal/host/sim"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
)

// quickStart is the first example of the documentation.
const (
	quickStart = "../../examples/quick-start.yaml"
	twoPorts   = machines + "two-port-connectx5.yaml"
)

// one asks for two VFs on the first port.
const one = `apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodePolicy
metadata: {name: one, namespace: kube-system}
spec:
  nodeSelector: {}
  resourceName: one
  numVfs: 2
  nicSelector: {pfNames: [ens41f0np0]}
`

func TestDiscoverInEachFormat(t *testing.T) {
	for _, machine := range []string{"two-port-connectx5", "e810", "connectx6-ib", "virtio-guest", "management-nic"} {
		for _, format := range []string{"table", "wide", "yaml"} {
			got := run(t, "discover", "--machine", machines+machine+".yaml", "-o", format)
			if got.code != ExitDone || got.err != "" {
				t.Errorf("%s as %s ends with %d: %s", machine, format, got.code, got.err)
			}
			golden(t, "discover/"+machine+"."+format, got.out)
		}
	}
}

func TestDiscoverAsJSONIsTheSameAsYAML(t *testing.T) {
	asYAML := run(t, "discover", "--machine", twoPorts, "-o", "yaml")
	asJSON := run(t, "discover", "--machine", twoPorts, "-o", "json", "--namespace", "kube-system")
	var a, b sriovv1.SriovNetworkNodeState
	if err := yaml.UnmarshalStrict([]byte(asYAML.out), &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(asJSON.out), &b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, b); diff != "" || a.Kind != sriovv1.KindSriovNetworkNodeState || a.Name != "node1" || a.Namespace != "kube-system" {
		t.Errorf("%s %s/%s (-yaml +json):\n%s", a.Kind, a.Namespace, a.Name, diff)
	}
}

func TestThisMachineIsTheDefault(t *testing.T) {
	w := world{this: described(t, "e810.yaml")}
	got := w.run(t, "discover", "-o", "yaml", "--root", "/host")
	contains(t, got.out, "name: this-host", "driver: ice")
	if failed := run(t, "discover"); failed.code != ExitError || !strings.Contains(failed.err, "the test has no machine of its own") {
		t.Errorf("got %d %q", failed.code, failed.err)
	}
}

func TestThePlanOfTheQuickStart(t *testing.T) {
	for format, name := range map[string]string{"text": "plan.txt", "json": "plan.json", "script": "plan.sh"} {
		got := run(t, "plan", "-f", quickStart, "--machine", twoPorts, "-o", format)
		if got.code != ExitDone {
			t.Errorf("%s ends with %d: %s", format, got.code, got.err)
		}
		golden(t, "quick-start/"+name, got.out)
		golden(t, "quick-start/notes.txt", got.err)
	}
	var p plan.Plan
	if err := json.Unmarshal([]byte(run(t, "plan", "-f", quickStart, "--machine", twoPorts, "-o", "json").out), &p); err != nil || len(p.Lanes) != 2 {
		t.Errorf("the JSON is no plan: %v", err)
	}
}

func TestTheQuickStartGivesTheNodeStateThatIsDocumented(t *testing.T) {
	got := run(t, "apply", "-f", quickStart, "--machine", twoPorts, "--yes", "-o", "yaml")
	if got.code != ExitDone {
		t.Fatalf("ends with %d: %s", got.code, got.err)
	}
	golden(t, "quick-start/nodestate.yaml", got.out)
	var state sriovv1.SriovNetworkNodeState
	if err := yaml.UnmarshalStrict([]byte(got.out), &state); err != nil {
		t.Fatal(err)
	}
	iface := func(name, pci string) sriovv1.Interface {
		return sriovv1.Interface{
			Name: name, PciAddress: pci, EswitchMode: sriovv1.EswitchModeSwitchdev, NumVfs: 3,
			VfGroups: []sriovv1.VfGroup{{
				PolicyName: "policy", VfRange: "0-2", ResourceName: "cx_sriov_switchdev", DeviceType: sriovv1.DeviceTypeNetdevice,
			}},
		}
	}
	want := sriovv1.SriovNetworkNodeStateSpec{Interfaces: []sriovv1.Interface{
		iface("ens41f0np0", "0000:5f:00.0"), iface("ens41f1np1", "0000:5f:00.1"),
	}}
	if diff := cmp.Diff(want, state.Spec); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	for i, pf := range state.Status.Interfaces {
		mac := []string{"08:c0:eb:f4:85:ab", "08:c0:eb:f4:85:bb"}[i]
		if pf.DeviceID != "1017" || pf.Driver != "mlx5_core" || pf.LinkSpeed != "25000 Mb/s" || pf.LinkType != "ETH" || pf.Mac != mac ||
			pf.Mtu != 1500 || pf.NumVfs != 3 || pf.Vendor != "15b3" || len(pf.VFs) != 3 {
			t.Errorf("status of %s: %+v", pf.Name, pf)
		}
		for _, vf := range pf.VFs {
			if vf.DeviceID != "1018" || vf.Driver != "mlx5_core" || vf.Vendor != "15b3" {
				t.Errorf("VF %d of %s: %+v", vf.VfID, pf.Name, vf)
			}
		}
	}
	if state.Status.SyncStatus != sriovv1.SyncStatusSucceeded || state.Status.LastSyncError != "" {
		t.Errorf("it is %s: %s", state.Status.SyncStatus, state.Status.LastSyncError)
	}
}

// TestTheQuickStartGivesTheAddressesThatAreDocumented has ports with room for
// three VFs each, as the documented ones: their VFs follow each other.
func TestTheQuickStartGivesTheAddressesThatAreDocumented(t *testing.T) {
	text, err := os.ReadFile(twoPorts)
	if err != nil {
		t.Fatal(err)
	}
	w := world{this: parsed(t, strings.ReplaceAll(string(text), "totalvfs: 8", "totalvfs: 3"))}
	got := w.run(t, "apply", "-f", quickStart, "--yes", "-o", "yaml")
	var state sriovv1.SriovNetworkNodeState
	if err := yaml.UnmarshalStrict([]byte(got.out), &state); err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for _, pf := range state.Status.Interfaces {
		if pf.TotalVfs != 3 {
			t.Errorf("%s offers %d VFs", pf.Name, pf.TotalVfs)
		}
		for _, vf := range pf.VFs {
			addresses = append(addresses, vf.PciAddress)
		}
	}
	want := []string{"0000:5f:00.2", "0000:5f:00.3", "0000:5f:00.4", "0000:5f:00.5", "0000:5f:00.6", "0000:5f:00.7"}
	if diff := cmp.Diff(want, addresses); diff != "" {
		t.Errorf("(-want +got):\n%s%s", diff, got.err)
	}
}

func TestASecondApplyWritesNothing(t *testing.T) {
	w := world{this: described(t, "two-port-connectx5.yaml")}
	if got := w.run(t, "apply", "-f", quickStart, "--yes"); got.code != ExitDone {
		t.Fatalf("ends with %d: %s", got.code, got.err)
	}
	writes := w.this.Writes()
	got := w.run(t, "apply", "-f", quickStart, "--yes")
	if got.code != ExitDone || got.out != "nothing to do\n" || w.this.Writes() != writes {
		t.Errorf("ends with %d after %d writes: %q", got.code, w.this.Writes()-writes, got.out)
	}
	if got := w.run(t, "plan", "-f", quickStart, "--detailed-exitcode"); got.code != ExitDone {
		t.Errorf("plan ends with %d", got.code)
	}
}

func TestDetailedExitCodes(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want int
	}{
		"steps":                       {[]string{"--detailed-exitcode", "-f", quickStart}, ExitChanges},
		"steps, and nobody asked":     {[]string{"-f", quickStart}, ExitDone},
		"a wish that cannot be met":   {[]string{"--detailed-exitcode", "-f", file(t, "p.yaml", strings.Replace(one, "numVfs: 2", "numVfs: 99", 1))}, ExitError},
		"a policy that is not valid":  {[]string{"--detailed-exitcode", "-f", quickStart, "-f", file(t, "p.yaml", strings.Replace(one, "[ens41f0np0]", "[\"a#\"]", 1))}, ExitError},
		"a file that cannot be read":  {[]string{"-f", "none.yaml", "-f", quickStart}, ExitError},
		"a machine that is not there": {[]string{"-f", quickStart, "--machine", "none.yaml"}, ExitError},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"plan", "--machine", twoPorts}, c.args...)
			if got := run(t, args...); got.code != c.want {
				t.Errorf("ends with %d, not %d: %s", got.code, c.want, got.err)
			}
		})
	}
}

func TestApplyAsksBeforeItChangesAnything(t *testing.T) {
	person := Terminal{In: true}
	for answer, want := range map[string]int{"y\n": ExitDone, "YES\n": ExitDone, "n\n": ExitError, "\n": ExitError, "": ExitError, "yep\n": ExitError} {
		w := world{this: described(t, "two-port-connectx5.yaml"), in: strings.NewReader(answer), terminal: person}
		got := w.run(t, "apply", "-f", quickStart)
		if got.code != want || (w.this.Writes() > 0) != (want == ExitDone) {
			t.Errorf("%q: ends with %d after %d writes: %s", answer, got.code, w.this.Writes(), got.err)
		}
		contains(t, got.err, "Apply this plan? [y/N]")
		if want == ExitError {
			contains(t, got.err, "nothing was changed")
		}
	}
}

func TestApplyRefusesWhenNobodyCanAnswer(t *testing.T) {
	m := described(t, "two-port-connectx5.yaml")
	got := world{this: m}.run(t, "apply", "-f", quickStart)
	if got.code != ExitError || m.Writes() != 0 {
		t.Errorf("ends with %d", got.code)
	}
	contains(t, got.err, "there is no terminal to ask on; say --yes")
	got = world{this: m, in: strings.NewReader(one), terminal: Terminal{In: true}}.run(t, "apply", "-f", "-")
	contains(t, got.err, "standard input holds the files")
}

// person answers yes, and changes the machine before the first answer.
type person struct {
	before func()
	asked  int
}

func (p *person) Read(b []byte) (int, error) {
	if p.asked++; p.asked == 1 {
		p.before()
	}
	if p.asked > 2 {
		return 0, io.EOF
	}
	return copy(b, "y\n"), nil
}

func TestAMachineThatChangedWhileSomebodyThoughtIsShownAgain(t *testing.T) {
	m := described(t, "two-port-connectx5.yaml")
	p := &person{before: func() {
		if err := m.Host().Attrs.WriteAttr(t.Context(), "sys/bus/pci/devices/0000:5f:00.0/sriov_numvfs", "2"); err != nil {
			t.Error(err)
		}
	}}
	got := world{this: m, in: p, terminal: Terminal{In: true}}.run(t, "apply", "-f", quickStart)
	if got.code != ExitDone || strings.Count(got.err, "Apply this plan?") != 2 {
		t.Errorf("ends with %d: %s", got.code, got.err)
	}
	contains(t, got.err, "the machine has changed since the plan was made")
	contains(t, got.out, "numvfs 0 → 3", "numvfs 2 → 0")
}

func TestAFailingStepNamesItsCauseAndStopsItsPFAlone(t *testing.T) {
	m := described(t, "two-port-connectx5.yaml")
	m.Fail("sys/bus/pci/devices/0000:5f:00.0/sriov_numvfs", syscall.ENOMEM)
	w := world{this: m}
	got := w.run(t, "apply", "-f", quickStart, "--yes", "-o", "yaml")
	if got.code != ExitError {
		t.Errorf("ends with %d", got.code)
	}
	contains(t, got.err, "numvfs 0 → 3  failed: ", "cannot allocate memory", "not done", "failed: ", "the same command goes on from there")
	contains(t, got.out, "syncStatus: Failed", "lastSyncError: ", "cannot allocate memory", "numVfs: 3")
	m.Heal()
	if got := w.run(t, "apply", "-f", quickStart, "--yes", "-o", "yaml"); got.code != ExitDone || !strings.Contains(got.out, "syncStatus: Succeeded") {
		t.Errorf("after the repair it ends with %d: %s", got.code, got.err)
	}
}

// interrupter ends the context when a word is written.
type interrupter struct {
	io.Writer
	word string
	stop context.CancelFunc
}

func (i interrupter) Write(b []byte) (int, error) {
	if strings.Contains(string(b), i.word) {
		i.stop()
	}
	return i.Writer.Write(b)
}

func TestAnInterruptStopsAtTheNextStepAndSaysWhatIsLeft(t *testing.T) {
	m := described(t, "two-port-connectx5.yaml")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	// The interrupt comes when the first of two VFs is there.
	m.SetDelays(sim.Delays{AddVF: 100 * time.Millisecond})
	events, err := m.Host().Events.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for e := range contract.Singly(events) {
			if e.Subsystem == "pci" && e.Action == "add" {
				stop()
			}
		}
	}()
	w := world{this: m, ctx: ctx}
	policy := file(t, "one.yaml", one)
	got := w.run(t, "apply", "-f", policy, "--yes", "-o", "json")
	if got.code != ExitError {
		t.Errorf("ends with %d", got.code)
	}
	contains(t, got.err, "3/6  numvfs 0 → 2  0s", "stopped: ", " left; the same command goes on from there", "stopped by an interrupt")
	contains(t, got.out, `"syncStatus": "Failed"`)
	if seen, _ := m.Reader().Files.ReadLink("sys/bus/pci/devices/0000:5f:00.0/virtfn1"); seen == "" {
		t.Error("the step that was under way was not finished")
	}
	if again := (world{this: m}).run(t, "apply", "-f", policy, "--yes"); again.code != ExitDone {
		t.Errorf("the next apply ends with %d: %s", again.code, again.err)
	}
}

func TestAnInterruptWhileApplyAsksChangesNothing(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	defer func() { _ = w.Close() }()
	m := described(t, "two-port-connectx5.yaml")
	asking := world{
		this: m, ctx: ctx, in: r, terminal: Terminal{In: true},
		interrupt: func(out io.Writer) io.Writer { return interrupter{Writer: out, word: "[y/N]", stop: stop} },
	}
	if got := asking.run(t, "apply", "-f", quickStart); got.code != ExitError || m.Writes() != 0 {
		t.Errorf("ends with %d after %d writes", got.code, m.Writes())
	}
}

func TestProgressOnATerminalIsOneLineForEachLane(t *testing.T) {
	w := world{this: described(t, "two-port-connectx5.yaml"), terminal: Terminal{Err: true, Width: 60}}
	got := w.run(t, "apply", "-f", quickStart, "--yes")
	if got.code != ExitDone {
		t.Fatalf("ends with %d: %s", got.code, got.err)
	}
	_, last, _ := strings.Cut(got.err[strings.LastIndex(got.err, "\x1b[3A"):], "A")
	want := "\r\x1b[Kthe node  7/7  done  0s\n\r\x1b[K0000:5f:00.0 ens41f0np0  9/9  done  0s\n\r\x1b[K0000:5f:00.1 ens41f1np1  9/9  done  0s\n"
	if diff := cmp.Diff(want, last); diff != "" {
		t.Errorf("the last picture (-want +got):\n%s", diff)
	}
	for line := range strings.Lines(got.err) {
		if n := len([]rune(strings.TrimSpace(strings.ReplaceAll(line, "\x1b[K", "")))); strings.HasPrefix(line, "\r") && n > 60 {
			t.Errorf("%d characters in %q", n, line)
		}
	}
}

func TestACapturedMachineIsPlannedForAndNeverChanged(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"m.tar", "m.tar.gz", "m.tgz"} {
		full := filepath.Join(dir, name)
		if got := run(t, "capture", full, "--machine", twoPorts); got.code != ExitDone || !strings.Contains(got.err, "holds 2 PFs") {
			t.Fatalf("%s: ends with %d: %s", name, got.code, got.err)
		}
		captured := run(t, "plan", "-f", quickStart, "--machine", full)
		if diff := cmp.Diff(run(t, "plan", "-f", quickStart, "--machine", twoPorts).out, captured.out); diff != "" || captured.code != ExitDone {
			t.Errorf("%s: the plan differs (-described +captured):\n%s%s", name, diff, captured.err)
		}
		contains(t, run(t, "discover", "--machine", full, "-o", "yaml").out, "name: m\n")
	}
	full := filepath.Join(dir, "m.tar")
	got := run(t, "apply", "-f", quickStart, "--machine", full, "--yes")
	if got.code != ExitError {
		t.Errorf("apply ends with %d", got.code)
	}
	contains(t, got.err, "a captured machine is a record and cannot be changed")
	got = run(t, "capture", full, "--machine", twoPorts)
	contains(t, got.err, "exists, and is not replaced")
	if got.code != ExitError {
		t.Errorf("a second capture ends with %d", got.code)
	}
	got = run(t, "capture", filepath.Join(dir, "none", "m.tar"), "--machine", twoPorts)
	contains(t, got.err, "capture: open ")
	stdout := run(t, "capture", "-", "--machine", twoPorts)
	text, err := os.ReadFile(full)
	if err != nil || stdout.out != string(text) {
		t.Errorf("standard output has %d bytes and the file %d (%v)", len(stdout.out), len(text), err)
	}
}

func TestRender(t *testing.T) {
	state := file(t, "node1.yaml", run(t, "discover", "--machine", twoPorts, "-o", "yaml").out)
	for name, args := range map[string][]string{
		"nodestate.yaml":        {"nodestate", "-f", quickStart, "--state", state},
		"nodestate.json":        {"nodestate", "-f", quickStart, "--state", state, "-o", "json"},
		"nodestate.table":       {"nodestate", "-f", quickStart, "--state", state, "-o", "table"},
		"nodestate.wide":        {"nodestate", "-f", quickStart, "--state", state, "-o", "wide", "--explain"},
		"device-plugin.json":    {"device-plugin", "-f", quickStart, "--state", state},
		"device-plugin.yaml":    {"device-plugin", "-f", quickStart, "--state", state, "-o", "yaml", "-n", "sriov"},
		"network.yaml":          {"network", "-f", "../../examples/kube-ovn.yaml", "-f", "../../examples/network.yaml", "--resource-prefix", "mellanox.com"},
		"network.json":          {"network", "-f", "../../examples/kube-ovn.yaml", "-o", "json"},
		"explain-nodestate.txt": {"nodestate", "-f", quickStart, "--state", state, "--explain"},
		"explain-plugin.txt":    {"device-plugin", "-f", quickStart, "--machine", twoPorts, "--explain", "--resource-prefix", "mellanox.com"},
		"explain-network.txt":   {"network", "-f", "../../examples/network.yaml", "-f", quickStart, "--state", state, "--explain"},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, append([]string{"render"}, args...)...)
			if got.code != ExitDone {
				t.Errorf("ends with %d: %s", got.code, got.err)
			}
			if strings.HasPrefix(name, "explain") {
				golden(t, "render/"+name, got.err)
				return
			}
			golden(t, "render/"+name, got.out)
		})
	}
}

func TestANetworkThatIsRefusedIsNotPrintedAndTheOthersAre(t *testing.T) {
	networks := file(t, "networks.yaml", `apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetwork
metadata: {name: far, namespace: kube-system}
spec: {resourceName: net, vlan: 5000, ipam: "{"}
---
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetwork
metadata: {name: good, namespace: kube-system}
spec: {resourceName: net, vlan: 50}
`)
	got := run(t, "render", "network", "-f", networks)
	if got.code != ExitError || strings.Count(got.err, "far") != 2 {
		t.Errorf("exit code %d, want %d, and each of two problems once:\n%s", got.code, ExitError, got.err)
	}
	contains(t, got.err, "SriovNetwork kube-system/far: spec.vlan: 5000 is out of range", "spec.ipam: is not valid JSON")
	contains(t, got.out, "name: good")
	if strings.Contains(got.out, "far") {
		t.Errorf("what is refused is printed:\n%s", got.out)
	}
}

func TestNodeSelectorsAreHeldAgainstTheNodesLabels(t *testing.T) {
	node := func(labels string) string {
		return file(t, "node.yaml", "apiVersion: v1\nkind: Node\nmetadata:\n  name: n7\n  labels: {"+labels+"}\n")
	}
	capable := node(`kubernetes.io/os: linux, feature.node.kubernetes.io/network-sriov.capable: "true"`)
	got := run(t, "render", "nodestate", "-f", quickStart, "--machine", twoPorts, "--node", capable)
	contains(t, got.out, "name: n7", "numVfs: 3")
	if got.err != "" {
		t.Errorf("said: %s", got.err)
	}
	got = run(t, "plan", "-f", quickStart, "--machine", twoPorts, "--node", node("kubernetes.io/os: linux"))
	if got.out != "nothing to do\n" {
		t.Errorf("planned: %s", got.out)
	}
	contains(t, got.err, `the policy's nodeSelector wants the label feature.node.kubernetes.io/network-sriov.capable="true" and the label is missing`)
	got = run(t, "plan", "-f", quickStart, "--machine", twoPorts, "--node", quickStart)
	contains(t, got.err, "there is no Node")
	if got.code != ExitError {
		t.Errorf("a file without a node ends with %d", got.code)
	}
}

func TestSettingsOfTheOperatorAreRead(t *testing.T) {
	settings := file(t, "config.yaml", `apiVersion: sriovnetwork.openshift.io/v1
kind: SriovOperatorConfig
metadata: {name: default}
spec: {resourcePrefix: mellanox.com, configDaemonNodeSelector: {role: sriov}}
---
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovOperatorConfig
metadata: {name: other}
`)
	got := run(t, "render", "network", "-f", settings, "-f", "../../examples/network.yaml")
	contains(t, got.out, "k8s.v1.cni.cncf.io/resourceName: mellanox.com/")
	contains(t, got.err, "SriovOperatorConfig other is not read")
	node := file(t, "node.yaml", "apiVersion: v1\nkind: Node\nmetadata: {name: n, labels: {role: other}}\n")
	got = run(t, "plan", "-f", settings, "-f", file(t, "one.yaml", one), "--machine", twoPorts, "--node", node)
	contains(t, got.err, `the operator wants the label role="sriov" and it has "other"`)
}

func TestThePoolOfTheNodeChoosesTheRDMAMode(t *testing.T) {
	pool := func(name, mode, role string) string {
		return "---\napiVersion: sriovnetwork.openshift.io/v1\nkind: SriovNetworkPoolConfig\nmetadata: {name: " + name +
			"}\nspec: {rdmaMode: " + mode + ", nodeSelector: {matchLabels: {role: " + role + "}}}\n"
	}
	node := file(t, "node.yaml", "apiVersion: v1\nkind: Node\nmetadata: {name: n, labels: {role: a, kubernetes.io/os: linux, feature.node.kubernetes.io/network-sriov.capable: \"true\"}}\n")
	pools := file(t, "pools.yaml", pool("a", "exclusive", "a")+pool("b", "shared", "b"))
	got := run(t, "plan", "-f", pools, "--machine", twoPorts, "--node", node)
	if got.code != 0 || !strings.Contains(got.out, "RDMA namespace mode is shared, asked for exclusive") {
		t.Errorf("ends with %d:\n%s%s", got.code, got.out, got.err)
	}
	got = run(t, "plan", "-f", pools, "--machine", twoPorts)
	contains(t, got.err, "pool a is left out: whether the node is in it is not known without --node")
	both := file(t, "pools.yaml", pool("a", "exclusive", "a")+pool("b", "shared", "a"))
	got = run(t, "plan", "-f", both, "--machine", twoPorts, "--node", node)
	contains(t, got.err, "the node is in two pools that disagree on rdmaMode")
}

func TestOneBadPolicyIsSaidAndTheOthersAreDone(t *testing.T) {
	w := world{this: described(t, "two-port-connectx5.yaml")}
	second := strings.NewReplacer("name: one", "name: two", "np0", "np1", "f0", "f1").Replace(one)
	both := file(t, "both.yaml", one+"---\n"+second)
	if got := w.run(t, "apply", "-f", both, "--yes"); got.code != ExitDone {
		t.Fatalf("ends with %d: %s", got.code, got.err)
	}
	// The second policy becomes unreadable: its PF must not be given back.
	broken := file(t, "broken.yaml", strings.Replace(one, "numVfs: 2", "numVfs: 3", 1)+"---\n"+strings.Replace(second, "numVfs: 2", "numVfs: lots", 1))
	got := w.run(t, "apply", "-f", broken, "--yes", "-o", "yaml")
	if got.code != ExitError {
		t.Errorf("ends with %d", got.code)
	}
	contains(t, got.err, `spec.numVfs: "lots" is no whole number`, "0000:5f:00.1 was configured before and is left alone")
	contains(t, got.out, "numVfs: 3", "numVfs: 2")
}

func TestSeveralFilesFoldersAndStandardInput(t *testing.T) {
	dir := filepath.Dir(file(t, "a.yaml", one))
	if err := os.WriteFile(filepath.Join(dir, "pod.json"), []byte(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	second := strings.NewReplacer("name: one", "name: two", "f0np0", "f1np1").Replace(one)
	got := world{in: strings.NewReader(second)}.run(t, "plan", "-f", dir, "-f", "-", "--machine", twoPorts)
	if got.code != ExitDone {
		t.Errorf("ends with %d: %s", got.code, got.err)
	}
	contains(t, got.out, "0000:5f:00.0 ens41f0np0", "0000:5f:00.1 ens41f1np1")
	contains(t, got.err, "skipped: v1 Pod p is not ours")
}

func TestAPolicyInAnotherNamespaceIsNoted(t *testing.T) {
	got := run(t, "plan", "-f", quickStart, "--machine", twoPorts, "--namespace", "sriov")
	contains(t, got.err, "policy policy is in namespace kube-system; an operator in sriov does not read it")
}

func TestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		text, want string
		code       int
	}{
		"nothing is wrong": {one, "", ExitDone},
		"a policy that can never work": {
			strings.Replace(one, "resourceName: one", "resourceName: a/b\n  isRdma: true\n  deviceType: vfio-pci", 1),
			"spec.isRdma: ", ExitError,
		},
		"a network whose JSON is broken": {
			"apiVersion: sriovnetwork.openshift.io/v1\nkind: SriovNetwork\nmetadata: {name: n, namespace: a}\nspec: {resourceName: r, ipam: '{'}\n",
			"SriovNetwork a/n: spec.ipam: ", ExitError,
		},
		"an InfiniBand network without a resource": {
			"apiVersion: sriovnetwork.openshift.io/v1\nkind: SriovIBNetwork\nmetadata: {name: n}\nspec: {}\n",
			"spec.resourceName: ", ExitError,
		},
		"an OVS network with a VLAN that does not exist": {
			"apiVersion: sriovnetwork.openshift.io/v1\nkind: OVSNetwork\nmetadata: {name: n}\nspec: {resourceName: r, vlan: 5000}\n",
			"spec.vlan: 5000 is out of range", ExitError,
		},
		"a pool": {
			"apiVersion: sriovnetwork.openshift.io/v1\nkind: SriovNetworkPoolConfig\nmetadata: {name: n}\nspec: {maxUnavailable: 200%}\n",
			"spec.maxUnavailable: ", ExitError,
		},
		"settings": {
			"apiVersion: sriovnetwork.openshift.io/v1\nkind: SriovOperatorConfig\nmetadata: {name: default}\nspec: {logLevel: 7}\n",
			"spec.logLevel: 7 is out of range", ExitError,
		},
		"a node state": {
			"apiVersion: sriovnetwork.openshift.io/v1\nkind: SriovNetworkNodeState\nmetadata: {name: n}\nspec: {interfaces: [{pciAddress: x}]}\nstatus: {interfaces: [{pciAddress: y}]}\n",
			"spec.interfaces[0].pciAddress: ", ExitError,
		},
		"an object without a name": {
			strings.Replace(one, "name: one, ", "", 1), "metadata.name: is missing; name the object", ExitError,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, "validate", "-f", file(t, "x.yaml", c.text))
			if got.code != c.code || got.out != "" || (c.want == "") != (got.err == "") || !strings.Contains(got.err, c.want) {
				t.Errorf("ends with %d: %q", got.code, got.err)
			}
		})
	}
	states := file(t, "state.yaml", run(t, "discover", "--machine", twoPorts, "-o", "yaml").out)
	got := run(t, "validate", "-f", file(t, "p.yaml", strings.Replace(one, "numVfs: 2", "numVfs: 99", 1)), "-f", states)
	if got.code != ExitDone || !strings.Contains(got.err, "warning: ") {
		t.Errorf("more VFs than a known node has ends with %d: %q", got.code, got.err)
	}
}

func TestMistakesInTheCommandLine(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no file":                        {[]string{"plan"}, `required flag(s) "filename" not set`},
		"an unknown command":             {[]string{"plann"}, `unknown command "plann"`},
		"an unknown flag":                {[]string{"plan", "--ff"}, "unknown flag: --ff; see kubectl-sriov plan --help"},
		"an unknown format":              {[]string{"plan", "-f", "x", "-o", "xml"}, "it is one of text, json, script"},
		"a machine without a name":       {[]string{"apply", "-f", "x", "--yes", "--machine", ""}, "the name is empty; name a file, or leave the flag out"},
		"an unknown shell":               {[]string{"completion", "csh"}, `unknown command "csh" for "kubectl-sriov completion"`},
		"a word too many":                {[]string{"plan", "x", "-f", "y"}, "unknown command \"x\""},
		"two machines":                   {[]string{"plan", "-f", "x", "--machine", "a", "--root", "b"}, "none of the others can be"},
		"a machine that is not readable": {[]string{"discover", "--machine", file(t, "m.yaml", "pfs: 3")}, "machine description"},
		"a capture that is none":         {[]string{"discover", "--machine", file(t, "m.tar", "x")}, "m.tar"},
		"a state that is none":           {[]string{"render", "nodestate", "-f", quickStart, "--state", quickStart}, "holds 0 SriovNetworkNodeState objects"},
		"explain without a node":         {[]string{"explain"}, "explain takes one NODE or NODE/PF, and got 0 arguments; for example: kubectl-sriov explain node1/ens1f0"},
		"no network":                     {[]string{"render", "network", "-f", quickStart}, "there is no SriovNetwork, SriovIBNetwork or OVSNetwork"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := run(t, c.args...); got.code != ExitError || !strings.Contains(got.err, c.want) || !strings.HasPrefix(got.err, "error: ") {
				t.Errorf("ends with %d: %q", got.code, got.err)
			}
		})
	}
}

func TestABrokenPipeIsAnError(t *testing.T) {
	r, w := io.Pipe()
	_ = r.CloseWithError(errors.New("the reader left"))
	env := Env{Out: w, Err: io.Discard, Name: "x", Version: "v1"}
	for _, args := range [][]string{{"version"}, {"discover", "--machine", twoPorts}, {"apply", "--yes", "-f", quickStart, "--machine", twoPorts}} {
		if code := Run(t.Context(), env, args); code != ExitError {
			t.Errorf("%v ends with %d", args, code)
		}
	}
}

func TestTheUsageSpeaksOfTheNameItWasCalledBy(t *testing.T) {
	for _, name := range []string{"kubectl-sriov", "kubectl sriov"} {
		got := world{name: name}.run(t, "plan", "--help")
		contains(t, got.out, "  "+name+" plan -f FILE [flags]", name+" plan -f policies/", "Exit codes: 0 a plan was made")
	}
	if got := run(t, "version"); got.out != "v0.0.0-test\n" {
		t.Errorf("the version is %q", got.out)
	}
	contains(t, run(t).out, "Available Commands:", "discover")
	contains(t, run(t, "render").out, "nodestate", "network", "device-plugin")
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := run(t, "completion", shell); got.code != ExitDone || len(got.out) < 1000 {
			t.Errorf("%s ends with %d after %d bytes", shell, got.code, len(got.out))
		}
	}
	for name, c := range map[string]struct{ args, want []string }{
		"formats":         {[]string{"plan", "-o", ""}, []string{"text", "json", "script", ":4"}},
		"files":           {[]string{"plan", "-f", ""}, []string{"yaml", "yml", "json", ":8"}},
		"machines":        {[]string{"plan", "--machine", ""}, []string{"yaml", "yml", "tar", "tgz", "gz", ":8"}},
		"folders":         {[]string{"discover", "--root", ""}, []string{":16"}},
		"things to print": {[]string{"render", ""}, []string{"device-plugin", "network", "nodestate"}},
	} {
		t.Run(name, func(t *testing.T) {
			contains(t, run(t, append([]string{"__complete"}, c.args...)...).out, c.want...)
		})
	}
}

// TestNothingOfAForeignPFChanges is a last look at the machine itself.
func TestNothingOfAForeignPFChanges(t *testing.T) {
	m := described(t, "two-port-connectx5.yaml")
	w := world{this: m}
	before := m.Snapshot()
	if got := w.run(t, "apply", "-f", file(t, "one.yaml", one), "--yes"); got.code != ExitDone {
		t.Fatal(got.err)
	}
	second := hw.PCIAddr{Bus: 0x5f, Function: 1}.String()
	for line := range strings.Lines(before) {
		if strings.HasPrefix(line, second) && !strings.Contains(m.Snapshot(), line) {
			t.Errorf("this line is gone: %s", line)
		}
	}
}

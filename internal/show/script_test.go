// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package show_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
	"github.com/kubeovn/sriov-network-operator/internal/show"
)

func script(t *testing.T, p plan.Plan) string {
	t.Helper()
	text, err := show.Script(p, "etc/records")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// shell runs a program of the shell and returns what it printed.
func shell(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", args...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestPlanAsScript(t *testing.T) {
	text := script(t, everything())
	golden(t, "plan.sh", text)
	file := filepath.Join(t.TempDir(), "plan.sh")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := shell(t, nil, "-n", file); err != nil {
		t.Errorf("the shell does not read it: %v\n%s", err, out)
	}
}

func TestTextFromPeopleIsOneWordOrOneComment(t *testing.T) {
	nasty := "it's $(touch /tmp/x) `y` \"z\" \\ \n ' ; rm -rf /\r #"
	p := plan.Plan{Before: []plan.Step{
		{Do: plan.LoadModule{Module: nasty}, Why: reason.Because(reason.ModuleMissing, "%s", nasty)},
		{Do: plan.WriteFile{Path: nasty, Content: nasty}, Why: reason.Because(reason.FileDiffers, "%s", nasty)},
	}}
	text := script(t, p)
	// The module's name and the file's path and content arrive as they are.
	program := strings.NewReplacer("modprobe '", "printf %s\\\\n '", "write_file '", "printf %s\\\\n '").Replace(text)
	out, err := shell(t, []string{"PATH=" + os.Getenv("PATH")}, "-c", program)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := nasty + "\n/" + nasty + "\n0000\n" + nasty + "\n"
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// tree is a machine's sysfs as plain files: whatever is written to an attribute
// stays in it, and programs write down how they are called.
type tree struct {
	t    *testing.T
	root string
}

func newTree(t *testing.T) tree {
	t.Helper()
	tr := tree{t: t, root: t.TempDir()}
	for _, tool := range []string{"ip", "devlink", "ethtool", "modprobe", "udevadm"} {
		tr.file("bin/"+tool, "#!/bin/sh\necho \"${0##*/} $*\" >>"+tr.root+"/calls\n")
		if err := os.Chmod(filepath.Join(tr.root, "bin", tool), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return tr
}

func (tr tree) file(name, text string) {
	tr.t.Helper()
	full := filepath.Join(tr.root, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		tr.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
		tr.t.Fatal(err)
	}
}

func (tr tree) link(name, target string) {
	tr.t.Helper()
	full := filepath.Join(tr.root, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		tr.t.Fatal(err)
	}
	if err := os.Symlink(target, full); err != nil {
		tr.t.Fatal(err)
	}
}

func (tr tree) read(name string) string {
	tr.t.Helper()
	text, err := os.ReadFile(filepath.Join(tr.root, name))
	if err != nil {
		tr.t.Fatal(err)
	}
	return string(text)
}

// run runs the plan's script on the tree.
func (tr tree) run(p plan.Plan) (string, error) {
	tr.t.Helper()
	text := strings.Replace(script(tr.t, p), "sysfs=/sys\n", "sysfs="+tr.root+"/sys\n", 1)
	text = strings.Replace(text, "tries=1200\n", "tries=2\n", 1)
	text = strings.ReplaceAll(text, "'/etc/", "'"+tr.root+"/etc/")
	return shell(tr.t, []string{"PATH=" + tr.root + "/bin:" + os.Getenv("PATH")}, "-c", text)
}

const device = "sys/bus/pci/devices/"

func TestTheScriptDoesWhatThePlanSays(t *testing.T) {
	tr, pf := newTree(t), port(0)
	pfDir := device + pf.String()
	tr.file(pfDir+"/sriov_totalvfs", "8")
	tr.file(pfDir+"/sriov_numvfs", "0")
	tr.file(pfDir+"/sriov_drivers_autoprobe", "1")
	tr.file(pfDir+"/net/ens1f0_0/phys_port_name", "pf0vf0")
	tr.file(pfDir+"/net/ens1f0/phys_port_name", "p0")
	for i, vf := range []string{"0000:d8:00.2", "0000:d8:00.3"} {
		tr.link(pfDir+"/virtfn"+string(rune('0'+i)), "../"+vf)
		tr.file(device+vf+"/driver_override", "")
		tr.link(device+vf+"/driver", "../../drivers/vfio-pci")
	}
	tr.file(device+"0000:d8:00.2/net/eth7/mtu", "1500")
	tr.file("sys/bus/pci/drivers_probe", "")
	tr.file("sys/bus/pci/drivers/vfio-pci/unbind", "")
	p := plan.Plan{
		Before: []plan.Step{
			{Do: plan.LoadModule{Module: "vfio_pci"}},
			{Do: plan.WriteFile{Path: "etc/udev/x.rules", Content: "a\nb\n", Mode: 0o640}},
		},
		Lanes: []plan.Lane{{PF: pf, Name: "ens1f0", Steps: []plan.Step{
			{Do: plan.Claim{PF: pf, Record: plan.Record{PF: pf, NumVFs: 2}}},
			{Do: plan.SetAutoprobe{PF: pf}},
			{Do: plan.SetNumVFs{PF: pf, From: 0, To: 2}},
			{Do: plan.SetEswitchMode{PF: pf, From: hw.EswitchLegacy, To: hw.EswitchSwitchdev}},
			{Do: plan.SetAdminMACs{PF: pf, MACs: []plan.VFMAC{{VF: 1, MAC: "02:00:00:00:00:01"}}}},
			{Do: plan.SetVFMTU{PF: pf, VFs: []int{0}, MTU: 9000}},
			{Do: plan.BindVFs{PF: pf, VFs: []int{0}, Driver: "vfio-pci"}},
			{Do: plan.UnbindVFs{PF: pf, VFs: []int{1}}},
		}}},
		After: []plan.Step{{Do: plan.ReloadUdev{}}},
	}
	out, err := tr.run(p)
	if err != nil || out != "" {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, want := range map[string]string{
		pfDir + "/sriov_numvfs":                 "2\n",
		pfDir + "/sriov_drivers_autoprobe":      "0\n",
		"sys/bus/pci/drivers/vfio-pci/unbind":   "0000:d8:00.3\n",
		device + "0000:d8:00.2/driver_override": "",
		"etc/udev/x.rules":                      "a\nb\n",
		"etc/records/" + pf.String():            `{"pciAddress":"0000:d8:00.0","numVfs":2}` + "\n",
		"calls": `modprobe vfio_pci
devlink dev eswitch set pci/0000:d8:00.0 mode switchdev
ip link set dev ens1f0 vf 1 mac 02:00:00:00:00:01
ip link set dev eth7 mtu 9000
udevadm control --reload
`,
	} {
		if diff := cmp.Diff(want, tr.read(name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAScriptFindsTheNetdevsOfVirtioFunctions(t *testing.T) {
	tr, pf := newTree(t), port(0)
	pfDir, vf := device+pf.String(), "0000:d8:00.2"
	tr.file(pfDir+"/sriov_totalvfs", "8")
	tr.file(pfDir+"/virtio3/net/eth0/mtu", "1500")
	tr.link(pfDir+"/virtfn0", "../"+vf)
	tr.file(device+vf+"/virtio4/net/eth1/mtu", "1500")
	out, err := tr.run(plan.Plan{Lanes: []plan.Lane{{PF: pf, Steps: []plan.Step{
		{Do: plan.SetMTU{PF: pf, From: 1500, To: 9000}}, {Do: plan.SetVFMTU{PF: pf, VFs: []int{0}, MTU: 4000}},
	}}}})
	if err != nil || out != "" {
		t.Fatalf("%v\n%s", err, out)
	}
	if diff := cmp.Diff("ip link set dev eth0 mtu 9000\nip link set dev eth1 mtu 4000\n", tr.read("calls")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAScriptStopsALaneAndNoOther(t *testing.T) {
	tr := newTree(t)
	for _, pf := range []hw.PCIAddr{port(0), port(1)} {
		tr.file(device+pf.String()+"/sriov_numvfs", "3")
		tr.file(device+pf.String()+"/sriov_drivers_autoprobe", "1")
	}
	lane := func(pf hw.PCIAddr, from int) plan.Lane {
		return plan.Lane{PF: pf, Steps: []plan.Step{{Do: plan.SetNumVFs{PF: pf, From: from, To: 0}}, {Do: plan.SetAutoprobe{PF: pf}}}}
	}
	out, err := tr.run(plan.Plan{Lanes: []plan.Lane{lane(port(0), 5), lane(port(1), 3)}})
	if err == nil || !strings.Contains(out, "0000:d8:00.0 has 3 VFs and had 5: make another script") {
		t.Errorf("got %v\n%s", err, out)
	}
	first, second := tr.read(device+port(0).String()+"/sriov_drivers_autoprobe"), tr.read(device+port(1).String()+"/sriov_drivers_autoprobe")
	if first != "1" || second != "0\n" {
		t.Errorf("the lane that failed went on, or the other did not: %q %q", first, second)
	}
}

func TestAScriptDoesNotWaitForEver(t *testing.T) {
	tr, pf := newTree(t), port(0)
	tr.file(device+pf.String()+"/sriov_numvfs", "0")
	out, err := tr.run(plan.Plan{Lanes: []plan.Lane{{PF: pf, Steps: []plan.Step{{Do: plan.SetNumVFs{PF: pf, From: 0, To: 2}}}}}})
	if err == nil || !strings.Contains(out, "waited in vain: shows 0000:d8:00.0 2") {
		t.Errorf("got %v\n%s", err, out)
	}
}

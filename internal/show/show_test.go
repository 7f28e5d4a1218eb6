// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package show_test

import (
	"encoding/json"
	"errors"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/disruption"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
	"github.com/kubeovn/sriov-network-operator/internal/show"
)

var update = flag.Bool("update", false, "write what is shown now into testdata")

func golden(t *testing.T, name, got string) {
	t.Helper()
	full := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(full, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(full)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", full, diff)
	}
}

func port(function uint8) hw.PCIAddr { return hw.PCIAddr{Bus: 0xd8, Function: function} }

// everything is a plan with every action, every class and every kind of finding.
func everything() plan.Plan {
	pf, ib := port(0), port(1)
	step := func(do plan.Action, r reason.Reason, format string, args ...any) plan.Step {
		return plan.Step{Do: do, Why: reason.Because(r, format, args...)}
	}
	cut := func(s plan.Step) plan.Step { s.Class, s.CutsLink = disruption.Link, true; return s }
	take := func(s plan.Step, vfs ...int) plan.Step {
		s.Class, s.Takes = max(s.Class, disruption.Pods), vfs
		return s
	}
	rule := hw.UdevRules + "/" + hw.RuleUnmanaged + pf.String() + ".rules"
	return plan.Plan{
		Before: []plan.Step{
			step(plan.LoadModule{Module: "vfio_pci"}, reason.ModuleMissing, "the driver is not registered"),
			step(plan.WriteFile{Path: rule, Content: "# it's a rule\nNAME=\"$x `y`\"\n", Mode: 0o644}, reason.FileDiffers, "the rule is missing"),
			step(plan.WriteFile{Path: "etc/other.conf", Content: "x", Mode: 0o600}, reason.FileDiffers, "the file differs"),
			step(plan.ReloadUdev{}, reason.FileDiffers, "udev rules changed"),
			step(plan.SetRDMAMode{Mode: hw.RDMAExclusive}, reason.RDMAModeDiffers, "it is shared"),
			step(plan.SetKernelArgs{Add: []string{"intel_iommu=on", "iommu=pt"}, Remove: []string{"ib_core.netns_mode=1"}}, reason.KernelArgMissing, "the next boot needs them"),
			step(plan.RecordBoot{Record: plan.BootRecord{Args: []string{"intel_iommu=on"}, Awaited: map[string]string{"intel_iommu=on": "b"}}}, reason.Claim, "not repeated"),
		},
		Reboot: &plan.Reboot{Why: []reason.Why{reason.Because(reason.KernelArgMissing, "vfio-pci needs the IOMMU and the kernel was booted without intel_iommu=on iommu=pt")}},
		Lanes: []plan.Lane{
			{PF: pf, Name: "ens1f0", Basis: "b0", Steps: []plan.Step{
				step(plan.Claim{PF: pf, Record: plan.Record{PF: pf, Name: "ens1f0", NumVFs: 8, MadeVFs: true}}, reason.Claim, "first change of this PF"),
				step(plan.SetLinkUp{PF: pf}, reason.LinkDown, "ens1f0 is down"),
				cut(step(plan.SetMTU{PF: pf, From: 1500, To: 9000}, reason.MTUDiffers, "MTU is 1500, asked for 9000")),
				step(plan.EnableTCOffload{PF: pf}, reason.OffloadOff, "hw-tc-offload is off"),
				take(step(plan.DeleteVDPA{PF: pf, VFs: []int{3}}, reason.VDPADiffers, "VF 3 has another vDPA device"), 3),
				take(step(plan.UnbindVFs{PF: pf, VFs: []int{0, 1, 2, 3}}, reason.EswitchNeedsIdle, "VF 2 is in use"), 0, 1, 2, 3),
				take(cut(step(plan.SetNumVFs{PF: pf, From: 4, To: 0}, reason.CountNeedsZero, "a count cannot change in place")), 0, 1, 2, 3),
				step(plan.SetAutoprobe{PF: pf, On: false}, reason.BindOnce, "new VFs are bound once"),
				step(plan.SetNumVFs{PF: pf, From: 0, To: 8}, reason.CountDiffers, "policy dpdk asks for 8"),
				step(plan.SetAutoprobe{PF: pf, On: true}, reason.AutoprobeOff, "it was on"),
				step(plan.SetSteering{PF: pf, Mode: "smfs"}, reason.SteeringDiffers, "it is dmfs"),
				cut(step(plan.SetEswitchMode{PF: pf, From: hw.EswitchLegacy, To: hw.EswitchSwitchdev}, reason.EswitchModeDiffers, "policy dpdk asks for it")),
				step(plan.SetAdminMACs{PF: pf, MACs: []plan.VFMAC{{VF: 0, MAC: "02:00:00:00:00:01"}, {VF: 2, MAC: "02:00:00:00:00:02"}}}, reason.MACNotPinned, "vfio-pci hides them later"),
				step(plan.BindVFs{PF: pf, VFs: []int{0, 1}}, reason.NewVF, ""),
				step(plan.BindVFs{PF: pf, VFs: []int{2, 3, 5}, Driver: "vfio-pci"}, reason.DriverDiffers, "policy dpdk: deviceType\nevil; rm -rf /"),
				step(plan.SetVFMTU{PF: pf, VFs: []int{0, 1}, MTU: 9000}, reason.MTUDiffers, "asked for 9000"),
				step(plan.CreateVDPA{PF: pf, VFs: []int{6}, Type: hw.VDPAVhost}, reason.VDPADiffers, "asked for vhost"),
				step(plan.CreateVDPA{PF: pf, VFs: []int{7}, Type: hw.VDPAVirtio}, reason.VDPADiffers, "asked for virtio"),
			}},
			{PF: ib, Name: "ibs1", Basis: "b1", Steps: []plan.Step{
				step(plan.SetGUIDs{PF: ib, GUIDs: []plan.VFGUID{{VF: 0, GUID: 0x0202030405060708}}}, reason.GUIDMissing, "VF 0 has none"),
				step(plan.RemoveFile{Path: rule}, reason.PolicyGone, "no policy asks for it"),
				step(plan.Release{PF: ib}, reason.PolicyGone, "no policy asks for it"),
			}},
		},
		After: []plan.Step{step(plan.ReloadUdev{}, reason.FileDiffers, "udev rules changed")},
		Blocked: []plan.Blocker{
			{PF: port(2), Name: "ens2", Why: reason.Because(reason.TotalVFsExceeded, "ens2: asked for 16 VFs, the hardware offers 8")},
			{Why: reason.Because(reason.RDMAModeDiffers, "RDMA namespace mode is shared, asked for exclusive")},
		},
		Notices: []plan.Blocker{{PF: pf, Name: "ens1f0", Why: reason.Why{Reason: reason.OrderingAssumed}}},
	}
}

// actions are the names of all types in package plan that are actions.
func actions(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../plan/action.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != "Does" {
			continue
		}
		if name, ok := f.Recv.List[0].Type.(*ast.Ident); ok {
			out = append(out, name.Name)
		}
	}
	slices.Sort(out)
	return out
}

func TestThePlanOfTheseTestsHasEveryAction(t *testing.T) {
	var got []string
	for s := range everything().Steps() {
		got = append(got, s.Do.Does())
		if words := show.Action(s.Do); words == s.Do.Does() || words == "" {
			t.Errorf("%s has no words of its own", words)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(actions(t), slices.Compact(got)); diff != "" {
		t.Errorf("(-all +here):\n%s", diff)
	}
}

func TestPlanAsText(t *testing.T) { golden(t, "plan.txt", show.Plan(everything())) }

func TestAnEmptyPlanSaysSo(t *testing.T) {
	if got := show.Plan(plan.Plan{}); got != "nothing to do\n" {
		t.Errorf("got %q", got)
	}
	blocked := plan.Plan{Blocked: everything().Blocked[1:]}
	if got := show.Plan(blocked); !strings.HasPrefix(got, "cannot be done:\n") || !strings.HasSuffix(got, "\nnothing to do. 1 wish cannot be met.\n") {
		t.Errorf("got %q", got)
	}
}

func TestPlanAsJSONIsThePlan(t *testing.T) {
	text, err := show.PlanJSON(everything())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "plan.json", string(text))
	var back plan.Plan
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(everything(), back); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var sum struct {
		Disturbs  disruption.Class
		StepCount int
	}
	if err := json.Unmarshal(text, &sum); err != nil || sum.Disturbs != disruption.Reboot || sum.StepCount != 29 {
		t.Errorf("got %+v, %v", sum, err)
	}
}

func TestNoTextBreaksALine(t *testing.T) {
	p := plan.Plan{Lanes: []plan.Lane{{PF: port(0), Name: "a\x1b[2Jb\n", Steps: []plan.Step{{
		Do: plan.SetLinkUp{PF: port(0)}, Why: reason.Because(reason.LinkDown, "x\ny\r\u2028z\u0085"),
	}}}}}
	if got := show.Plan(p); strings.Count(got, "\n") != 4 || strings.ContainsAny(got, "\x1b\r\u2028\u0085") {
		t.Errorf("got %q", got)
	}
}

func TestFindingsInOneLine(t *testing.T) {
	got := show.Finding(everything().Blocked[0])
	if want := "0000:d8:00.2 ens2: asked for 16 VFs, the hardware offers 8. " + reason.TotalVFsExceeded.Fix(); got != want {
		t.Errorf("got %q", got)
	}
}

func TestProgress(t *testing.T) {
	s := everything().Lanes[0].Steps[8]
	base := show.Progress{PF: port(0), Name: "ens1f0", Number: 9, Of: 18, Step: s, Took: 1234 * time.Millisecond, Err: errors.New("no\nmemory")}
	for state, want := range map[show.StepState]string{
		show.StepRunning: "0000:d8:00.0 ens1f0  9/18  numvfs 0 → 8 …",
		show.StepDone:    "0000:d8:00.0 ens1f0  9/18  numvfs 0 → 8  1.23s",
		show.StepFailed:  "0000:d8:00.0 ens1f0  9/18  numvfs 0 → 8  failed: no?memory",
		show.StepSkipped: "0000:d8:00.0 ens1f0  9/18  numvfs 0 → 8  not done",
	} {
		base.State = state
		if got := base.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for took, want := range map[time.Duration]string{
		83 * time.Second: "1m23s", 1500 * time.Microsecond: "1.5ms", 999: "1µs", 0: "0s",
	} {
		if got := show.Took(took); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := show.Cut("numvfs 0 → 8", 9); got != "numvfs 0…" {
		t.Errorf("got %q", got)
	}
	if got := show.Cut("short", 0); got != "short" {
		t.Errorf("got %q", got)
	}
}

func TestNodeStateAsTables(t *testing.T) {
	state := sriovv1.SriovNetworkNodeState{
		ObjectMeta: metav1.ObjectMeta{Name: "node1"},
		Spec: sriovv1.SriovNetworkNodeStateSpec{Interfaces: []sriovv1.Interface{
			{PciAddress: "0000:d8:00.0", Name: "ens1f0", NumVfs: 8, Mtu: 9000, EswitchMode: "switchdev", VfGroups: []sriovv1.VfGroup{
				{ResourceName: "dpdk", VfRange: "0-3", DeviceType: "vfio-pci", PolicyName: "a"},
				{ResourceName: "net", VfRange: "4-7", DeviceType: "netdevice", PolicyName: "b", Mtu: 9000, IsRdma: true, VdpaType: "vhost"},
			}},
			{PciAddress: "0000:d8:00.7", Name: "gone", NumVfs: 2},
		}},
		Status: sriovv1.SriovNetworkNodeStateStatus{
			SyncStatus: sriovv1.SyncStatusFailed, LastSyncError: "one\ntwo",
			Interfaces: []sriovv1.InterfaceExt{
				{PciAddress: "0000:d8:00.0", Name: "ens1f0", NumVfs: 1, TotalVfs: 16, Mtu: 1500, EswitchMode: "legacy", VFs: []sriovv1.VirtualFunction{
					{PciAddress: "0000:d8:00.2", Driver: "mlx5_core", Name: "ens1f0v0", Mac: "02:00:00:00:00:01", Mtu: 1500, RepresentorName: "ens1f0_0"},
				}},
				{PciAddress: "0000:d8:00.1", Name: "ens1f1", TotalVfs: 16, Mtu: 1500, EswitchMode: "legacy"},
			},
		},
	}
	golden(t, "nodestate.txt", show.NodeState(&state))
	golden(t, "nodestate-wide.txt", show.NodeStateWide(&state))
	if got := show.NodeStateWide(&sriovv1.SriovNetworkNodeState{}); got != "node -\nno PF\n" {
		t.Errorf("an empty state is %q", got)
	}
}

func TestTraceAsText(t *testing.T) {
	policy := func(name string, priority, numVFs int, pfs ...string) sriovv1.SriovNetworkNodePolicy {
		return sriovv1.SriovNetworkNodePolicy{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: sriovv1.SriovNetworkNodePolicySpec{
				Priority: &priority, ResourceName: name, NumVfs: numVFs,
				NicSelector: sriovv1.SriovNetworkNicSelector{PfNames: pfs},
			},
		}
	}
	result := nodestate.Render(nodestate.Input{
		Policies: []sriovv1.SriovNetworkNodePolicy{
			policy("high", 10, 4, "ens1f0"), policy("low", 90, 8, "ens1f0"), policy("bad", 50, 2, "ens1f0#4-2"), policy("none", 99, 2, "ens9"),
		},
		Node: nodestate.Node{Name: "n", LabelsUnknown: true},
		Inventory: hw.Inventory{PFs: []hw.PF{{
			Addr: port(0), VendorID: "15b3", DeviceID: "1017", Netdev: "ens1f0", TotalVFs: 16, Eswitch: hw.Read(hw.EswitchLegacy),
		}}},
		Catalog: catalog.Default(),
	})
	golden(t, "trace.txt", show.Trace(result.Trace))
	if got := show.Trace(nodestate.Trace{}); !strings.Contains(got, "there are none") {
		t.Errorf("without policies: %q", got)
	}
}

func TestInventoryAsTables(t *testing.T) {
	inv := hw.Inventory{
		PFs: []hw.PF{
			{
				Addr: port(0), VendorID: "15b3", DeviceID: "1017", Driver: "mlx5_core", Netdev: "ens1f0", AltNames: []string{"enp1", "p0"},
				MAC: "0c:42:a1:00:00:01", MTU: hw.Read(1500), LinkType: hw.LinkEthernet, AdminUp: true, SpeedMbps: hw.Read(25000),
				TotalVFs: 16, NumVFs: 2, Eswitch: hw.Read(hw.EswitchSwitchdev), TCOffload: hw.FeatureOn, InUseBy: []string{"bond bond0"},
				VFs: []hw.VF{
					{Index: 0, Addr: port(2), Driver: "mlx5_core", Netdev: "ens1f0v0", MAC: "02:00:00:00:00:01", AdminMAC: hw.Read(hw.MAC("02:00:00:00:00:01")), MTU: 1500, IOMMUGroup: "7", RDMADevice: "mlx5_2", Representor: "ens1f0_0"},
					{Index: 1, Addr: port(3), Driver: "mlx5_core", Away: true, AdminMAC: hw.Unreadable[hw.MAC]("too many")},
				},
			},
			{
				Addr: port(1), VendorID: "1234", DeviceID: "5678", Driver: "other", Netdev: "eth1", Unlisted: true, MTU: hw.Unreadable[int]("gone"),
				SpeedMbps: hw.Unreadable[int]("the link is down"), Eswitch: hw.Unreadable[hw.EswitchMode]("timed out"),
			},
			{Addr: port(4), VendorID: "1af4", DeviceID: "1041", Driver: "vfio-pci", Virtual: true, EswitchAbsent: true, TotalVFs: 1, NumVFs: 1},
		},
		RDMA: hw.Unreadable[hw.RDMAMode]("no RDMA"), IOMMUGroups: 12,
		Problems: []string{"0000:01:00.0: input/output error"},
	}
	golden(t, "inventory.txt", show.Inventory(inv, catalog.Default()))
	golden(t, "inventory-wide.txt", show.InventoryWide(inv, catalog.Default()))
	if got := show.Inventory(hw.Inventory{}, catalog.Default()); got != "no NIC with SR-IOV\n" {
		t.Errorf("an empty inventory is %q", got)
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/disruption"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// bootSteps are the steps and findings that concern boots, in a few words each.
func bootSteps(p Plan) []string {
	var out []string
	for s := range p.Steps() {
		switch do := s.Do.(type) {
		case SetKernelArgs:
			out = append(out, strings.TrimSpace(fmt.Sprintf("args +%v -%v", do.Add, do.Remove)))
		case RecordBoot:
			out = append(out, fmt.Sprintf("record args=%v awaited=%v if +%v -%v", do.Record.Args, do.Record.Awaited, do.Holding, do.Lacking))
		case SetRDMAMode:
			out = append(out, "rdma "+string(do.Mode))
		case WriteFile:
			if do.Path == hw.RDMAConfig {
				out = append(out, "write "+strings.TrimSpace(strings.TrimPrefix(do.Content, nodeHeader)))
			}
		case RemoveFile:
			if do.Path == hw.RDMAConfig {
				out = append(out, "remove rdma")
			}
		default:
		}
	}
	for _, b := range p.Blocked {
		out = append(out, "blocked "+string(b.Why.Reason))
	}
	if p.Reboot != nil {
		for _, why := range p.Reboot.Why {
			out = append(out, "reboot "+string(why.Reason))
		}
	}
	return out
}

func record(t *testing.T, r BootRecord) map[string]string {
	t.Helper()
	return map[string]string{hw.BootRecord: r.Content()}
}

// intel is a machine whose firmware tells of an IOMMU that the kernel does not use.
func intel(args, next []string) hw.Inventory {
	inv := machine(pf(port0, "mlx5_core", 0), pf(port1, "mlx5_core", 0))
	inv.IOMMUGroups = 0
	inv.Boot = hw.Boot{ID: "boot 2", Args: args, IOMMU: hw.IOMMUIntel, Next: hw.Read(hw.NextBoot{Loader: hw.UpdateGrub, Args: next})}
	return inv
}

func TestAMachineIsRebootedForItsIOMMUAtMostOnce(t *testing.T) {
	on := []string{"intel_iommu=on", "iommu=pt"}
	both := func(boot string) map[string]string { return map[string]string{on[0]: boot, on[1]: boot} }
	for name, c := range map[string]struct {
		saw  hw.Inventory
		file *BootRecord
		want []string
	}{
		"at first the boot loader is told, and looked at": {intel(nil, nil), nil, []string{
			"record args=[intel_iommu=on iommu=pt] awaited=map[] if +[] -[]",
			"args +[intel_iommu=on iommu=pt] -[]",
			"record args=[intel_iommu=on iommu=pt] awaited=map[intel_iommu=on:boot 2 iommu=pt:boot 2] if +[intel_iommu=on iommu=pt] -[]",
			"reboot KernelArgMissing",
		}},
		"what the owner has set is not set again, and is not ours": {intel([]string{"iommu=pt"}, []string{"iommu=pt"}), nil, []string{
			"record args=[intel_iommu=on] awaited=map[] if +[] -[]",
			"args +[intel_iommu=on] -[]",
			"record args=[intel_iommu=on] awaited=map[intel_iommu=on:boot 2] if +[intel_iommu=on] -[]",
			"reboot KernelArgMissing",
		}},
		"a boot loader that was told by its owner is only waited for": {intel(nil, on), nil, []string{
			"record args=[] awaited=map[intel_iommu=on:boot 2 iommu=pt:boot 2] if +[intel_iommu=on iommu=pt] -[]",
			"reboot KernelArgMissing",
		}},
		"when that is done the reboot is all that is left": {intel(nil, on), &BootRecord{Args: on, Awaited: both("boot 2")}, []string{
			"reboot KernelArgMissing",
		}},
		"a boot loader that has lost it meanwhile is told again": {intel(nil, nil), &BootRecord{Args: on, Awaited: both("boot 2")}, []string{
			"args +[intel_iommu=on iommu=pt] -[]",
			"reboot KernelArgMissing",
		}},
		"a boot that did not bring it is not repeated": {intel(nil, on), &BootRecord{Args: on, Awaited: both("boot 1")}, []string{
			"blocked RebootInVain",
		}},
		"not even when the boot loader has lost it again": {intel(nil, nil), &BootRecord{Args: on, Awaited: both("boot 1")}, []string{
			"blocked RebootInVain",
		}},
		"a boot that brought it without effect says so": {intel(on, on), &BootRecord{Args: on, Awaited: both("boot 1")}, []string{
			"record args=[intel_iommu=on iommu=pt] awaited=map[] if +[] -[]",
			"blocked NoIOMMU",
		}},
		"an IOMMU that its owner switched off stays off": {intel([]string{"iommu=off"}, nil), nil, []string{"blocked IOMMUOff"}},
		"a record that cannot be read reboots nothing": {func() hw.Inventory {
			inv := intel(nil, nil)
			inv.OwnedFiles = map[string]string{hw.BootRecord: "{"}
			return inv
		}(), nil, []string{"blocked BootRecordTorn"}},
		"a boot loader that nobody knows": {func() hw.Inventory {
			inv := intel(nil, nil)
			inv.Boot.Next = hw.Unreadable[hw.NextBoot]("it boots with systemd-boot")
			return inv
		}(), nil, []string{"blocked BootLoaderUnknown"}},
		"firmware that tells of none": {func() hw.Inventory {
			inv := intel(nil, nil)
			inv.Boot.IOMMU = hw.IOMMUNone
			return inv
		}(), nil, []string{"blocked NoIOMMU"}},
		"AMD's needs one argument": {func() hw.Inventory {
			inv := intel(nil, nil)
			inv.Boot.IOMMU = hw.IOMMUAMD
			return inv
		}(), nil, []string{
			"record args=[iommu=pt] awaited=map[] if +[] -[]",
			"args +[iommu=pt] -[]",
			"record args=[iommu=pt] awaited=map[iommu=pt:boot 2] if +[iommu=pt] -[]",
			"reboot KernelArgMissing",
		}},
		"with groups nothing is asked": {func() hw.Inventory {
			inv := intel(nil, nil)
			inv.IOMMUGroups = 4
			return inv
		}(), nil, nil},
		"groups that the next boot would lose are kept": {func() hw.Inventory {
			inv := intel(on, nil)
			inv.IOMMUGroups = 4
			return inv
		}(), nil, []string{
			"record args=[intel_iommu=on iommu=pt] awaited=map[] if +[] -[]",
			"args +[intel_iommu=on iommu=pt] -[]",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.file != nil {
				c.saw.OwnedFiles = record(t, *c.file)
			}
			node := want(t, desired.PF{Addr: port0, NumVFs: 2, Groups: []desired.Group{group(0, 1, desired.VFIO)}})
			got := bootSteps(Compute(node, c.saw, nil, catalog.Default()))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatNeedsNoBootGoesOnBeforeIt(t *testing.T) {
	node := want(t,
		desired.PF{Addr: port0, NumVFs: 2, Groups: []desired.Group{group(0, 1, desired.VFIO)}},
		desired.PF{Addr: port1, NumVFs: 2, Groups: []desired.Group{group(0, 1, desired.Kernel)}},
	)
	p := Compute(node, intel(nil, nil), nil, catalog.Default())
	if p.Class() != disruption.Reboot || p.Empty() || len(p.Lanes) != 1 || p.Lanes[0].PF != port1 {
		t.Fatalf("class %s, lanes %+v", p.Class(), p.Lanes)
	}
	quiet := p.Within(disruption.Link)
	if quiet.Class() != disruption.None || len(quiet.Lanes) != 1 || len(quiet.Before) != len(p.Before) {
		t.Errorf("what goes on before the boot: %v", lines(quiet))
	}
	if p.Prepared() {
		t.Error("the boot counts as prepared and the boot loader was not told")
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var again Plan
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, again); diff != "" {
		t.Errorf("the plan does not survive JSON (-want +got):\n%s", diff)
	}
}

func TestNobodyIsRebootedForAPFThatIsNotThere(t *testing.T) {
	saw := intel(nil, nil)
	saw.PFs = saw.PFs[1:]
	node := want(t, desired.PF{Addr: port0, NumVFs: 2, Groups: []desired.Group{group(0, 1, desired.VFIO)}})
	if p := Compute(node, saw, nil, catalog.Default()); p.Reboot != nil || len(lines(p)) > 0 {
		t.Errorf("reboot %v, steps %v", p.Reboot, lines(p))
	}
}

func TestTheRDMAModeNeedsABootOnlyWhileNamespacesExist(t *testing.T) {
	shared := machine()
	shared.Boot = hw.Boot{ID: "boot 2", Next: hw.Read(hw.NextBoot{Loader: hw.Grubby})}
	fixed := shared
	fixed.RDMAFixed = true
	right := shared
	right.RDMA = hw.Read(hw.RDMAExclusive)
	right.OwnedFiles = map[string]string{hw.RDMAConfig: rdmaContent(hw.RDMAExclusive)}
	const file = "write options ib_core netns_mode=0"
	const awaits = "RDMA namespace mode exclusive"
	for name, c := range map[string]struct {
		saw  hw.Inventory
		file *BootRecord
		want []string
	}{
		"as it is": {right, nil, nil},
		"it changes at once, and the file keeps it over the next boot": {shared, nil, []string{file, "rdma exclusive"}},
		"with namespaces the next boot brings it": {fixed, nil, []string{
			file,
			"record args=[ib_core.netns_mode=0] awaited=map[] if +[] -[]",
			"args +[ib_core.netns_mode=0] -[]",
			"record args=[ib_core.netns_mode=0] awaited=map[" + awaits + ":boot 2] if +[ib_core.netns_mode=0] -[]",
			"reboot RDMAModeDiffers",
		}},
		"a boot loader that nobody knows leaves it to the file": {func() hw.Inventory {
			inv := fixed
			inv.Boot.Next = hw.Unreadable[hw.NextBoot]("none")
			return inv
		}(), nil, []string{file, "record args=[] awaited=map[" + awaits + ":boot 2] if +[] -[]", "reboot RDMAModeDiffers"}},
		"a boot that did not bring it is not repeated": {fixed, &BootRecord{Awaited: map[string]string{awaits: "boot 1"}}, []string{
			file, "blocked RebootInVain",
		}},
		"an argument of ours for the other mode goes": {func() hw.Inventory {
			inv := shared
			inv.Boot.Next = hw.Read(hw.NextBoot{Loader: hw.Grubby, Args: []string{"ib_core.netns_mode=1"}})
			return inv
		}(), &BootRecord{Args: []string{"ib_core.netns_mode=1"}}, []string{
			file, "rdma exclusive",
			"record args=[ib_core.netns_mode=1 ib_core.netns_mode=0] awaited=map[] if +[] -[]",
			"args +[ib_core.netns_mode=0] -[ib_core.netns_mode=1]",
			"record args=[ib_core.netns_mode=0] awaited=map[] if +[ib_core.netns_mode=0] -[ib_core.netns_mode=1]",
		}},
		"a kernel without RDMA has the file for when it gets it": {func() hw.Inventory {
			inv := shared
			inv.RDMA, inv.RDMAAbsent = hw.Unreadable[hw.RDMAMode]("not supported"), true
			return inv
		}(), nil, []string{file}},
		"a mode that cannot be read": {func() hw.Inventory {
			inv := shared
			inv.RDMA = hw.Unreadable[hw.RDMAMode]("input/output error")
			return inv
		}(), nil, []string{file, "blocked RDMAModeDiffers"}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.file != nil {
				c.saw.OwnedFiles = record(t, *c.file)
			}
			node, _ := desired.New(nil, hw.RDMAExclusive)
			if diff := cmp.Diff(c.want, bootSteps(Compute(node, c.saw, nil, catalog.Default()))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatTheNodeNeedsStaysLoadedAndGoesWithTheLastWish(t *testing.T) {
	inv := machine(pf(port0, "igb", 0))
	inv.PCIDrivers = []string{"igb"}
	node := want(t, desired.PF{Addr: port0, NumVFs: 4, Groups: []desired.Group{group(0, 1, desired.VFIO), group(2, 3, desired.Kernel)}})
	inv = settled(node, inv, nil)
	if got := inv.OwnedFiles[hw.ModulesConfig]; got != nodeHeader+"igbvf\nvfio_pci\n" {
		t.Errorf("the file of modules is %q", got)
	}
	inv.OwnedFiles[hw.RDMAConfig] = rdmaContent(hw.RDMAShared)
	inv.OwnedFiles[hw.BootRecord] = BootRecord{Args: []string{"iommu=pt"}}.Content()
	var gone []string
	for _, s := range Compute(desired.Node{}, inv, nil, catalog.Default()).After {
		switch do := s.Do.(type) {
		case RemoveFile:
			gone = append(gone, do.Path)
		case SetKernelArgs, RecordBoot:
			gone = append(gone, fmt.Sprintf("%s %+v", do.Does(), do))
		default:
		}
	}
	if diff := cmp.Diff([]string{
		"etc/udev/rules.d/10-nm-disable-0000:5f:00.0.rules", hw.ModulesConfig, hw.RDMAConfig,
		"SetKernelArgs {Add:[] Remove:[iommu=pt]}",
		"RecordBoot {Record:{Args:[] Awaited:map[]} Holding:[] Lacking:[iommu=pt]}",
	}, gone); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestVhostNetAndTunAreLoadedWhereAPolicyNeedsThem(t *testing.T) {
	vhost := group(0, 1, desired.Kernel)
	vhost.VhostNet = true
	node := want(t, desired.PF{Addr: port0, NumVFs: 2, Groups: []desired.Group{vhost}})
	loads := func(inv hw.Inventory) []string {
		var out []string
		for s := range Compute(node, inv, nil, catalog.Default()).Steps() {
			if load, ok := s.Do.(LoadModule); ok {
				out = append(out, load.Module)
			}
		}
		return out
	}
	inv := machine(pf(port0, "mlx5_core", 0))
	if diff := cmp.Diff([]string{"vhost_net", "tun"}, loads(inv)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	inv.MiscDevices = []string{"tun"}
	if diff := cmp.Diff([]string{"vhost_net"}, loads(inv)); diff != "" {
		t.Errorf("with tun (-want +got):\n%s", diff)
	}
	if got := settled(node, inv, nil).OwnedFiles[hw.ModulesConfig]; got != nodeHeader+"tun\nvhost_net\n" {
		t.Errorf("the file of modules is %q", got)
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"os"
	"testing"
	"time"

	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/discover"
	"github.com/kubeovn/sriov-network-operator/internal/execute"
	"github.com/kubeovn/sriov-network-operator/internal/host/sim"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/ledger"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
	"github.com/kubeovn/sriov-network-operator/internal/render/deviceplugin"
	"github.com/kubeovn/sriov-network-operator/internal/render/nodestate"
	"github.com/kubeovn/sriov-network-operator/internal/wire"
)

// clusters are what is rendered.
func clusters() []struct {
	name  string
	build func() cluster
} {
	return []struct {
		name  string
		build func() cluster
	}{{"fleet", fleet}, {"crowd", crowd}}
}

// BenchmarkNodeStates renders what every node of a cluster should be, from policies
// as the API has them to specs as the API has them.
func BenchmarkNodeStates(b *testing.B) {
	for _, size := range clusters() {
		b.Run(size.name, func(b *testing.B) {
			c := size.build()
			b.ReportAllocs()
			for b.Loop() {
				compiled := nodestate.Compile(c.policies, nodestate.Options{Catalog: catalog.Default()})
				for _, n := range c.nodes {
					r := compiled.Render(n.Node, n.inventory, "")
					if spec := wire.Spec(r.Desired); len(spec.Interfaces) != 4 {
						b.Fatalf("%s has %d interfaces", n.Name, len(spec.Interfaces))
					}
				}
			}
			perNode(b)
		})
	}
}

// BenchmarkDevicePlugin renders what every node's device plugin reads, as text.
func BenchmarkDevicePlugin(b *testing.B) {
	for _, size := range clusters() {
		b.Run(size.name, func(b *testing.B) {
			c := size.build()
			compiled := nodestate.Compile(c.policies, nodestate.Options{Catalog: catalog.Default()})
			wishes := []desired.Node{}
			for _, n := range c.nodes {
				wishes = append(wishes, compiled.Render(n.Node, n.inventory, "").Desired)
			}
			nics := catalog.Default()
			b.ReportAllocs()
			for b.Loop() {
				parsed := deviceplugin.NewPolicies(c.policies)
				for i, n := range c.nodes {
					r := deviceplugin.Render(deviceplugin.Input{
						Policies: parsed, Labels: n.Labels, Inventory: n.inventory, Desired: wishes[i], NICs: nics,
					})
					if text, err := r.Config.JSON(); err != nil || len(r.Config.Resources) == 0 || text == "" {
						b.Fatalf("%s has no configuration: %v", n.Name, err)
					}
				}
			}
			perNode(b)
		})
	}
}

func perNode(b *testing.B) {
	b.Helper()
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/cluster")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*nodes), "µs/node")
}

// machine is one with eight PFs, on each of which are so many VFs.
func machine(b *testing.B, vfs int) *sim.Machine {
	b.Helper()
	text, err := os.ReadFile("../../test/machines/big.yaml")
	if err != nil {
		b.Fatal(err)
	}
	m, err := sim.Parse(text)
	if err != nil {
		b.Fatal(err)
	}
	if vfs == 0 {
		return m
	}
	h := m.Host()
	for _, pf := range look(b, m).PFs {
		if err := h.Attrs.WriteAttr(b.Context(), "sys/bus/pci/devices/"+pf.Addr.String()+"/sriov_numvfs", "128"); err != nil {
			b.Fatal(err)
		}
	}
	return m
}

func look(b *testing.B, m *sim.Machine) hw.Inventory {
	b.Helper()
	inv, err := discover.Machine(b.Context(), m.Reader(), catalog.Default())
	if err != nil || len(inv.Problems) > 0 {
		b.Fatal(err, inv.Problems)
	}
	return inv
}

const most = 128

// wish asks for 128 VFs of each PF, half of them for a driver.
func wish(b *testing.B, inv hw.Inventory, second desired.Driver) desired.Node {
	b.Helper()
	var pfs []desired.PF
	for _, pf := range inv.PFs {
		pfs = append(pfs, desired.PF{
			Addr: pf.Addr, Name: pf.Netdev, NumVFs: most, Eswitch: hw.EswitchLegacy,
			Groups: []desired.Group{
				{Policy: "a", Resource: "a", Range: hw.VFRange{First: 0, Last: 63}, Driver: desired.Kernel},
				{Policy: "b", Resource: "b", Range: hw.VFRange{First: 64, Last: 127}, Driver: second},
			},
		})
	}
	n, rejected := desired.New(pfs, "")
	if len(rejected) > 0 {
		b.Fatal(rejected)
	}
	return n
}

// BenchmarkPlan plans a machine with eight PFs and 128 VFs on each.
func BenchmarkPlan(b *testing.B) {
	nics := catalog.Default()
	for _, c := range []struct {
		name   string
		before int
		second desired.Driver
	}{
		{"from no VFs to 128", 0, desired.VFIO},
		{"64 VFs to another driver", most, desired.VFIO},
	} {
		b.Run(c.name, func(b *testing.B) {
			inv := look(b, machine(b, c.before))
			want := wish(b, inv, c.second)
			b.ReportAllocs()
			for b.Loop() {
				if p := plan.Compute(want, inv, nil, nics); len(p.Blocked) > 0 || len(p.Lanes) != 8 {
					b.Fatalf("%d blockers, %d lanes", len(p.Blocked), len(p.Lanes))
				}
			}
		})
	}
	b.Run("nothing to do", func(b *testing.B) {
		m := machine(b, 0)
		want := wish(b, look(b, m), desired.VFIO)
		known := carryOut(b, m, want)
		inv := look(b, m)
		b.ReportAllocs()
		for b.Loop() {
			if p := plan.Compute(want, inv, known, nics); len(p.Blocked) > 0 || !p.Empty() {
				b.Fatalf("%d blockers, empty %v", len(p.Blocked), p.Empty())
			}
		}
	})
}

// carryOut makes the machine what is wanted, and returns what is remembered of it.
func carryOut(b *testing.B, m *sim.Machine, want desired.Node) plan.Memory {
	b.Helper()
	h := m.Host()
	l, err := ledger.Open(h.Files, h.Conf)
	if err != nil {
		b.Fatal(err)
	}
	p := plan.Compute(want, look(b, m), l.Memory(), catalog.Default())
	if err := execute.Run(b.Context(), h, l, p, execute.Options{Now: time.Now, StepTimeout: time.Minute}); err != nil {
		b.Fatal(err)
	}
	return l.Memory()
}

// BenchmarkDiscover looks at a machine with eight PFs and 128 VFs on each. Most of
// the time is the simulation's, which makes its files as they are read.
func BenchmarkDiscover(b *testing.B) {
	m := machine(b, most)
	b.ReportAllocs()
	for b.Loop() {
		if inv := look(b, m); len(inv.PFs) != 8 || len(inv.PFs[7].VFs) != most {
			b.Fatal("something is missing")
		}
	}
}

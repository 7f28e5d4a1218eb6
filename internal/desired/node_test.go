// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"strings"
	"testing"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

func pf(change func(*PF)) PF {
	p := PF{Addr: hw.PCIAddr{Bus: 1}, Name: "eth1", NumVFs: 4, Groups: []Group{{Policy: "p", Range: hw.VFRange{First: 0, Last: 3}}}}
	change(&p)
	return p
}

func TestAPFThatContradictsItselfIsRejectedAlone(t *testing.T) {
	good := pf(func(p *PF) { p.Addr.Bus = 9 })
	for cause, bad := range map[string]PF{
		"reaches past numVfs 4":              pf(func(p *PF) { p.Groups[0].Range.Last = 4 }),
		"ends before it starts":              pf(func(p *PF) { p.Groups[0].Range = hw.VFRange{First: 2, Last: 1} }),
		"overlap":                            pf(func(p *PF) { p.Groups = append(p.Groups, p.Groups[0]) }),
		"neither legacy nor switchdev":       pf(func(p *PF) { p.Eswitch = "both" }),
		"switchdev needs Ethernet":           pf(func(p *PF) { p.Eswitch, p.LinkType = hw.EswitchSwitchdev, hw.LinkInfiniBand }),
		"RDMA needs the kernel's driver":     pf(func(p *PF) { p.Groups[0].Driver, p.Groups[0].RDMA = VFIO, true }),
		"vDPA needs":                         pf(func(p *PF) { p.Groups[0].VDPA = hw.VDPAVhost }),
		"neither virtio nor vhost":           pf(func(p *PF) { p.Groups[0].VDPA = "other" }),
		"neither netdevice nor vfio-pci":     pf(func(p *PF) { p.Groups[0].Driver = "uio" }),
		"must not be negative":               pf(func(p *PF) { p.NumVFs = -1 }),
		"mtu -1 must not be negative":        pf(func(p *PF) { p.Groups[0].MTU = -1 }),
		"0000:09:00.0 is asked for twice":    good,
		"numVfs 4 and mtu -2 must not be ne": pf(func(p *PF) { p.MTU = -2 }),
	} {
		node, rejected := New([]PF{good, bad}, "")
		if len(rejected) != 1 || !strings.Contains(rejected[0].Err.Error(), cause) {
			t.Errorf("%s: rejected %+v", cause, rejected)
		}
		if len(node.PFs()) != 1 {
			t.Errorf("%s: the good PF is lost", cause)
		}
	}
}

func TestANodeFillsInDefaultsAndSortsByAddress(t *testing.T) {
	node, rejected := New([]PF{pf(func(p *PF) { p.Addr.Bus = 2 }), pf(func(*PF) {})}, hw.RDMAExclusive)
	if len(rejected) > 0 {
		t.Fatal(rejected)
	}
	pfs := node.PFs()
	if pfs[0].Addr.Bus != 1 || pfs[0].Eswitch != hw.EswitchLegacy || pfs[0].Groups[0].Driver != Kernel || node.RDMAMode() != hw.RDMAExclusive {
		t.Errorf("got %+v", node)
	}
	if _, ok := pfs[0].Group(4); ok {
		t.Error("VF 4 is in a group that ends at 3")
	}
}

func TestEqualComparesEveryField(t *testing.T) {
	base, _ := New([]PF{pf(func(*PF) {})}, "")
	same, _ := New([]PF{pf(func(*PF) {})}, "")
	if !base.Equal(same) {
		t.Error("equal nodes differ")
	}
	for name, change := range map[string]func(*PF){
		"name": func(p *PF) { p.Name = "x" }, "numVfs": func(p *PF) { p.NumVFs = 5 }, "mtu": func(p *PF) { p.MTU = 9000 },
		"mode": func(p *PF) { p.Eswitch = hw.EswitchSwitchdev }, "link": func(p *PF) { p.LinkType = hw.LinkEthernet },
		"external": func(p *PF) { p.ExternallyManaged = true }, "unlisted": func(p *PF) { p.AllowUnlisted = true }, "consent": func(p *PF) { p.AllowInUse = true },
		"group": func(p *PF) { p.Groups[0].Resource = "x" }, "address": func(p *PF) { p.Addr.Bus = 7 },
	} {
		other, rejected := New([]PF{pf(change)}, "")
		if len(rejected) > 0 {
			t.Fatal(rejected)
		}
		if base.Equal(other) {
			t.Errorf("%s is not compared", name)
		}
	}
}

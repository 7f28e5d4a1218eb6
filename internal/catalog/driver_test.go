// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"slices"
	"strings"
	"testing"
)

func TestEveryDriverHasItsPapers(t *testing.T) {
	for _, d := range Default().Drivers() {
		if len(d.Sources) == 0 || len(d.Vendors) == 0 || d.VFDriver == "" || d.VFModule == "" {
			t.Errorf("%s lacks a source, a vendor or its VFs' driver: %+v", d.Driver, d)
		}
		for _, s := range d.Sources {
			if !strings.HasPrefix(s, "https://") {
				t.Errorf("%s: source %q is no link", d.Driver, s)
			}
		}
		if got := Default().Driver(d.Driver); got.VFDriver != d.VFDriver {
			t.Errorf("Driver(%q) gives %+v", d.Driver, got)
		}
	}
}

func TestEveryDriverServesAVendorOfTheList(t *testing.T) {
	nics := Default().NICs()
	for _, d := range Default().Drivers() {
		for _, v := range d.Vendors {
			if !slices.ContainsFunc(nics, func(n NIC) bool { return n.Vendor == v }) {
				t.Errorf("%s: no NIC of vendor %s is listed", d.Driver, v)
			}
		}
	}
}

func TestDriverTraits(t *testing.T) {
	table := Default()
	cases := map[string]struct {
		driver string
		holds  func(DriverTraits) bool
	}{
		"mlx5 makes VFs, then changes the mode, and no assumption is made": {"mlx5_core", func(d DriverTraits) bool {
			return d.Order == VFsThenMode && !d.OrderAssumed && d.RemadeInLegacy
		}},
		"mlx5 wants software-managed steering": {"mlx5_core", func(d DriverTraits) bool {
			return d.Steering == Param{Name: "flow_steering_mode", Value: "smfs"}
		}},
		"ports of an mlx5 card share firmware and its link is not disturbed": {"mlx5_core", func(d DriverTraits) bool {
			return d.SharesFirmware && !d.CountDisturbsLink
		}},
		"ice changes its mode without VFs": {"ice", func(d DriverTraits) bool {
			return d.Order == ModeThenVFs && !d.OrderAssumed && !d.RemadeInLegacy && !d.CountDisturbsLink
		}},
		"igb is reset by a change of the number of VFs": {"igb", func(d DriverTraits) bool {
			return d.CountDisturbsLink && d.VFDriver == "igbvf"
		}},
		"ixgbe is reset by a change of the number of VFs": {"ixgbe", func(d DriverTraits) bool {
			return d.CountDisturbsLink && d.VFDriver == "ixgbevf"
		}},
		"i40e is reset by a change of the number of VFs": {"i40e", func(d DriverTraits) bool {
			return d.CountDisturbsLink && d.VFDriver == "iavf"
		}},
		"bnxt makes VFs only while its netdev is up":         {"bnxt_en", func(d DriverTraits) bool { return d.CountNeedsUp }},
		"a module makes vDPA devices of the VFs of mlx5":     {"mlx5_core", func(d DriverTraits) bool { return d.VDPAModule == "mlx5_vdpa" }},
		"virtio assigns no MACs to VFs":                      {"virtio-pci", func(d DriverTraits) bool { return d.NoVFMACs }},
		"a driver that is not known is taken to assign MACs": {"stranger", func(d DriverTraits) bool { return !d.NoVFMACs }},
		"the VFs of nfp have a driver in the PF's module": {"nfp", func(d DriverTraits) bool {
			return d.VFDriver == "nfp_netvf" && d.VFModule == "nfp"
		}},
		"an unknown driver gets the usual order, and it is said that this is assumed": {"xsc", func(d DriverTraits) bool {
			return d.Driver == "xsc" && d.Order == VFsThenMode && d.OrderAssumed && d.CountDisturbsLink && d.RemadeInLegacy &&
				d.VFDriver == "" && !d.SharesFirmware && d.Steering.Name == ""
		}},
		"no driver at all is an unknown driver": {"", func(d DriverTraits) bool { return d.OrderAssumed }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := table.Driver(c.driver); !c.holds(got) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestOnlyMellanoxServesUserspaceThroughItsKernelDriver(t *testing.T) {
	if table := Default(); !table.Bifurcated("15b3") || table.Bifurcated("8086") || table.Bifurcated("") {
		t.Error("15b3 alone is bifurcated")
	}
}

func TestOrdersHaveWords(t *testing.T) {
	if VFsThenMode.String() != "VFs, then mode" || ModeThenVFs.String() != "mode, then VFs" || EswitchOrder(7).String() != "EswitchOrder(7)" {
		t.Error("an order has no words")
	}
}

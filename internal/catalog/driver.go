// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"fmt"
	"slices"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// EswitchOrder is the order in which a driver takes a change of its eSwitch mode
// and of its VFs.
type EswitchOrder int

// The orders.
const (
	// VFsThenMode goes to legacy mode, makes the VFs, takes their drivers away,
	// changes the mode and gives the drivers back.
	VFsThenMode EswitchOrder = iota
	// ModeThenVFs changes the mode while there are no VFs and makes them after.
	ModeThenVFs
)

// String is the order in words.
func (o EswitchOrder) String() string {
	switch o {
	case VFsThenMode:
		return "VFs, then mode"
	case ModeThenVFs:
		return "mode, then VFs"
	}
	return fmt.Sprintf("EswitchOrder(%d)", int(o))
}

// Param is a devlink parameter and the value that it should have.
type Param struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// DriverTraits is what a PF's driver needs and does. The zero value of each field
// but Order is the harmless case; Driver gives the careful case where nothing is
// known.
type DriverTraits struct {
	// Driver is the PF's driver, as in /sys/bus/pci/drivers.
	Driver string `json:"driver"`
	// VFDriver is the kernel's driver for the VFs, as in /sys/bus/pci/drivers,
	// and VFModule the module that brings it. Empty when not known: the kernel
	// then chooses by itself, and no module is loaded beforehand.
	VFDriver string `json:"vfDriver,omitempty"`
	VFModule string `json:"vfModule,omitempty"`

	// Order is how the eSwitch mode changes.
	Order EswitchOrder `json:"order"`
	// OrderAssumed says that the driver is not known and the usual order is
	// taken.
	OrderAssumed bool `json:"orderAssumed,omitempty"`
	// RemadeInLegacy says that the number of VFs changes only in legacy mode, so
	// that a PF in switchdev mode goes there first.
	RemadeInLegacy bool `json:"remadeInLegacy,omitempty"`
	// CountDisturbsLink says that changing the number of VFs resets the PF, so
	// that its own traffic pauses.
	CountDisturbsLink bool `json:"countDisturbsLink,omitempty"`
	// CountNeedsUp says that the number of VFs changes only while the PF's
	// netdev is up.
	CountNeedsUp bool `json:"countNeedsUp,omitempty"`
	// NoVFMACs says that the PF assigns no MACs to its VFs: they have those that the
	// device gives them.
	NoVFMACs bool `json:"noVFMACs,omitempty"`
	// SharesFirmware says that the ports of one card share firmware, so that
	// they are configured one after the other.
	SharesFirmware bool `json:"sharesFirmware,omitempty"`
	// Bifurcated says that the driver splits traffic between kernel and
	// userspace by itself: DPDK works without vfio-pci.
	Bifurcated bool `json:"bifurcated,omitempty"`
	// VDPAModule brings what makes vDPA devices of the VFs, as soon as the VF has its
	// driver. Empty when VFs are not known to become vDPA devices.
	VDPAModule string `json:"vdpaModule,omitempty"`
	// Steering is the parameter that switchdev mode wants, settable in legacy
	// mode; its name is empty when the driver has none.
	Steering Param `json:"steering,omitzero"`

	// Vendors are the PCI vendors of the driver's NICs.
	Vendors []hw.ID `json:"vendors,omitempty"`
	// Sources are where all this comes from.
	Sources []string `json:"sources,omitempty"`
}

// Driver is what is known of a PF's driver. For an unknown one it is the usual
// order, marked as assumed, and a PF that is reset by every change.
func (t Table) Driver(driver string) DriverTraits {
	for _, known := range drivers() {
		if known.Driver == driver {
			return known
		}
	}
	return DriverTraits{
		Driver: driver, Order: VFsThenMode, OrderAssumed: true,
		RemadeInLegacy: true, CountDisturbsLink: true,
	}
}

// Drivers are the drivers that are known, sorted by name.
func (t Table) Drivers() []DriverTraits {
	known := drivers()
	slices.SortFunc(known, func(a, b DriverTraits) int {
		if a.Driver < b.Driver {
			return -1
		}
		return 1
	})
	return known
}

// Bifurcated reports whether NICs of the vendor serve userspace through their
// kernel driver. The vendor is asked because a NIC that is bound to vfio-pci no
// longer shows its own driver.
func (t Table) Bifurcated(vendor hw.ID) bool {
	return slices.ContainsFunc(drivers(), func(d DriverTraits) bool {
		return d.Bifurcated && slices.Contains(d.Vendors, vendor)
	})
}

const linux = "https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/tree/"

// drivers is a function because a package variable could be changed.
func drivers() []DriverTraits {
	return slices.Concat(intelDrivers(), nvidiaDrivers(), otherDrivers())
}

func intelDrivers() []DriverTraits {
	vendors := []hw.ID{"8086"}
	return []DriverTraits{
		{
			// igb_sriov_reinit closes and opens the netdev.
			Driver: "igb", VFDriver: "igbvf", VFModule: "igbvf", Vendors: vendors,
			RemadeInLegacy: true, CountDisturbsLink: true,
			Sources: []string{linux + "drivers/net/ethernet/intel/igb/igb_main.c (igb_sriov_reinit)"},
		},
		{
			// ixgbe_sriov_reinit sets the queues up anew.
			Driver: "ixgbe", VFDriver: "ixgbevf", VFModule: "ixgbevf", Vendors: vendors,
			RemadeInLegacy: true, CountDisturbsLink: true,
			Sources: []string{linux + "drivers/net/ethernet/intel/ixgbe/ixgbe_sriov.c (ixgbe_pci_sriov_enable, ixgbe_sriov_reinit)"},
		},
		{
			// The first VF and the removal of the last reset the PF.
			Driver: "i40e", VFDriver: "iavf", VFModule: "iavf", Vendors: vendors,
			RemadeInLegacy: true, CountDisturbsLink: true,
			Sources: []string{linux + "drivers/net/ethernet/intel/i40e/i40e_virtchnl_pf.c (i40e_pci_sriov_configure)"},
		},
		{
			// The mode is refused with EOPNOTSUPP while there are VFs; VFs are
			// made in either mode.
			Driver: "ice", VFDriver: "iavf", VFModule: "iavf", Vendors: vendors,
			Order: ModeThenVFs,
			Sources: []string{
				linux + "drivers/net/ethernet/intel/ice/ice_eswitch.c (ice_eswitch_mode_set)",
				linux + "drivers/net/ethernet/intel/ice/ice_sriov.c (ice_sriov_configure)",
			},
		},
	}
}

func nvidiaDrivers() []DriverTraits {
	return []DriverTraits{{
		// NUM_OF_VFS and SRIOV_EN belong to the card. The steering mode is
		// refused in switchdev mode.
		Driver: "mlx5_core", VFDriver: "mlx5_core", VFModule: "mlx5_core", Vendors: []hw.ID{"15b3"},
		RemadeInLegacy: true, SharesFirmware: true, Bifurcated: true, VDPAModule: "mlx5_vdpa",
		Steering: Param{Name: "flow_steering_mode", Value: "smfs"},
		Sources: []string{
			linux + "drivers/net/ethernet/mellanox/mlx5/core/eswitch_offloads.c (mlx5_devlink_eswitch_mode_set)",
			linux + "drivers/net/ethernet/mellanox/mlx5/core/sriov.c (mlx5_core_sriov_configure)",
			linux + "Documentation/networking/devlink/mlx5.rst (flow_steering_mode)",
			linux + "drivers/vdpa/mlx5/net/mlx5_vnet.c (mlx5v_probe)",
			"https://doc.dpdk.org/guides/platform/mlx5.html (bifurcated driver)",
		},
	}}
}

func otherDrivers() []DriverTraits {
	return []DriverTraits{
		{
			// A number that is written while the netdev is down is dropped without
			// an error. The mode is refused with EPERM without VFs, and removing
			// the VFs takes the PF back to legacy mode, closing it meanwhile.
			Driver: "bnxt_en", VFDriver: "bnxt_en", VFModule: "bnxt_en", Vendors: []hw.ID{"14e4"},
			RemadeInLegacy: true, CountDisturbsLink: true, CountNeedsUp: true,
			Sources: []string{
				linux + "drivers/net/ethernet/broadcom/bnxt/bnxt_sriov.c (bnxt_sriov_configure)",
				linux + "drivers/net/ethernet/broadcom/bnxt/bnxt_vfr.c (bnxt_dl_eswitch_mode_set, bnxt_vf_reps_destroy)",
			},
		},
		{
			Driver: "qede", VFDriver: "qede", VFModule: "qede", Vendors: []hw.ID{"1077"},
			OrderAssumed: true, RemadeInLegacy: true, CountDisturbsLink: true,
			Sources: []string{linux + "drivers/net/ethernet/qlogic/qed/qed_sriov.c (qed_sriov_configure)"},
		},
		{
			// The firmware's application decides on the eSwitch; nfp_netvf is part
			// of the module nfp.
			Driver: "nfp", VFDriver: "nfp_netvf", VFModule: "nfp", Vendors: []hw.ID{"19ee", "1da8"},
			OrderAssumed: true, RemadeInLegacy: true, CountDisturbsLink: true,
			Sources: []string{
				linux + "drivers/net/ethernet/netronome/nfp/nfp_main.c (nfp_pcie_sriov_enable)",
				linux + "drivers/net/ethernet/netronome/nfp/nfp_netvf_main.c",
			},
		},
		{
			Driver: "rvu_nicpf", VFDriver: "rvu_nicvf", VFModule: "rvu_nicvf", Vendors: []hw.ID{"177d"},
			OrderAssumed: true, RemadeInLegacy: true, CountDisturbsLink: true,
			Sources: []string{
				linux + "drivers/net/ethernet/marvell/octeontx2/nic/otx2_pf.c (otx2_sriov_enable)",
				linux + "drivers/net/ethernet/marvell/octeontx2/nic/otx2_vf.c",
			},
		},
		{
			Driver: "hinic", VFDriver: "hinic", VFModule: "hinic", Vendors: []hw.ID{"19e5"},
			OrderAssumed: true, RemadeInLegacy: true, CountDisturbsLink: true,
			Sources: []string{linux + "drivers/net/ethernet/huawei/hinic/hinic_main.c"},
		},
		{
			Driver: "virtio-pci", VFDriver: "virtio-pci", VFModule: "virtio_pci", Vendors: []hw.ID{"1af4"},
			OrderAssumed: true, RemadeInLegacy: true, CountDisturbsLink: true, NoVFMACs: true,
			Sources: []string{
				linux + "drivers/virtio/virtio_pci_common.c (virtio_pci_sriov_configure)",
				linux + "drivers/net/virtio_net.c (virtnet_netdev)",
			},
		},
		{
			Driver: "ena", VFDriver: "ena", VFModule: "ena", Vendors: []hw.ID{"1d0f"},
			OrderAssumed: true, RemadeInLegacy: true, CountDisturbsLink: true, NoVFMACs: true,
			Sources: []string{linux + "drivers/net/ethernet/amazon/ena/ena_netdev.c (ena_pci_driver, ena_netdev_ops)"},
		},
	}
}

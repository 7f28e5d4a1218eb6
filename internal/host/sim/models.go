// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"slices"
	"strings"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// eswitchRule says when a driver changes the mode of its eSwitch.
type eswitchRule int

const (
	eswitchAbsent eswitchRule = iota // the driver has no devlink eSwitch
	eswitchIdle                      // only while no VF has a driver
	eswitchEmpty                     // only without VFs
)

// model is what distinguishes one NIC from another.
type model struct {
	name             string
	vendor           hw.ID
	device, vfDevice hw.ID
	driver, vfDriver string
	totalVFs, maxMTU int
	// offset and stride are those of the PCI capability. An offset of zero packs
	// the VFs of all ports of a card behind its PFs.
	offset, stride int
	eswitch        eswitchRule
	tc             hw.Feature
	steering       bool // has the devlink parameter flow_steering_mode
	rdma           bool // the driver makes an RDMA device per function
	portNames      bool // the PF has a phys_port_name
	noHook         bool // the driver cannot make VFs
	virtual        bool // the device is itself the VF
	// virtio: the netdev stands under <function>/virtioN, and a PF neither tells nor
	// assigns its VFs' addresses (drivers/net/virtio_net.c, virtnet_netdev).
	virtio bool
	// macNeedsUp: the VF learns its admin MAC over a mailbox that the PF serves
	// only while it is up (drivers/net/ethernet/intel/igb/igb_main.c,
	// igb_rcv_msg_from_vf).
	macNeedsUp bool
	// macHeard: the PF lists the address that the VF took by itself as if it
	// were an admin MAC (igb_main.c, igb_set_vf_mac_addr; i40e_virtchnl_pf.c,
	// i40e_vc_add_mac_addr_msg; ice_virtchnl.c, ice_vfhw_mac_add).
	macHeard bool
	// mtuFree: the PF lets a VF receive frames longer than its own (igb_main.c,
	// igb_set_vf_rlpml).
	mtuFree bool
}

// models are the NICs that a description can name.
func models() []model {
	return []model{
		mlx5("ConnectX-5", "1017", "1018"),
		mlx5("ConnectX-6", "101b", "101c"),
		mlx5("ConnectX-6 Dx", "101d", "101e"),
		{
			name: "E810", vendor: "8086", device: "1592", vfDevice: "1889", driver: "ice", vfDriver: "iavf",
			totalVFs: 128, maxMTU: 9702, offset: 8, stride: 1, eswitch: eswitchEmpty, tc: hw.FeatureOff, portNames: true, macHeard: true,
		},
		{
			name: "X710", vendor: "8086", device: "1572", vfDevice: "154c", driver: "i40e", vfDriver: "iavf",
			totalVFs: 64, maxMTU: 9702, offset: 16, stride: 1, tc: hw.FeatureOff, macHeard: true,
		},
		{
			name: "82576", vendor: "8086", device: "10c9", vfDevice: "10ca", driver: "igb", vfDriver: "igbvf",
			// The config space offers 8 and igb keeps one queue pair for the PF
			// (igb_main.c, igb_probe_vfs: pci_sriov_set_totalvfs 7).
			totalVFs: 7, maxMTU: 9216, offset: 0x80, stride: 2, tc: hw.FeatureAbsent, macNeedsUp: true, macHeard: true,
			mtuFree: true,
		},
		virtio("virtio", "1000"),
		virtio("virtio 1.0", "1041"),
		{name: "generic", stride: 1, maxMTU: 9000, tc: hw.FeatureAbsent},
	}
}

func mlx5(name string, device, vfDevice hw.ID) model {
	return model{
		name: name, vendor: "15b3", device: device, vfDevice: vfDevice, driver: "mlx5_core", vfDriver: "mlx5_core",
		totalVFs: 8, maxMTU: 9978, stride: 1, eswitch: eswitchIdle, tc: hw.FeatureOff, steering: true, rdma: true, portNames: true,
	}
}

// virtio is a paravirtual NIC, or one of a DPU. A VF has its PF's id.
func virtio(name string, device hw.ID) model {
	return model{
		name: name, vendor: "1af4", device: device, vfDevice: device, driver: "virtio-pci", vfDriver: "virtio-pci",
		stride: 1, maxMTU: 65535, tc: hw.FeatureAbsent, virtual: true, virtio: true,
	}
}

// modelNamed finds a model, upper and lower case alike.
func modelNamed(name string) (model, bool) {
	all := models()
	i := slices.IndexFunc(all, func(m model) bool { return strings.EqualFold(m.name, name) })
	if i < 0 {
		return model{}, false
	}
	return all[i], true
}

// The modules that are no NIC's driver, and the buses that their drivers serve.
const (
	vfioPCI    = "vfio-pci"
	vhostVDPA  = "vhost_vdpa"
	virtioVDPA = "virtio_vdpa"
	mlx5VDPA   = "mlx5_vdpa"
)

// extraModules exist on every simulated machine unless the description says that
// they are missing.
func extraModules() []string {
	return []string{vfioPCI, vhostVDPA, virtioVDPA, mlx5VDPA, "vdpa", "vhost_net", "tun", "ib_core", "mlx5_ib", "virtio_net"}
}

// moduleName is the kernel's own spelling: "vfio-pci" and "vfio_pci" are one
// module (kernel/module: names have underscores).
func moduleName(s string) string { return strings.ReplaceAll(s, "-", "_") }

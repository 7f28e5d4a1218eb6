// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package deviceplugin renders what the SR-IOV network device plugin of one node
// shall advertise, and spreads the configurations of all nodes over ConfigMaps.
//
// # What the plugin does with its configuration
//
// The rules below are those of k8snetworkplumbingwg/sriov-network-device-plugin;
// the files named are its own.
//
//   - A resource name that appears twice, a name with characters that it does not
//     allow, or isRdma together with vdpaType makes the plugin exit, and with it goes
//     every resource of the node (cmd/sriovdp/manager.go, validConfigs;
//     pkg/netdevice/netDeviceProvider.go, ValidConfig). An empty list makes it exit
//     as well (cmd/sriovdp/main.go).
//   - selectors is one object or a list of objects, each with flags of its own
//     (pkg/factory/factory.go, GetDeviceFilter, since pull request 475 of 2023; an
//     older plugin skips a resource with a list and logs it). excludeTopology
//     belongs to the resource, not to the selector.
//   - A device must match every key of a selector that is not empty. Resources, and
//     within them selectors, are asked in order, and the first that matches gets
//     the device (manager.go, initServers and excludeAllocatedDevices).
//   - pfNames and rootDevices take "PF" or "PF#0-3,6-7". Only the first entry for a
//     PF counts, so two ranges of one PF must share an entry
//     (pkg/resources/deviceSelectors.go, getItem and isSelected). The PF's name is
//     the netdev's; alternative names are unknown to it. Upper and lower case are
//     the same.
//   - A PF with VFs is no device; a PF without VFs is one, has no VF index and so
//     matches no range (AddTargetDevices).
//
// # What is rendered
//
// A policy has an entry on a node only where it has VFs, as the desired node says.
// The plain form of its selectors is that of the existing operator, byte by byte.
// It is narrowed to the policy's own PFs and VFs when it would select a VF that the
// policy did not get, or a device of a PF that the policy does not select. So no two
// resources match one VF of a configured PF, and the order of the list, highest
// priority first, decides only about devices that nobody configures.
//
// A PF whose VFs somebody else makes may have more of them than the policy's numVfs.
// A policy without a range then advertises them all, as the existing operator does.
//
// Policies of one resource share a selector as long as that selects the same
// devices and means the same: equal flags and, for drivers, equal kinds. Otherwise
// the resource has a list of selectors.
//
// # Where it is stored
//
// See [Shard].
package deviceplugin

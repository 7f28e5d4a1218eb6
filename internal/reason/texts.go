// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package reason

import (
	"maps"
	"slices"
)

// text is what a person reads about a reason.
type text struct {
	sentence string
	// fix is what to do; empty when there is nothing to do.
	fix string
}

// All is every reason, sorted.
func All() []Reason { return slices.Sorted(maps.Keys(texts())) }

// Sentence says in one sentence what the reason means.
func (r Reason) Sentence() string { return texts()[r].sentence }

// Fix says what a person can do about it; empty when nothing needs doing.
func (r Reason) Fix() string { return texts()[r].fix }

// texts is a function because a package variable could be changed.
func texts() map[Reason]text {
	return map[Reason]text{
		CountDiffers:       {"The policy asks for another number of VFs than there is.", ""},
		CountNeedsZero:     {"The kernel changes a number of VFs only through zero (drivers/pci/iov.c, sriov_numvfs_store).", ""},
		EswitchModeDiffers: {"The policy asks for another eSwitch mode.", ""},
		EswitchNeedsLegacy: {"This driver remakes VFs only in legacy mode.", ""},
		EswitchNeedsNoVFs:  {"This driver changes its eSwitch mode only without VFs.", ""},
		EswitchNeedsIdle:   {"This driver changes its eSwitch mode only while no VF has a driver.", ""},
		SteeringDiffers:    {"Software-managed steering is the default for switchdev, and can be chosen in legacy mode only.", ""},
		OffloadOff:         {"Hardware offload of flows is off and switchdev needs it.", ""},
		MTUDiffers:         {"The policy asks for another MTU.", ""},
		LinkDown:           {"The PF is down, and a VF then keeps no admin MAC over a rebind.", ""},
		DriverDiffers:      {"The policy asks for another driver.", ""},
		DriverMissing:      {"The VF has no driver.", ""},
		NewVF:              {"The VF is new.", ""},
		BindOnce:           {"New VFs shall be bound once, to the driver that they will keep.", ""},
		AutoprobeOff:       {"New VFs of this PF would get no driver by themselves.", ""},
		MACNotPinned:       {"The VF has no admin MAC and would get another address at its next bind.", ""},
		GUIDMissing:        {"The VF has no GUID, and RDMA cannot use it.", ""},
		RDMANeedsRebind:    {"The driver gives an RDMA device its GUID when it binds.", ""},
		VDPADiffers:        {"The policy asks for another vDPA device.", ""},
		ModuleMissing:      {"The driver is not loaded.", ""},
		FileDiffers:        {"A file of this project is missing or differs.", ""},
		Claim:              {"What is configured is written down first, so that it can be found and undone after a crash.", ""},
		PolicyGone:         {"No policy asks for this PF any more.", ""},
		KernelArgMissing:   {"The kernel lacks an argument that only a boot can give it.", ""},

		PFMissing:            {"The machine has no such PF.", "Check that the card is seated and its driver is bound (`lspci -nnk`), or remove the policy's selector for it."},
		TotalVFsExceeded:     {"The policy asks for more VFs than the hardware offers.", "Lower numVfs, or raise the firmware's limit (for NVIDIA: `mlxconfig set SRIOV_EN=1 NUM_OF_VFS=n` and a reboot). A limit of 0 usually means that SR-IOV is off in the BIOS."},
		EswitchUnsupported:   {"The driver offers no eSwitch mode.", "Use eSwitchMode legacy for this NIC, or a NIC and driver with switchdev."},
		EswitchUnreadable:    {"The eSwitch mode could not be read, so it is not known what a change would do.", "Run `devlink dev eswitch show pci/<address>` and see the message."},
		MTUUnreadable:        {"The MTU could not be read.", "See the message for the cause."},
		MTUTooLarge:          {"The policy asks for a larger MTU than the driver takes.", "Lower mtu to the maximum in the message."},
		MTUKept:              {"A PF's MTU is never lowered below what its owner set.", "Lower the PF's MTU where it was set, or raise the policy's mtu."},
		LinkTypeDiffers:      {"The port speaks another link type than the policy asks for.", "Change the port's type in the firmware (for NVIDIA: `mlxconfig set LINK_TYPE_P1=…`) or the policy's linkType."},
		HostTraffic:          {"The PF carries the host's own traffic, and this change would cut it off.", "Choose another PF, or set allowInUse on the policy if the interruption is acceptable."},
		NoIOMMU:              {"vfio-pci needs an IOMMU, and no kernel argument would bring one: the firmware tells of none.", "Enable VT-d, AMD-Vi or the SMMU in the firmware's setup; in a virtual machine, give it a virtual IOMMU."},
		IOMMUOff:             {"vfio-pci needs an IOMMU, and the machine's owner has switched it off with a kernel argument.", "Remove the argument that the message names from the boot loader's configuration, and reboot."},
		BootLoaderUnknown:    {"The kernel needs an argument, and the machine's boot loader is none that can be told (grubby, rpm-ostree, update-grub).", "Add the argument that the message names where the boot loader is configured, and reboot."},
		BootRecordTorn:       {"What is remembered of the machine's boots cannot be read, and so nothing that could reboot it again is done.", "Remove /etc/sriov-operator/boot on the node."},
		RebootInVain:         {"The boot loader held the argument, the machine was rebooted, and it came back without it. It is not rebooted for that again.", "Find what boots the machine with other arguments (another boot entry, a managed boot configuration, kexec), and reboot it with the argument; it goes on by itself then."},
		ExternalCountTooLow:  {"The PF is externally managed and has fewer VFs than the policy uses.", "Raise the number of VFs where it is managed, or lower numVfs."},
		ExternalModeDiffers:  {"The PF is externally managed and in another eSwitch mode.", "Change the mode where it is managed, or the policy's eSwitchMode."},
		ExternalMTUTooLow:    {"The PF is externally managed and its MTU is smaller than the policy's.", "Raise the PF's MTU where it is managed, or lower mtu."},
		VirtualCount:         {"In a virtual machine the VF is the device: there is exactly one, whatever numVfs says.", "Set numVfs to 1."},
		VirtualMTU:           {"In a virtual machine the platform sets the MTU; it is left alone.", "Remove mtu from the policy."},
		VirtualUserspace:     {"The NIC's driver splits traffic between kernel and userspace by itself; DPDK needs no vfio-pci here.", "Use deviceType netdevice."},
		LedgerTorn:           {"The record of what was configured cannot be read; the PF counts as ours with unknown beginnings.", "Nothing needs doing: the record is written anew. A reset removes its VFs, goes to legacy mode and leaves the MTU."},
		RDMAModeDiffers:      {"The kernel is in another RDMA namespace mode than the node asks for.", "If it says that the mode is unknown, run `rdma system show` and see the message. Otherwise nothing needs doing: the mode is changed, or a reboot is asked for."},
		OrderingAssumed:      {"The driver's order of eSwitch changes is not known; the usual one is taken.", "Watch the first change on this NIC, and report what its driver needs."},
		RepresentorNameLong:  {"A representor's name would be longer than the 15 characters that the kernel takes; it keeps the name it has.", "Give the PF a shorter name."},
		BridgesNotConfigured: {"Bridges are asked for and are not configured by this version.", "Configure the bridge with OVS itself; VFs and representors are ready for it."},

		NodeNotSelected:   {"The policy's nodeSelector does not match the node's labels.", "Compare `kubectl get node --show-labels` with spec.nodeSelector."},
		NodeNotListed:     {"The node is not one that the daemon runs on.", "Label the node feature.node.kubernetes.io/network-sriov.capable=true, or set configDaemonNodeSelector."},
		NoPFMatches:       {"No PF of the node matches the policy's nicSelector.", "Compare spec.nicSelector with the node state's status.interfaces."},
		NoVFsAsked:        {"The policy asks for 0 VFs and so adds nothing.", "Set numVfs, or delete the policy."},
		EmptySelector:     {"The policy's nicSelector is empty and so matches nothing.", "Set vendor, deviceID, rootDevices, pfNames or netFilter."},
		DeprecatedDefault: {"A policy named default is always skipped.", "Give the policy another name."},
		NotListed:         {"The NIC is not in the list of supported NICs.", "Add `vendor device vfDevice` to the ConfigMap supported-nic-ids, or set allowUnlistedNics on the policy."},
		NICTypeDiffers:    {"The NIC is of another type than the entry of sriov-configmap says, and is left alone.", "Compare nicType with vendor and deviceID in the node state's status.interfaces, and correct nicType or nicName."},
		BadPolicy:         {"The policy is not valid and was left out.", "Correct the field that the message names."},
		RangeUnreachable:  {"The policy's VF range reaches past its numVfs.", "Raise numVfs or lower the range."},
		RDMAWithVDPA:      {"The policy asks for RDMA and for vDPA; a vDPA device takes the place of the RDMA device.", "Remove isRdma or vdpaType."},
		Won:               {"The policy's wish stands.", ""},
		Merged:            {"The policies do not compete for a VF; both stand.", ""},
		LostToPriority:    {"A policy of higher priority (a lower number) stands.", "Change a priority, or give the policies VF ranges that do not overlap."},
		LostToName:        {"A policy of equal priority that is processed later, by name, stands.", "Give the policies different priorities, or VF ranges that do not overlap."},
		LostToObject:      {"A policy object of equal priority stands over an entry of sriov-configmap.", "Give the entry a lower priority number, or VF ranges that do not overlap."},
		RaisedByOther:     {"Another policy asks for more; the larger value stands.", ""},

		GroupNeedsSwitchdev: {"The VF group needs eSwitchMode switchdev, and the policy that decides on this PF's mode does not ask for it.", "Set eSwitchMode switchdev in the policy that the message names, or give the policies different PFs."},

		AsDesired:         {"The node is as desired.", ""},
		NotAsked:          {"Nobody asks for anything here.", ""},
		NothingUnderWay:   {"The node is not being changed.", ""},
		NoDrain:           {"Nobody is asked to leave.", ""},
		DisturbsNobody:    {"Steps that take no VF from anybody are carried out.", ""},
		NobodyHolds:       {"VFs are taken that no pod holds, and the device plugin gives none away meanwhile.", ""},
		DrainDisabled:     {"VFs are taken from pods without asking them to leave, because disableDrain is set.", ""},
		DrainGranted:      {"The pods that held the VFs have left, and the VFs are taken.", ""},
		PodsHoldVFs:       {"Pods hold VFs that are taken, and must leave first.", ""},
		VFsMayBeGiven:     {"VFs are taken that no pod holds but a new one could be given, so the node is cordoned first.", ""},
		RestartNeeded:     {"What is asked for is in force only after a restart of the node, for which everybody must leave.", ""},
		DrainPending:      {"A drain or restart is asked for; it is not yet the node's turn.", "See maxUnavailable of the node's SriovNetworkPoolConfig and which nodes are out: `kubectl get sriovnetworknodestates -A`."},
		DrainRunning:      {"It is the node's turn, and pods are leaving.", "If it takes long, see which pod and which PodDisruptionBudget the message names."},
		PodsLeaving:       {"The drain is complete, and the kubelet has yet to release VFs of pods that left.", ""},
		LettingGo:         {"An earlier drain is being ended; after that the node asks anew.", ""},
		DrainNotNeeded:    {"Nothing is left to do that needs a drain; the node is let go.", ""},
		DrainExceeds:      {"A restart was asked for and a drain is enough; the node is let go and asks for less.", ""},
		DrainFallsShort:   {"A drain was asked for and a restart is needed; the node is let go and asks for more.", ""},
		PodsStay:          {"Pods still hold VFs long after the drain was complete; the node is let go and asks anew.", "Stop the pods that the message names; pods that tolerate the cordon, such as those of DaemonSets, come back at once."},
		HoldersUnknown:    {"VFs are to be taken, and the kubelet cannot be asked which pods hold them.", "See whether /var/lib/kubelet/pod-resources/kubelet.sock of the node answers."},
		HeldByNoPod:       {"VFs are to be taken that are in use, and no pod that the kubelet knows holds them.", "Find who uses the VFs that the message names: another network namespace (`ip netns`), a virtual machine or a process with a file under /dev/vfio open. Stop it, and the node goes on by itself. disableDrain takes them all the same."},
		RestartGranted:    {"Everybody has left, and the node restarts.", ""},
		RetrySoon:         {"A step failed and is tried again in a moment.", ""},
		StepFailed:        {"A step failed, also when it was tried again.", "Correct the cause in the message. The step is tried again when something about the PF or the node state changes, and every ten minutes if that disturbs nobody."},
		PluginStays:       {"VFs are to be taken, and the device plugin that gives them away has yet to stop.", "See the pods of sriov-device-plugin on the node."},
		SpecUnreadable:    {"A part of the node state's spec cannot be read. The rest counts; no PF is given back meanwhile.", "The controller writes the spec: see whether controller and daemon are of the same version."},
		SpecNotRendered:   {"The node state is new and its spec may not be rendered yet. No PF is given back meanwhile.", ""},
		MachineUnreadable: {"The machine cannot be looked at.", "See the message for the cause."},

		BootRestored:       {"The VFs were made before the network and the kubelet started.", ""},
		BootRestoreFailed:  {"Not all VFs could be made before the network and the kubelet started. The daemon goes on with the rest.", "Mend the cause before the next boot; Ready says how the node is now. What started early may have missed VFs: restart it."},
		BootRestoreMissing: {"The service that makes VFs at boot has left no result: it was not started, or was ended, or the kubelet ran before it. The daemon makes the VFs.", "See journalctl -b -u sriov-config.service on the node."},
	}
}

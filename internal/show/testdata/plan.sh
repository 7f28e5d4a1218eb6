#!/bin/sh
# Written by kubectl-sriov plan -o script. It holds for the machine as it was
# then; if the machine has changed since, make another one. Run it as root.
set -eu

sysfs=/sys
failed=0
# How often something that the kernel finishes by itself is looked at, with a
# tenth of a second between, before it counts as failed.
tries=1200

# write ATTRIBUTE VALUE
write() {
	printf '%s\n' "$2" >"$1"
}

# write_file PATH MODE CONTENT: the whole file or nothing.
write_file() {
	mkdir -p "${1%/*}" &&
		printf '%s' "$3" >"$1.new" &&
		chmod "$2" "$1.new" &&
		mv -f "$1.new" "$1"
}

# until_true COMMAND...
until_true() {
	left=$tries
	until "$@"; do
		left=$((left - 1))
		if [ "$left" -le 0 ]; then
			echo "waited in vain: $*" >&2
			return 1
		fi
		sleep 0.1
	done
}

reload_udev() {
	if command -v udevadm >/dev/null; then
		udevadm control --reload
	fi
}

# kernel_args ADD REMOVE: what the boot loader holds for the next boots. The file
# for update-grub holds only what was added by this project.
kernel_args() {
	if [ -e /run/ostree-booted ]; then
		options=
		for arg in $2; do options="$options --delete-if-present=$arg"; done
		for arg in $1; do options="$options --append-if-missing=$arg"; done
		# shellcheck disable=SC2086
		rpm-ostree kargs $options
	elif command -v grubby >/dev/null; then
		grubby --update-kernel=ALL ${2:+"--remove-args=$2"} ${1:+"--args=$1"}
	else
		mine=/etc/default/grub.d/95-sriov-network-operator.cfg
		before='GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT '
		args=
		for arg in $(sed -n "s/^$before\(.*\)\"\$/\1/p" "$mine" 2>/dev/null); do
			case " $1 $2 " in *" $arg "*) ;; *) args="$args$arg " ;; esac
		done
		args="$args$1"
		if [ -n "$args" ]; then
			write_file "$mine" 0644 "$before${args% }\"
"
		else
			rm -f "$mine"
		fi && update-grub
	fi
}

# record_boot CONTENT: unless something failed before, because the record says
# what the boot loader holds.
record_boot() {
	[ "$failed" -eq 0 ] || return 1
	if [ -n "$1" ]; then
		write_file /etc/sriov-operator/boot 0600 "$1"
	else
		rm -f /etc/sriov-operator/boot
	fi
}

# nets ADDRESS: the folder of a function's netdevs, which of a virtio function is
# one device deeper.
nets() {
	for dir in "$sysfs/bus/pci/devices/$1/net" "$sysfs/bus/pci/devices/$1"/virtio*/net; do
		if [ -d "$dir" ]; then
			echo "$dir"
			return
		fi
	done
	return 1
}

# pf_netdev PF: the PF's own netdev, not one of its representors.
pf_netdev() {
	dir=$(nets "$1") || return 1
	for netdev in "$dir"/*; do
		port=$(cat "$netdev/phys_port_name" 2>/dev/null) || port=
		case $port in
		*pf*) ;;
		*)
			[ -e "$netdev" ] || return 1
			echo "${netdev##*/}"
			return
			;;
		esac
	done
	return 1
}

# vf_addr PF INDEX: the address of a VF. In a virtual machine the device is its
# own VF 0.
vf_addr() {
	if [ ! -e "$sysfs/bus/pci/devices/$1/sriov_totalvfs" ]; then
		echo "$1"
		return
	fi
	target=$(readlink "$sysfs/bus/pci/devices/$1/virtfn$2")
	echo "${target##*/}"
}

# pf_link PF ARGUMENTS...: ip link set on the PF.
pf_link() {
	pf=$1
	shift
	until_true pf_netdev "$pf" >/dev/null
	ip link set dev "$(pf_netdev "$pf")" "$@"
}

pf_offload() {
	until_true pf_netdev "$1" >/dev/null
	ethtool -K "$(pf_netdev "$1")" hw-tc-offload on
}

has_netdev() {
	dir=$(nets "$1") && [ -n "$(ls "$dir")" ]
}

# vf_mtu PF INDEX MTU
vf_mtu() {
	vf=$(vf_addr "$1" "$2")
	until_true has_netdev "$vf"
	for netdev in "$(nets "$vf")"/*; do
		ip link set dev "${netdev##*/}" mtu "$3"
	done
}

# shows PF COUNT: the bus shows this many VFs.
shows() {
	seen=0
	for vf in "$sysfs/bus/pci/devices/$1"/virtfn*; do
		if [ -e "$vf" ]; then
			seen=$((seen + 1))
		fi
	done
	[ "$seen" -eq "$2" ]
}

# numvfs PF FROM TO
numvfs() {
	now=$(cat "$sysfs/bus/pci/devices/$1/sriov_numvfs")
	if [ "$now" -ne "$3" ]; then
		if [ "$now" -ne "$2" ]; then
			echo "$1 has $now VFs and had $2: make another script" >&2
			return 1
		fi
		write "$sysfs/bus/pci/devices/$1/sriov_numvfs" "$3"
	fi
	until_true shows "$1" "$3"
}

# driver ADDRESS: the driver that a function is bound to; nothing when none is.
driver() {
	if [ -e "$sysfs/bus/pci/devices/$1/driver" ]; then
		link=$(readlink "$sysfs/bus/pci/devices/$1/driver")
		echo "${link##*/}"
	fi
}

# is_right ADDRESS DRIVER: the function has this driver; without a name, one of
# the kernel's own.
is_right() {
	have=$(driver "$1")
	case $have in
	'') return 1 ;;
	vfio-pci | igb_uio | uio_pci_generic) [ "$have" = "$2" ] ;;
	*) [ -z "$2" ] || [ "$have" = "$2" ] ;;
	esac
}

# unbind_addr ADDRESS
unbind_addr() {
	have=$(driver "$1")
	if [ -n "$have" ]; then
		write "$sysfs/bus/pci/drivers/$have/unbind" "$1"
	fi
}

# unbind PF INDEX
unbind() {
	unbind_addr "$(vf_addr "$1" "$2")"
}

# bind PF INDEX DRIVER: without a name, to the driver that the kernel chooses.
bind() {
	vf=$(vf_addr "$1" "$2")
	if is_right "$vf" "$3"; then
		return
	fi
	write "$sysfs/bus/pci/devices/$vf/driver_override" "$3"
	unbind_addr "$vf"
	write "$sysfs/bus/pci/drivers_probe" "$vf"
	until_true is_right "$vf" "$3"
}

# vdpa_add PF INDEX DRIVER
vdpa_add() {
	vf=$(vf_addr "$1" "$2")
	dev=$sysfs/bus/vdpa/devices/vdpa:$vf
	[ -e "$dev" ] || vdpa dev add name "vdpa:$vf" mgmtdev "pci/$vf"
	if [ -e "$dev/driver" ]; then
		link=$(readlink "$dev/driver")
		[ "${link##*/}" != "$3" ] || return 0
		write "$dev/driver/unbind" "vdpa:$vf"
	fi
	write "$dev/driver_override" "$3"
	write "$sysfs/bus/vdpa/drivers/$3/bind" "vdpa:$vf"
}

# vdpa_del PF INDEX
vdpa_del() {
	vf=$(vf_addr "$1" "$2")
	[ ! -e "$sysfs/bus/vdpa/devices/vdpa:$vf" ] || vdpa dev del "vdpa:$vf"
}

# plan disturbs: reboot. 29 steps on 2 PFs. 2 wishes cannot be met.
# cannot be done: 0000:d8:00.2 ens2: asked for 16 VFs, the hardware offers 8. Lower numVfs, or raise the firmware's limit (for NVIDIA: `mlxconfig set SRIOV_EN=1 NUM_OF_VFS=n` and a reboot). A limit of 0 usually means that SR-IOV is off in the BIOS.
# cannot be done: RDMA namespace mode is shared, asked for exclusive. If it says that the mode is unknown, run `rdma system show` and see the message. Otherwise nothing needs doing: the mode is changed, or a reboot is asked for.
# worth knowing: 0000:d8:00.0 ens1f0: The driver's order of eSwitch changes is not known; the usual one is taken. Watch the first change on this NIC, and report what its driver needs.

# the node
# load module vfio_pci (disturbs none): the driver is not registered
modprobe 'vfio_pci' || failed=1
# write rule 10-nm-disable-0000:d8:00.0.rules (disturbs none): the rule is missing
write_file '/etc/udev/rules.d/10-nm-disable-0000:d8:00.0.rules' '0644' '# it'\''s a rule
NAME="$x `y`"
' || failed=1
# write /etc/other.conf (disturbs none): the file differs
write_file '/etc/other.conf' '0600' 'x' || failed=1
# reload udev rules (disturbs none): udev rules changed
reload_udev || failed=1
# RDMA namespace mode → exclusive (disturbs none): it is shared
rdma system set netns 'exclusive' || failed=1
# next boot: + intel_iommu=on iommu=pt - ib_core.netns_mode=1 (disturbs none): the next boot needs them
kernel_args 'intel_iommu=on iommu=pt' 'ib_core.netns_mode=1' || failed=1
# write down which kernel arguments are ours (disturbs none): not repeated
record_boot '{"args":["intel_iommu=on"],"awaited":{"intel_iommu=on":"b"}}
' || failed=1

# 0000:d8:00.0 ens1f0
lane_0000_d8_00_0() {
	# 1. write down what is configured (disturbs none): first change of this PF
	write_file '/etc/records/0000:d8:00.0' '0600' '{"pciAddress":"0000:d8:00.0","name":"ens1f0","numVfs":8,"madeVFs":true}
'
	# 2. set the PF up (disturbs none): ens1f0 is down
	pf_link '0000:d8:00.0' up
	# 3. mtu 1500 → 9000 (disturbs link): MTU is 1500, asked for 9000
	pf_link '0000:d8:00.0' mtu 9000
	# 4. hw-tc-offload off → on (disturbs none): hw-tc-offload is off
	pf_offload '0000:d8:00.0'
	# 5. remove the vDPA devices of VF 3 (disturbs pods (VF 3)): VF 3 has another vDPA device
	vdpa_del '0000:d8:00.0' 3
	# 6. detach VFs 0-3 from their drivers (disturbs pods (VFs 0-3)): VF 2 is in use
	unbind '0000:d8:00.0' 0
	unbind '0000:d8:00.0' 1
	unbind '0000:d8:00.0' 2
	unbind '0000:d8:00.0' 3
	# 7. numvfs 4 → 0 (disturbs pods (VFs 0-3), link): a count cannot change in place
	numvfs '0000:d8:00.0' 4 0
	# 8. autoprobe on → off (disturbs none): new VFs are bound once
	write "$sysfs"'/bus/pci/devices/0000:d8:00.0/sriov_drivers_autoprobe' 0
	# 9. numvfs 0 → 8 (disturbs none): policy dpdk asks for 8
	numvfs '0000:d8:00.0' 0 8
	# 10. autoprobe off → on (disturbs none): it was on
	write "$sysfs"'/bus/pci/devices/0000:d8:00.0/sriov_drivers_autoprobe' 1
	# 11. flow_steering_mode → smfs (disturbs none): it is dmfs
	devlink dev param set 'pci/0000:d8:00.0' name 'flow_steering_mode' value 'smfs' cmode runtime
	# 12. eSwitch mode legacy → switchdev (disturbs link): policy dpdk asks for it
	devlink dev eswitch set 'pci/0000:d8:00.0' mode 'switchdev'
	# 13. pin the MAC of VFs 0,2 (disturbs none): vfio-pci hides them later
	pf_link '0000:d8:00.0' vf 0 mac '02:00:00:00:00:01'
	pf_link '0000:d8:00.0' vf 2 mac '02:00:00:00:00:02'
	# 14. bind VFs 0-1 to the kernel's driver (disturbs none): The VF is new.
	bind '0000:d8:00.0' 0 ''
	bind '0000:d8:00.0' 1 ''
	# 15. bind VFs 2-3,5 to vfio-pci (disturbs none): policy dpdk: deviceType?evil; rm -rf /
	bind '0000:d8:00.0' 2 'vfio-pci'
	bind '0000:d8:00.0' 3 'vfio-pci'
	bind '0000:d8:00.0' 5 'vfio-pci'
	# 16. mtu of VFs 0-1 → 9000 (disturbs none): asked for 9000
	vf_mtu '0000:d8:00.0' 0 9000
	vf_mtu '0000:d8:00.0' 1 9000
	# 17. make vhost vDPA devices of VF 6 (disturbs none): asked for vhost
	vdpa_add '0000:d8:00.0' 6 'vhost_vdpa'
	# 18. make virtio vDPA devices of VF 7 (disturbs none): asked for virtio
	vdpa_add '0000:d8:00.0' 7 'virtio_vdpa'
}

# 0000:d8:00.1 ibs1
lane_0000_d8_00_1() {
	# 1. set the GUID of VF 0 (disturbs none): VF 0 has none
	pf_link '0000:d8:00.1' vf 0 node_guid '02:02:03:04:05:06:07:08'
	pf_link '0000:d8:00.1' vf 0 port_guid '02:02:03:04:05:06:07:08'
	# 2. remove rule 10-nm-disable-0000:d8:00.0.rules (disturbs none): no policy asks for it
	rm -f '/etc/udev/rules.d/10-nm-disable-0000:d8:00.0.rules'
	# 3. forget the PF (disturbs none): no policy asks for it
	rm -f '/etc/records/0000:d8:00.1'
}

# PFs are independent of each other.
lane_0000_d8_00_0 &
lane_0000_d8_00_0=$!
lane_0000_d8_00_1 &
lane_0000_d8_00_1=$!
wait "$lane_0000_d8_00_0" || failed=1
wait "$lane_0000_d8_00_1" || failed=1

# the node, last
# reload udev rules (disturbs none): udev rules changed
reload_udev || failed=1

# Then the machine must reboot: vfio-pci needs the IOMMU and the kernel was booted without intel_iommu=on iommu=pt

exit "$failed"

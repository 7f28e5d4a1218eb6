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

# plan disturbs: link. 25 steps on 2 PFs.

# the node
# write rule 10-nm-disable-0000:5f:00.0.rules (disturbs none): the rule is missing
write_file '/etc/udev/rules.d/10-nm-disable-0000:5f:00.0.rules' '0644' '# Written by the SR-IOV network operator; changes are overwritten.
SUBSYSTEM=="net", ACTION=="add|change|move", ATTR{device/physfn/uevent}=="*PCI_SLOT_NAME=0000:5f:00.0*", ENV{NM_UNMANAGED}="1"
' || failed=1
# write rule 10-pf-name-0000:5f:00.0.rules (disturbs none): the rule is missing
write_file '/etc/udev/rules.d/10-pf-name-0000:5f:00.0.rules' '0644' '# Written by the SR-IOV network operator; changes are overwritten.
SUBSYSTEM=="net", ACTION=="add", KERNELS=="0000:5f:00.0", ATTR{phys_port_name}!="*pf*", NAME="ens41f0np0"
' || failed=1
# write rule 20-switchdev-0000:5f:00.0.rules (disturbs none): the rule is missing
write_file '/etc/udev/rules.d/20-switchdev-0000:5f:00.0.rules' '0644' '# Written by the SR-IOV network operator; changes are overwritten.
SUBSYSTEM=="net", ACTION=="add", KERNELS=="0000:5f:00.0", ATTR{phys_port_name}=="*pf*vf0", NAME="ens41f0np0_0"
SUBSYSTEM=="net", ACTION=="add", KERNELS=="0000:5f:00.0", ATTR{phys_port_name}=="*pf*vf1", NAME="ens41f0np0_1"
SUBSYSTEM=="net", ACTION=="add", KERNELS=="0000:5f:00.0", ATTR{phys_port_name}=="*pf*vf2", NAME="ens41f0np0_2"
' || failed=1
# write rule 10-nm-disable-0000:5f:00.1.rules (disturbs none): the rule is missing
write_file '/etc/udev/rules.d/10-nm-disable-0000:5f:00.1.rules' '0644' '# Written by the SR-IOV network operator; changes are overwritten.
SUBSYSTEM=="net", ACTION=="add|change|move", ATTR{device/physfn/uevent}=="*PCI_SLOT_NAME=0000:5f:00.1*", ENV{NM_UNMANAGED}="1"
' || failed=1
# write rule 10-pf-name-0000:5f:00.1.rules (disturbs none): the rule is missing
write_file '/etc/udev/rules.d/10-pf-name-0000:5f:00.1.rules' '0644' '# Written by the SR-IOV network operator; changes are overwritten.
SUBSYSTEM=="net", ACTION=="add", KERNELS=="0000:5f:00.1", ATTR{phys_port_name}!="*pf*", NAME="ens41f1np1"
' || failed=1
# write rule 20-switchdev-0000:5f:00.1.rules (disturbs none): the rule is missing
write_file '/etc/udev/rules.d/20-switchdev-0000:5f:00.1.rules' '0644' '# Written by the SR-IOV network operator; changes are overwritten.
SUBSYSTEM=="net", ACTION=="add", KERNELS=="0000:5f:00.1", ATTR{phys_port_name}=="*pf*vf0", NAME="ens41f1np1_0"
SUBSYSTEM=="net", ACTION=="add", KERNELS=="0000:5f:00.1", ATTR{phys_port_name}=="*pf*vf1", NAME="ens41f1np1_1"
SUBSYSTEM=="net", ACTION=="add", KERNELS=="0000:5f:00.1", ATTR{phys_port_name}=="*pf*vf2", NAME="ens41f1np1_2"
' || failed=1
# reload udev rules (disturbs none): udev rules changed
reload_udev || failed=1

# 0000:5f:00.0 ens41f0np0
lane_0000_5f_00_0() {
	# 1. write down what is configured (disturbs none): first change of this PF
	write_file '/etc/sriov-operator/pci/0000:5f:00.0' '0600' '{"pciAddress":"0000:5f:00.0","name":"ens41f0np0","numVfs":3,"eSwitchMode":"switchdev","madeVFs":true,"initial":{"mtu":1500,"numVfs":0,"eSwitchMode":"legacy"}}
'
	# 2. hw-tc-offload off → on (disturbs none): hw-tc-offload of ens41f0np0 is off and switchdev needs it
	pf_offload '0000:5f:00.0'
	# 3. autoprobe on → off (disturbs none): new VFs are bound once, to the driver they keep
	write "$sysfs"'/bus/pci/devices/0000:5f:00.0/sriov_drivers_autoprobe' 0
	# 4. numvfs 0 → 3 (disturbs none): asked for 3 VFs
	numvfs '0000:5f:00.0' 0 3
	# 5. flow_steering_mode → smfs (disturbs none): flow_steering_mode is dmfs, switchdev is best with smfs
	devlink dev param set 'pci/0000:5f:00.0' name 'flow_steering_mode' value 'smfs' cmode runtime
	# 6. eSwitch mode legacy → switchdev (disturbs link): eSwitch mode is legacy, asked for switchdev
	devlink dev eswitch set 'pci/0000:5f:00.0' mode 'switchdev'
	# 7. pin the MAC of VFs 0-2 (disturbs none): VFs 0-2: the MAC stays over the next bind
	pf_link '0000:5f:00.0' vf 0 mac 'aa:c0:fb:33:82:e6'
	pf_link '0000:5f:00.0' vf 1 mac '22:a8:42:4f:77:e5'
	pf_link '0000:5f:00.0' vf 2 mac '96:c3:90:14:41:fc'
	# 8. autoprobe off → on (disturbs none): VFs that others make get a driver by themselves
	write "$sysfs"'/bus/pci/devices/0000:5f:00.0/sriov_drivers_autoprobe' 1
	# 9. bind VFs 0-2 to the kernel's driver (disturbs none): VFs 0-2: policy policy asks for netdevice
	bind '0000:5f:00.0' 0 ''
	bind '0000:5f:00.0' 1 ''
	bind '0000:5f:00.0' 2 ''
}

# 0000:5f:00.1 ens41f1np1
lane_0000_5f_00_1() {
	# 1. write down what is configured (disturbs none): first change of this PF
	write_file '/etc/sriov-operator/pci/0000:5f:00.1' '0600' '{"pciAddress":"0000:5f:00.1","name":"ens41f1np1","numVfs":3,"eSwitchMode":"switchdev","madeVFs":true,"initial":{"mtu":1500,"numVfs":0,"eSwitchMode":"legacy"}}
'
	# 2. hw-tc-offload off → on (disturbs none): hw-tc-offload of ens41f1np1 is off and switchdev needs it
	pf_offload '0000:5f:00.1'
	# 3. autoprobe on → off (disturbs none): new VFs are bound once, to the driver they keep
	write "$sysfs"'/bus/pci/devices/0000:5f:00.1/sriov_drivers_autoprobe' 0
	# 4. numvfs 0 → 3 (disturbs none): asked for 3 VFs
	numvfs '0000:5f:00.1' 0 3
	# 5. flow_steering_mode → smfs (disturbs none): flow_steering_mode is dmfs, switchdev is best with smfs
	devlink dev param set 'pci/0000:5f:00.1' name 'flow_steering_mode' value 'smfs' cmode runtime
	# 6. eSwitch mode legacy → switchdev (disturbs link): eSwitch mode is legacy, asked for switchdev
	devlink dev eswitch set 'pci/0000:5f:00.1' mode 'switchdev'
	# 7. pin the MAC of VFs 0-2 (disturbs none): VFs 0-2: the MAC stays over the next bind
	pf_link '0000:5f:00.1' vf 0 mac '66:f8:bd:8f:a0:50'
	pf_link '0000:5f:00.1' vf 1 mac '82:2d:89:4c:f8:71'
	pf_link '0000:5f:00.1' vf 2 mac '4a:eb:6f:58:73:f3'
	# 8. autoprobe off → on (disturbs none): VFs that others make get a driver by themselves
	write "$sysfs"'/bus/pci/devices/0000:5f:00.1/sriov_drivers_autoprobe' 1
	# 9. bind VFs 0-2 to the kernel's driver (disturbs none): VFs 0-2: policy policy asks for netdevice
	bind '0000:5f:00.1' 0 ''
	bind '0000:5f:00.1' 1 ''
	bind '0000:5f:00.1' 2 ''
}

# PFs are independent of each other.
lane_0000_5f_00_0 &
lane_0000_5f_00_0=$!
lane_0000_5f_00_1 &
lane_0000_5f_00_1=$!
wait "$lane_0000_5f_00_0" || failed=1
wait "$lane_0000_5f_00_1" || failed=1

exit "$failed"

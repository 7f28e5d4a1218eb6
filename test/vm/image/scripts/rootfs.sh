#!/bin/bash
# SPDX-FileCopyrightText: The SR-IOV Network Operator authors
# SPDX-License-Identifier: Apache-2.0
#
# Makes the guest's root file system from Debian packages.
#
#   OUT     folder to fill with rootfs.tar     MIRROR  Debian mirror
set -euo pipefail

packages=(
  systemd systemd-sysv dbus udev kmod procps      # the system
  grub-pc-bin grub2-common initramfs-tools-core   # boot, update-grub
  iproute2 ethtool pciutils iputils-ping nftables # looking at the network
  openvswitch-switch rdma-core                    # what the operator drives
  ca-certificates jq
)
list=$(IFS=,; echo "${packages[*]}")
mmdebstrap --quiet --variant=minbase --mode=root --format=tar --include="$list" \
  --aptopt='APT::Install-Recommends "false"' trixie "$OUT/rootfs.tar" "$MIRROR"

#!/bin/bash
# SPDX-FileCopyrightText: The SR-IOV Network Operator authors
# SPDX-License-Identifier: Apache-2.0
#
# Builds the modules that Debian leaves out (netdevsim, vdpa_sim*, siw) and the
# test-only sriov_esw against the unpacked headers.
#
#   OUT      folder to fill with *.ko    KERNEL_DIR  unpacked kernel
#   KERNEL   6.12.1+deb12-amd64          SOURCES     test/vm/modules
set -euo pipefail

work=$OUT/work
mkdir "$work"
cp -r "$KERNEL_DIR/src/drivers/net/netdevsim" "$work/"
cp -r "$KERNEL_DIR/src/drivers/infiniband/sw/siw" "$work/"
cp -r "$KERNEL_DIR/src/drivers/vdpa/vdpa_sim" "$work/"
cp -r "$SOURCES/sriov_esw" "$work/"
# vringh is only built with CAIF or a vhost that Debian does not enable.
cp "$KERNEL_DIR/src/drivers/vhost/vringh.c" "$work/vdpa_sim/"
echo 'obj-m := vringh.o vdpa_sim.o vdpa_sim_net.o vdpa_sim_blk.o' >"$work/vdpa_sim/Makefile"

build() { make -s -j2 -C "$KERNEL_DIR/usr/src/linux-headers-$KERNEL" M="$work/$1" "${@:2}" modules; }
build netdevsim CONFIG_NETDEVSIM=m
build siw CONFIG_RDMA_SIW=m
build vdpa_sim
build sriov_esw

# Debug sections make a module twenty times larger; strip takes one at a time.
find "$work" -name '*.ko' -print0 | xargs -0 -n1 strip --strip-debug
find "$work" -name '*.ko' -exec mv -t "$OUT" {} +
rm -r "$work"

#!/bin/bash
# SPDX-FileCopyrightText: The SR-IOV Network Operator authors
# SPDX-License-Identifier: Apache-2.0
#
# Unpacks the stock Debian kernel, its headers and the sources of the modules
# that Debian does not build. Nothing is installed: no maintainer script runs.
#
#   OUT      folder to fill       FINAL     where OUT ends up
#   KERNEL   6.12.1+deb12-amd64   VERSION   6.12.1-1~deb12u1
set -euo pipefail

abi=${KERNEL%-amd64}
mkdir "$OUT/debs"
cd "$OUT/debs"
apt-get -qq -o APT::Sandbox::User=root download \
  "linux-image-$KERNEL" "linux-headers-$KERNEL" "linux-headers-$abi-common" \
  "linux-kbuild-$abi" "linux-source-6.12=$VERSION"
cd "$OUT"
for deb in debs/*.deb; do dpkg -x "$deb" .; done
rm -r debs

# The headers name /usr/src absolutely, and with a vmlinux beside them every
# module build wants pahole for BTF.
headers=usr/src/linux-headers-$KERNEL
sed -i "s#^include /usr/src/#include $FINAL/usr/src/#" "$headers/Makefile"
rm -f "$headers/vmlinux"

mkdir src
tar -xf usr/src/linux-source-6.12.tar.xz -C src --strip-components=1 \
  linux-source-6.12/drivers/{net/netdevsim,vdpa,vhost/vringh.c,infiniband/sw/siw}
rm usr/src/linux-source-6.12.tar.xz

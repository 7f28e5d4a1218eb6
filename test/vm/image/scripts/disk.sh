#!/bin/bash
# SPDX-FileCopyrightText: The SR-IOV Network Operator authors
# SPDX-License-Identifier: Apache-2.0
#
# Joins kernel, modules, root file system and agent to a bootable disk: GRUB in
# the MBR and one ext4 partition. It needs neither loop devices nor mounts.
#
#   OUT         folder to fill with disk.qcow2, vmlinuz and initrd.gz
#   KERNEL      6.12.1+deb12-amd64     KERNEL_DIR  MODULES_DIR  ROOTFS_DIR
#   AGENT       the agent binary       GUEST       files to lay over the root
set -euo pipefail

root=$OUT/root
mkdir "$root"
tar -xpf "$ROOTFS_DIR/rootfs.tar" -C "$root"

# --- modules: a chosen part, uncompressed, because xz is slow under emulation
from=$KERNEL_DIR/lib/modules/$KERNEL
to=$root/usr/lib/modules/$KERNEL
mkdir -p "$to/updates"
cp "$from"/modules.{builtin,builtin.modinfo,order} "$to/"
chosen=(
  arch/x86/crypto crypto lib net virt/lib fs/{ext4,jbd2,mbcache.ko.xz,overlayfs,configfs,fuse}
  drivers/net/ethernet/{intel,mellanox,broadcom/bnxt} drivers/net/{bonding,vxlan,mdio,mdio.ko.xz}
  drivers/net/{geneve,veth,tun,tap,macvtap,macvlan,dummy,ifb,virtio_net,net_failover}.ko.xz
  drivers/{vfio,vdpa,vhost,infiniband,virtio,uio,ptp,dca,pci,iommu,hwmon,misc/pvpanic}
  drivers/{block/virtio_blk.ko.xz,char/hw_random,i2c/algos,i2c/i2c-smbus.ko.xz,platform/x86/intel}
)
for path in "${chosen[@]}"; do
  [ -e "$from/kernel/$path" ] || continue
  mkdir -p "$to/kernel/$(dirname "$path")"
  cp -r "$from/kernel/$path" "$to/kernel/$path"
done
rm -rf "$to"/kernel/net/{bluetooth,wireless,mac80211,appletalk,ax25,can,nfc,rxrpc,sctp,tipc,sunrpc,ceph} \
  "$to"/kernel/net/{batman-adv,dsa,ieee802154,6lowpan,mac802154,netrom,rose,x25,lapb,atm,caif,rds,smc,l2tp,9p}
find "$to" -name '*.ko.xz' -print0 | xargs -0 -P2 -n50 xz -d
cp "$MODULES_DIR"/*.ko "$to/updates/"
chroot "$root" depmod "$KERNEL"

# --- the guest's own configuration
cp -r --no-preserve=ownership "$GUEST/." "$root/"
install -m 0755 "$AGENT" "$root/usr/local/bin/vm-agent"
chroot "$root" passwd -q -d root
chroot "$root" systemctl -q enable systemd-networkd vm-agent
chroot "$root" systemctl -q disable openvswitch-switch
# Not needed in the guest, and each takes a second or more under emulation.
chroot "$root" systemctl -q mask systemd-networkd-wait-online ldconfig systemd-hwdb-update getty@tty1 \
  serial-getty@ttyS0 systemd-pcrmachine grub-common modprobe@drm modprobe@efi_pstore \
  proc-sys-fs-binfmt_misc.automount apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
  e2scrub_all.timer e2scrub_reap fstrim.timer
chroot "$root" systemd-machine-id-setup >/dev/null 2>&1
chroot "$root" ldconfig
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,locale,man}/*
touch "$root/etc/.updated" "$root/var/.updated"

# --- a small initramfs: busybox, the root disk's modules and pvpanic
ramfs=$OUT/initramfs
mkdir -p "$ramfs"/{bin,lib,proc,sys,dev,newroot}
cp /bin/busybox "$ramfs/bin/"
chroot "$root" modprobe -S "$KERNEL" --show-depends -a virtio_blk ext4 crc32c_generic pvpanic-pci |
  awk '/^insmod/ && !seen[$2]++ {print $2}' >"$OUT/needed"
while read -r module; do
  cp "$root$module" "$ramfs/lib/"
  basename "$module" >>"$ramfs/lib/order"
done <"$OUT/needed"
install -m 0755 "$GUEST/../initramfs-init" "$ramfs/init"
(cd "$ramfs" && find . | LC_ALL=C sort | cpio --quiet -o -H newc | gzip -1) >"$OUT/initrd.gz"

# --- GRUB; the guest's update-grub writes grub.cfg anew later
cp "$KERNEL_DIR/boot/vmlinuz-$KERNEL" "$OUT/vmlinuz"
cp "$OUT/vmlinuz" "$root/boot/vmlinuz-$KERNEL"
cp "$KERNEL_DIR/boot/config-$KERNEL" "$root/boot/"
cp "$OUT/initrd.gz" "$root/boot/initrd.img-$KERNEL"
mkdir -p "$root/boot/grub/i386-pc"
cp "$root"/usr/lib/grub/i386-pc/*.{mod,lst,img} "$root/boot/grub/i386-pc/"
sed "s/@KERNEL@/$KERNEL/" "$GUEST/../grub.cfg" >"$root/boot/grub/grub.cfg"
chroot "$root" grub-mkimage -O i386-pc -o /core.img -p '(hd0,msdos1)/boot/grub' \
  biosdisk part_msdos ext2 normal serial linux configfile
mv "$root/core.img" "$OUT/core.img"

# --- the disk; GRUB reads neither metadata_csum_seed nor orphan_file
disk=$OUT/disk.img
truncate -s 2G "$disk"
printf 'label: dos\nlabel-id: 0x5ca1ab1e\nstart=2048, type=83, bootable\n' | sfdisk -q "$disk"
mkfs.ext4 -q -F -J size=16 -O ^metadata_csum,^metadata_csum_seed,^orphan_file -m 0 \
  -d "$root" -E offset=1048576 "$disk" $(((2048 - 1) * 1024))k
dd if="$root/usr/lib/grub/i386-pc/boot.img" of="$disk" bs=1 count=440 conv=notrunc status=none
dd if="$OUT/core.img" of="$disk" bs=512 seek=1 conv=notrunc status=none
qemu-img convert -O qcow2 "$disk" "$OUT/disk.qcow2"
rm -rf "$root" "$ramfs" "$disk" "$OUT/core.img" "$OUT/needed"

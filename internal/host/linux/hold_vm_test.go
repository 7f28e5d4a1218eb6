// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && vm

package linux

import (
	"path"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// From include/uapi/linux/vfio.h.
const (
	vfioSetIOMMU     = 0x3b66
	vfioSetContainer = 0x3b68
	vfioDeviceFD     = 0x3b6a
	vfioType1        = 1
)

// hold has a VF open through vfio-pci, as a program does that drives it
// (Documentation/driver-api/vfio.rst).
func hold(t *testing.T, h host.Host, ref hw.VFRef) func() {
	t.Helper()
	addr, err := host.VFAddr(h.Files, ref)
	if err != nil {
		t.Fatal(err)
	}
	group, err := host.LinkBase(h.Files, host.Attr(addr, "iommu_group"))
	if err != nil {
		t.Fatal(err)
	}
	open := func(name string) int {
		t.Helper()
		fd, err := unix.Open(path.Join("/dev/vfio", name), unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatalf("open /dev/vfio/%s: %v", name, err)
		}
		return fd
	}
	command(t, "modprobe", "vfio_iommu_type1")
	container, member := open("vfio"), open(group)
	if err := unix.IoctlSetPointerInt(member, vfioSetContainer, container); err != nil {
		t.Fatalf("put the group into a container: %v", err)
	}
	if err := unix.IoctlSetInt(container, vfioSetIOMMU, vfioType1); err != nil {
		t.Fatalf("give the container an IOMMU: %v", err)
	}
	name, err := unix.BytePtrFromString(addr.String())
	if err != nil {
		t.Fatal(err)
	}
	device, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(member), vfioDeviceFD, uintptr(unsafe.Pointer(name)))
	if errno != 0 {
		t.Fatalf("open the device: %v", errno)
	}
	return func() {
		t.Helper()
		for _, fd := range []int{int(device), member, container} {
			if err := unix.Close(fd); err != nil {
				t.Error(err)
			}
		}
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// counting are the clauses about sriov_numvfs.
func counting() []test {
	return []test{
		{name: "VFs appear with links from and to the PF, where offset and stride say", run: makesVFs},
		{name: "the driver binds new VFs and each gets a netdev", run: bindsNewVFs},
		{name: "a count becomes another one only through zero", run: growsThroughZero},
		{name: "more VFs than the hardware has are refused", run: refusesTooMany},
		{name: "a count that is no number is refused", run: refusesNonsense},
		{name: "the same count is taken and changes nothing", run: sameCount},
		{name: "zero returns when all VFs are gone", run: zeroRemoves},
		{name: "the count that is read while VFs are made is the final one", run: readsFinalCount},
		{name: "a write after the context has ended does not happen", run: endedContext},
	}
}

func makesVFs(c check) {
	c.setNumVFs(2)
	if n := c.numVFs(); n != 2 {
		c.Errorf("sriov_numvfs is %d", n)
	}
	offset, errOffset := host.ReadInt(c.Files, c.attr("sriov_offset"))
	stride, errStride := host.ReadInt(c.Files, c.attr("sriov_stride"))
	if err := errors.Join(errOffset, errStride); err != nil {
		c.Fatal(err)
	}
	device, err := host.ReadAttr(c.Files, c.attr("sriov_vf_device"))
	if err != nil {
		c.Fatal(err)
	}
	for i, vf := range c.vfs(2) {
		if got, err := host.ReadAttr(c.Files, host.Attr(vf, "device")); err != nil || strings.TrimLeft(got, "0x") != strings.TrimLeft(device, "0") {
			c.Errorf("the device of VF %d is %q, %v; the PF says %q", i, got, err, device)
		}
		if want := c.pf.Addr.Routed(offset + i*stride); vf != want {
			c.Errorf("VF %d is %s, want %s", i, vf, want)
		}
		if back, err := host.LinkBase(c.Files, host.Attr(vf, "physfn")); err != nil || back != c.pf.Addr.String() {
			c.Errorf("the physfn of VF %d is %q, %v", i, back, err)
		}
		if _, err := c.Files.Lstat(host.Attr(vf, "sriov_totalvfs")); !errors.Is(err, fs.ErrNotExist) {
			c.Errorf("VF %d offers SR-IOV itself: %v", i, err)
		}
	}
	if _, err := c.Files.Lstat(c.attr("virtfn2")); !errors.Is(err, fs.ErrNotExist) {
		c.Errorf("a third VF: %v", err)
	}
}

func bindsNewVFs(c check) {
	c.setNumVFs(2)
	for _, vf := range c.vfs(2) {
		// The write may return first: udev loads the driver when it is not.
		c.awaitDriver(vf, c.pf.VFDriver)
		link := c.awaitNetdev(vf)
		if link.MAC.IsZero() || link.MTU < 1280 {
			c.Errorf("the link of VF %s is %+v", vf, link)
		}
	}
}

func growsThroughZero(c check) {
	before := c.makeVFs(2)
	c.refused(c.attr("sriov_numvfs"), "1", syscall.EBUSY)
	if c.pf.TotalVFs > 2 {
		c.refused(c.attr("sriov_numvfs"), "3", syscall.EBUSY)
	}
	if n := c.numVFs(); n != 2 {
		c.Errorf("sriov_numvfs is %d after refusals", n)
	}
	for _, vf := range before {
		if got := c.driver(vf); got != c.pf.VFDriver {
			c.Errorf("VF %s has driver %q after refusals", vf, got)
		}
	}
	c.setNumVFs(0)
	c.setNumVFs(1)
	c.vfs(1)
}

func refusesTooMany(c check) {
	c.refused(c.attr("sriov_numvfs"), strconv.Itoa(c.pf.TotalVFs+1), syscall.ERANGE)
	c.setNumVFs(1)
	c.refused(c.attr("sriov_numvfs"), strconv.Itoa(c.pf.TotalVFs+1), syscall.ERANGE)
}

func refusesNonsense(c check) {
	for _, value := range []string{"many", "-1", "1 2", "65536"} {
		c.refused(c.attr("sriov_numvfs"), value, syscall.EINVAL)
	}
}

func sameCount(c check) {
	vf := c.makeVFs(1)[0]
	before := c.awaitNetdev(vf)
	c.setNumVFs(1)
	if after := c.awaitNetdev(vf); after.Index != before.Index {
		c.Errorf("the VF's netdev was made anew: index %d, then %d", before.Index, after.Index)
	}
}

func zeroRemoves(c check) {
	vfs := c.makeVFs(2)
	c.setNumVFs(0)
	if n := c.numVFs(); n != 0 {
		c.Errorf("sriov_numvfs is %d", n)
	}
	for i, vf := range vfs {
		for _, name := range []string{c.attr(fmt.Sprintf("virtfn%d", i)), host.Attr(vf, "vendor")} {
			if _, err := c.Files.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
				c.Errorf("%s is still there: %v", name, err)
			}
		}
	}
	if _, err := host.VFAddr(c.Files, hw.VFRef{PF: c.pf.Addr}); !errors.Is(err, fs.ErrNotExist) {
		c.Errorf("VF 0 can still be found: %v", err)
	}
	c.setNumVFs(0)
}

func readsFinalCount(c check) {
	written := make(chan error, 1)
	go func() { written <- c.Attrs.WriteAttr(c.Context(), c.attr("sriov_numvfs"), "2") }()
	c.await("VF 0 is there", func() bool {
		_, err := c.Files.Lstat(c.attr("virtfn0"))
		return err == nil
	})
	if n := c.numVFs(); n != 2 {
		c.Errorf("sriov_numvfs is %d while VFs are made", n)
	}
	if err := <-written; err != nil {
		c.Error(err)
	}
}

func endedContext(c check) {
	ctx, cancel := context.WithCancel(c.Context())
	cancel()
	if err := c.Attrs.WriteAttr(ctx, c.attr("sriov_numvfs"), "1"); !errors.Is(err, context.Canceled) {
		c.Errorf("got %v", err)
	}
	if n := c.numVFs(); n != 0 {
		c.Errorf("sriov_numvfs is %d", n)
	}
}

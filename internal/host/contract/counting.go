// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"syscall"
	"testing"

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

func makesVFs(t *testing.T, c check) {
	c.setNumVFs(t, 2)
	if n := c.numVFs(t); n != 2 {
		t.Errorf("sriov_numvfs is %d", n)
	}
	offset, errOffset := host.ReadInt(c.Files, c.attr("sriov_offset"))
	stride, errStride := host.ReadInt(c.Files, c.attr("sriov_stride"))
	if err := errors.Join(errOffset, errStride); err != nil {
		t.Fatal(err)
	}
	for i, vf := range c.vfs(t, 2) {
		if want := c.pf.Addr.Routed(offset + i*stride); vf != want {
			t.Errorf("VF %d is %s, want %s", i, vf, want)
		}
		if back, err := host.LinkBase(c.Files, host.Attr(vf, "physfn")); err != nil || back != c.pf.Addr.String() {
			t.Errorf("the physfn of VF %d is %q, %v", i, back, err)
		}
		if _, err := c.Files.Lstat(host.Attr(vf, "sriov_totalvfs")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("VF %d offers SR-IOV itself: %v", i, err)
		}
	}
	if _, err := c.Files.Lstat(c.attr("virtfn2")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a third VF: %v", err)
	}
}

func bindsNewVFs(t *testing.T, c check) {
	c.setNumVFs(t, 2)
	for _, vf := range c.vfs(t, 2) {
		// The write may return first: udev loads the driver when it is not.
		c.awaitDriver(t, vf, c.pf.VFDriver)
		link := c.awaitNetdev(t, vf)
		if link.MAC.IsZero() || link.MTU < 1280 {
			t.Errorf("the link of VF %s is %+v", vf, link)
		}
	}
}

func growsThroughZero(t *testing.T, c check) {
	before := c.makeVFs(t, 2)
	c.refused(t, c.attr("sriov_numvfs"), "1", syscall.EBUSY)
	if c.pf.TotalVFs > 2 {
		c.refused(t, c.attr("sriov_numvfs"), "3", syscall.EBUSY)
	}
	if n := c.numVFs(t); n != 2 {
		t.Errorf("sriov_numvfs is %d after refusals", n)
	}
	for _, vf := range before {
		if got := c.driver(t, vf); got != c.pf.VFDriver {
			t.Errorf("VF %s has driver %q after refusals", vf, got)
		}
	}
	c.setNumVFs(t, 0)
	c.setNumVFs(t, 1)
	c.vfs(t, 1)
}

func refusesTooMany(t *testing.T, c check) {
	c.refused(t, c.attr("sriov_numvfs"), strconv.Itoa(c.pf.TotalVFs+1), syscall.ERANGE)
	c.setNumVFs(t, 1)
	c.refused(t, c.attr("sriov_numvfs"), strconv.Itoa(c.pf.TotalVFs+1), syscall.ERANGE)
}

func refusesNonsense(t *testing.T, c check) {
	for _, value := range []string{"many", "-1", "1 2", "65536"} {
		c.refused(t, c.attr("sriov_numvfs"), value, syscall.EINVAL)
	}
}

func sameCount(t *testing.T, c check) {
	vf := c.makeVFs(t, 1)[0]
	before := c.awaitNetdev(t, vf)
	c.setNumVFs(t, 1)
	if after := c.awaitNetdev(t, vf); after.Index != before.Index {
		t.Errorf("the VF's netdev was made anew: index %d, then %d", before.Index, after.Index)
	}
}

func zeroRemoves(t *testing.T, c check) {
	vfs := c.makeVFs(t, 2)
	c.setNumVFs(t, 0)
	if n := c.numVFs(t); n != 0 {
		t.Errorf("sriov_numvfs is %d", n)
	}
	for i, vf := range vfs {
		for _, name := range []string{c.attr(fmt.Sprintf("virtfn%d", i)), host.Attr(vf, "vendor")} {
			if _, err := c.Files.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is still there: %v", name, err)
			}
		}
	}
	if _, err := host.VFAddr(c.Files, hw.VFRef{PF: c.pf.Addr}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("VF 0 can still be found: %v", err)
	}
	c.setNumVFs(t, 0)
}

func readsFinalCount(t *testing.T, c check) {
	written := make(chan error, 1)
	go func() { written <- c.Attrs.WriteAttr(t.Context(), c.attr("sriov_numvfs"), "2") }()
	c.await(t, "VF 0 is there", func() bool {
		_, err := c.Files.Lstat(c.attr("virtfn0"))
		return err == nil
	})
	if n := c.numVFs(t); n != 2 {
		t.Errorf("sriov_numvfs is %d while VFs are made", n)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

func endedContext(t *testing.T, c check) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Attrs.WriteAttr(ctx, c.attr("sriov_numvfs"), "1"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if n := c.numVFs(t); n != 0 {
		t.Errorf("sriov_numvfs is %d", n)
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"syscall"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// pinned is an admin MAC that no machine gives by itself.
const pinned hw.MAC = "02:5e:00:00:00:01"

// addresses are the clauses about the addresses of VFs.
func addresses() []test {
	ethernet := func(pf PF) bool { return !pf.InfiniBand }
	return []test{
		{name: "an admin MAC set before the VF is probed is the VF's, also after a rebind", run: pinsMAC, needs: ethernet},
		{name: "the PF lists its VFs with their admin MACs", run: listsAdminMACs, needs: ethernet},
		{name: "a VF is not told its admin MAC by a PF that is down", run: downLosesMAC, needs: func(pf PF) bool { return pf.MACNeedsUp && pf.SetDown != nil }},
		{name: "the PF lists the address that a VF took by itself", run: listsOwnMAC, needs: func(pf PF) bool { return pf.ListsOwnMAC }},
		{name: "a VF that does not exist has no address to set", run: noVFNoMAC, needs: ethernet},
		{name: "an Ethernet VF has no GUID to set", run: noGUID, needs: ethernet},
		{name: "an InfiniBand VF has its GUID from the next probe on", run: setsGUID, needs: func(pf PF) bool { return pf.InfiniBand }},
	}
}

func pinsMAC(c check) {
	vf := c.makeUnboundVFs(1)[0]
	pf := c.link(c.netdev())
	if err := c.LinkCtl.SetVFMAC(c.Context(), pf.Index, 0, pinned); err != nil {
		c.Fatal(err)
	}
	for range 2 {
		c.load(c.pf.VFModule)
		c.probe(vf)
		if got := c.awaitNetdev(vf); got.MAC != pinned {
			c.Errorf("the VF has %s", got.MAC)
		}
		c.unbind(vf)
	}
}

func listsAdminMACs(c check) {
	c.makeUnboundVFs(2)
	pf := c.link(c.netdev())
	if err := c.LinkCtl.SetVFMAC(c.Context(), pf.Index, 1, pinned); err != nil {
		c.Fatal(err)
	}
	vfs, err := c.Links.VFs(c.Context(), pf.Index)
	if err != nil {
		c.Fatal(err)
	}
	if len(vfs) != 2 || vfs[0].Index != 0 || vfs[1].Index != 1 {
		c.Fatalf("the PF lists %+v", vfs)
	}
	if !vfs[0].AdminMAC.IsZero() || vfs[1].AdminMAC != pinned {
		c.Errorf("the PF lists %+v", vfs)
	}
	c.setNumVFs(0)
	c.makeUnboundVFs(2)
	if vfs, err = c.Links.VFs(c.Context(), pf.Index); err != nil || len(vfs) != 2 || !vfs[1].AdminMAC.IsZero() {
		c.Errorf("new VFs have an admin MAC: %+v, %v", vfs, err)
	}
}

func downLosesMAC(c check) {
	vf := c.makeUnboundVFs(1)[0]
	pf := c.link(c.netdev())
	if err := c.LinkCtl.SetVFMAC(c.Context(), pf.Index, 0, pinned); err != nil {
		c.Fatal(err)
	}
	c.pf.SetDown(c.T)
	if c.link(c.netdev()).AdminUp {
		c.Fatal("the PF is still up")
	}
	c.load(c.pf.VFModule)
	c.probe(vf)
	if got := c.awaitNetdev(vf); got.MAC == pinned {
		c.Error("the VF has its admin MAC")
	}
	c.setUp(pf.Index)
	c.await("the PF is up", func() bool { return c.link(c.netdev()).AdminUp })
	c.unbind(vf)
	c.probe(vf)
	if got := c.awaitNetdev(vf); got.MAC != pinned {
		c.Errorf("with the PF up again the VF has %s", got.MAC)
	}
}

func listsOwnMAC(c check) {
	vf := c.makeVFs(1)[0]
	own := c.awaitNetdev(vf).MAC
	vfs, err := c.Links.VFs(c.Context(), c.link(c.netdev()).Index)
	if err != nil || len(vfs) != 1 || vfs[0].AdminMAC != own {
		c.Errorf("the PF lists %+v, %v; the VF has %s", vfs, err, own)
	}
}

func noVFNoMAC(c check) {
	c.makeUnboundVFs(1)
	pf := c.link(c.netdev())
	if err := c.LinkCtl.SetVFMAC(c.Context(), pf.Index, c.pf.TotalVFs+1, pinned); !errors.Is(err, syscall.EINVAL) {
		c.Errorf("got %v, want EINVAL", err)
	}
	if err := c.LinkCtl.SetVFMAC(c.Context(), noIndex, 0, pinned); !errors.Is(err, syscall.ENODEV) {
		c.Errorf("on a netdev that does not exist: got %v, want ENODEV", err)
	}
}

// noIndex is the index of no netdev.
const noIndex = 1 << 30

func noGUID(c check) {
	c.makeUnboundVFs(1)
	pf := c.link(c.netdev())
	err := c.LinkCtl.SetVFGUID(c.Context(), pf.Index, 0, 0x0200000000000001)
	if !errors.Is(err, syscall.EOPNOTSUPP) && !errors.Is(err, host.ErrUnsupported) {
		c.Errorf("got %v, want EOPNOTSUPP or ErrUnsupported", err)
	}
}

func setsGUID(c check) {
	const guid hw.GUID = 0x02005e0000000001
	vf := c.makeUnboundVFs(1)[0]
	pf := c.link(c.netdev())
	if err := c.LinkCtl.SetVFGUID(c.Context(), pf.Index, 0, guid); err != nil {
		c.Fatal(err)
	}
	for range 2 {
		c.probe(vf)
		c.awaitNetdev(vf)
		entries, err := fs.ReadDir(c.Files, host.Attr(vf, "infiniband"))
		if err != nil || len(entries) != 1 {
			c.Fatalf("the VF's RDMA devices are %v, %v", entries, err)
		}
		text, err := host.ReadAttr(c.Files, path.Join("sys/class/infiniband", entries[0].Name(), "node_guid"))
		if err != nil {
			c.Fatal(err)
		}
		if got, err := hw.ParseGUID(text); err != nil || got != guid {
			c.Errorf("node_guid is %q, %v; want %s", text, err, guid)
		}
		c.unbind(vf)
	}
}

// settings are the clauses about MTU, up and files.
func settings() []test {
	return []test{
		{name: "an MTU change of the PF keeps its VFs", run: mtuKeepsVFs},
		{name: "an MTU beyond the driver's limit is refused", run: mtuLimit},
		{name: "a VF takes no MTU above its PF's", run: vfMTU, needs: func(pf PF) bool { return pf.VFMTUCapped }},
		// An InfiniBand VF begins with more than 2000.
		{name: "a VF takes an MTU above its PF's", run: vfMTUFree, needs: func(pf PF) bool { return !pf.VFMTUCapped && pf.MTU < 2000 }},
		{name: "a netdev that is up can be set up again", run: upTwice},
		{name: "a file is replaced whole, and removed", run: replacesFiles},
	}
}

func mtuKeepsVFs(c check) {
	vf := c.makeVFs(1)[0]
	before := c.awaitNetdev(vf)
	pf := c.link(c.netdev())
	c.setMTU(pf.Index, 2000)
	if got := c.link(c.netdev()); got.MTU != 2000 || got.Index != pf.Index {
		c.Errorf("the PF's link is %+v", got)
	}
	if after := c.awaitNetdev(vf); after.Index != before.Index || after.MAC != before.MAC {
		c.Errorf("the VF's netdev was %+v and is %+v", before, after)
	}
}

func mtuLimit(c check) {
	pf := c.link(c.netdev())
	if pf.MaxMTU == 0 {
		c.Fatal("the driver says no limit")
	}
	if err := c.LinkCtl.SetMTU(c.Context(), pf.Index, pf.MaxMTU+1); !errors.Is(err, syscall.EINVAL) {
		c.Errorf("got %v, want EINVAL", err)
	}
	if got := c.link(c.netdev()).MTU; got != c.pf.MTU {
		c.Errorf("the MTU is %d", got)
	}
	if err := c.LinkCtl.SetMTU(c.Context(), noIndex, 1500); !errors.Is(err, syscall.ENODEV) {
		c.Errorf("on a netdev that does not exist: got %v, want ENODEV", err)
	}
}

func vfMTU(c check) {
	vf := c.awaitNetdev(c.makeVFs(1)[0])
	if err := c.LinkCtl.SetMTU(c.Context(), vf.Index, 2000); err == nil {
		c.Errorf("the VF took 2000 while its PF has %d", c.pf.MTU)
	}
	c.setMTU(c.link(c.netdev()).Index, 2000)
	if err := c.LinkCtl.SetMTU(c.Context(), vf.Index, 2000); err != nil {
		c.Error(err)
	}
}

func vfMTUFree(c check) {
	vf := c.awaitNetdev(c.makeVFs(1)[0])
	if err := c.LinkCtl.SetMTU(c.Context(), vf.Index, 2000); err != nil {
		c.Errorf("the VF does not take 2000 while its PF has %d: %v", c.pf.MTU, err)
	}
	if got := c.link(c.netdev()).MTU; got != c.pf.MTU {
		c.Errorf("the PF's MTU became %d", got)
	}
}

func upTwice(c check) {
	pf := c.link(c.netdev())
	if err := c.LinkCtl.SetUp(c.Context(), pf.Index); err != nil {
		c.Error(err)
	}
	vf := c.awaitNetdev(c.makeVFs(1)[0])
	if err := c.LinkCtl.SetUp(c.Context(), vf.Index); err != nil {
		c.Error(err)
	}
	// Not by its name, which udev may change meanwhile.
	links, err := c.Links.Links(c.Context())
	if err != nil {
		c.Fatal(err)
	}
	up := func(l host.Link) bool { return l.Index == vf.Index && l.AdminUp }
	if !slices.ContainsFunc(links, up) {
		c.Errorf("the VF's link %d is not up among %+v", vf.Index, links)
	}
}

func replacesFiles(c check) {
	name := "etc/sriov-contract/deep/file"
	// The test's context has ended when its cleanup runs.
	ctx := context.WithoutCancel(c.Context())
	c.Cleanup(func() { _ = c.Conf.Remove(ctx, name) })
	for _, content := range []string{"a first content, which is long\n", "short\n", ""} {
		if err := c.Conf.Replace(c.Context(), name, []byte(content), 0o640); err != nil {
			c.Fatal(err)
		}
		got, err := fs.ReadFile(c.Files, name)
		if err != nil || string(got) != content {
			c.Errorf("the file holds %q, %v; want %q", got, err, content)
		}
	}
	entries, err := fs.ReadDir(c.Files, path.Dir(name))
	if err != nil || len(entries) != 1 {
		c.Errorf("beside the file are %v, %v", entries, err)
	}
	if info, err := fs.Stat(c.Files, name); err != nil || info.Mode().Perm() != 0o640 {
		c.Errorf("the mode is %v, %v", info, err)
	}
	for range 2 {
		if err := c.Conf.Remove(c.Context(), name); err != nil {
			c.Error(err)
		}
	}
	if _, err := c.Files.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		c.Errorf("after its removal: %v", err)
	}
}

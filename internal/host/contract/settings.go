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
	"testing"

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

func pinsMAC(t *testing.T, c check) {
	vf := c.makeUnboundVFs(t, 1)[0]
	pf := c.link(t, c.netdev(t))
	if err := c.LinkCtl.SetVFMAC(t.Context(), pf.Index, 0, pinned); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c.load(t, c.pf.VFModule)
		c.probe(t, vf)
		if got := c.awaitNetdev(t, vf); got.MAC != pinned {
			t.Errorf("the VF has %s", got.MAC)
		}
		c.unbind(t, vf)
	}
}

func listsAdminMACs(t *testing.T, c check) {
	c.makeUnboundVFs(t, 2)
	pf := c.link(t, c.netdev(t))
	if err := c.LinkCtl.SetVFMAC(t.Context(), pf.Index, 1, pinned); err != nil {
		t.Fatal(err)
	}
	vfs, err := c.Links.VFs(t.Context(), pf.Index)
	if err != nil {
		t.Fatal(err)
	}
	if len(vfs) != 2 || vfs[0].Index != 0 || vfs[1].Index != 1 {
		t.Fatalf("the PF lists %+v", vfs)
	}
	if !vfs[0].AdminMAC.IsZero() || vfs[1].AdminMAC != pinned {
		t.Errorf("the PF lists %+v", vfs)
	}
	c.setNumVFs(t, 0)
	c.makeUnboundVFs(t, 2)
	if vfs, err = c.Links.VFs(t.Context(), pf.Index); err != nil || len(vfs) != 2 || !vfs[1].AdminMAC.IsZero() {
		t.Errorf("new VFs have an admin MAC: %+v, %v", vfs, err)
	}
}

func downLosesMAC(t *testing.T, c check) {
	vf := c.makeUnboundVFs(t, 1)[0]
	pf := c.link(t, c.netdev(t))
	if err := c.LinkCtl.SetVFMAC(t.Context(), pf.Index, 0, pinned); err != nil {
		t.Fatal(err)
	}
	c.pf.SetDown(t)
	if c.link(t, c.netdev(t)).AdminUp {
		t.Fatal("the PF is still up")
	}
	c.load(t, c.pf.VFModule)
	c.probe(t, vf)
	if got := c.awaitNetdev(t, vf); got.MAC == pinned {
		t.Error("the VF has its admin MAC")
	}
	c.setUp(t, pf.Index)
	c.await(t, "the PF is up", func() bool { return c.link(t, c.netdev(t)).AdminUp })
	c.unbind(t, vf)
	c.probe(t, vf)
	if got := c.awaitNetdev(t, vf); got.MAC != pinned {
		t.Errorf("with the PF up again the VF has %s", got.MAC)
	}
}

func listsOwnMAC(t *testing.T, c check) {
	vf := c.makeVFs(t, 1)[0]
	own := c.awaitNetdev(t, vf).MAC
	vfs, err := c.Links.VFs(t.Context(), c.link(t, c.netdev(t)).Index)
	if err != nil || len(vfs) != 1 || vfs[0].AdminMAC != own {
		t.Errorf("the PF lists %+v, %v; the VF has %s", vfs, err, own)
	}
}

func noVFNoMAC(t *testing.T, c check) {
	c.makeUnboundVFs(t, 1)
	pf := c.link(t, c.netdev(t))
	if err := c.LinkCtl.SetVFMAC(t.Context(), pf.Index, c.pf.TotalVFs+1, pinned); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("got %v, want EINVAL", err)
	}
	if err := c.LinkCtl.SetVFMAC(t.Context(), noIndex, 0, pinned); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("on a netdev that does not exist: got %v, want ENODEV", err)
	}
}

// noIndex is the index of no netdev.
const noIndex = 1 << 30

func noGUID(t *testing.T, c check) {
	c.makeUnboundVFs(t, 1)
	pf := c.link(t, c.netdev(t))
	err := c.LinkCtl.SetVFGUID(t.Context(), pf.Index, 0, 0x0200000000000001)
	if !errors.Is(err, syscall.EOPNOTSUPP) && !errors.Is(err, host.ErrUnsupported) {
		t.Errorf("got %v, want EOPNOTSUPP or ErrUnsupported", err)
	}
}

func setsGUID(t *testing.T, c check) {
	const guid hw.GUID = 0x02005e0000000001
	vf := c.makeUnboundVFs(t, 1)[0]
	pf := c.link(t, c.netdev(t))
	if err := c.LinkCtl.SetVFGUID(t.Context(), pf.Index, 0, guid); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c.probe(t, vf)
		c.awaitNetdev(t, vf)
		entries, err := fs.ReadDir(c.Files, host.Attr(vf, "infiniband"))
		if err != nil || len(entries) != 1 {
			t.Fatalf("the VF's RDMA devices are %v, %v", entries, err)
		}
		text, err := host.ReadAttr(c.Files, path.Join("sys/class/infiniband", entries[0].Name(), "node_guid"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := hw.ParseGUID(text); err != nil || got != guid {
			t.Errorf("node_guid is %q, %v; want %s", text, err, guid)
		}
		c.unbind(t, vf)
	}
}

// settings are the clauses about MTU, up and files.
func settings() []test {
	return []test{
		{name: "an MTU change of the PF keeps its VFs", run: mtuKeepsVFs},
		{name: "an MTU beyond the driver's limit is refused", run: mtuLimit},
		{name: "a VF takes no MTU above its PF's", run: vfMTU, needs: func(pf PF) bool { return pf.VFMTUCapped }},
		{name: "a netdev that is up can be set up again", run: upTwice},
		{name: "a file is replaced whole, and removed", run: replacesFiles},
	}
}

func mtuKeepsVFs(t *testing.T, c check) {
	vf := c.makeVFs(t, 1)[0]
	before := c.awaitNetdev(t, vf)
	pf := c.link(t, c.netdev(t))
	c.setMTU(t, pf.Index, 2000)
	if got := c.link(t, c.netdev(t)); got.MTU != 2000 || got.Index != pf.Index {
		t.Errorf("the PF's link is %+v", got)
	}
	if after := c.awaitNetdev(t, vf); after.Index != before.Index || after.MAC != before.MAC {
		t.Errorf("the VF's netdev was %+v and is %+v", before, after)
	}
}

func mtuLimit(t *testing.T, c check) {
	pf := c.link(t, c.netdev(t))
	if pf.MaxMTU == 0 {
		t.Fatal("the driver says no limit")
	}
	if err := c.LinkCtl.SetMTU(t.Context(), pf.Index, pf.MaxMTU+1); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("got %v, want EINVAL", err)
	}
	if got := c.link(t, c.netdev(t)).MTU; got != c.pf.MTU {
		t.Errorf("the MTU is %d", got)
	}
	if err := c.LinkCtl.SetMTU(t.Context(), noIndex, 1500); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("on a netdev that does not exist: got %v, want ENODEV", err)
	}
}

func vfMTU(t *testing.T, c check) {
	vf := c.awaitNetdev(t, c.makeVFs(t, 1)[0])
	if err := c.LinkCtl.SetMTU(t.Context(), vf.Index, 2000); err == nil {
		t.Errorf("the VF took 2000 while its PF has %d", c.pf.MTU)
	}
	c.setMTU(t, c.link(t, c.netdev(t)).Index, 2000)
	if err := c.LinkCtl.SetMTU(t.Context(), vf.Index, 2000); err != nil {
		t.Error(err)
	}
}

func upTwice(t *testing.T, c check) {
	pf := c.link(t, c.netdev(t))
	if err := c.LinkCtl.SetUp(t.Context(), pf.Index); err != nil {
		t.Error(err)
	}
	vf := c.awaitNetdev(t, c.makeVFs(t, 1)[0])
	if err := c.LinkCtl.SetUp(t.Context(), vf.Index); err != nil {
		t.Error(err)
	}
	// Not by its name, which udev may change meanwhile.
	links, err := c.Links.Links(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	up := func(l host.Link) bool { return l.Index == vf.Index && l.AdminUp }
	if !slices.ContainsFunc(links, up) {
		t.Errorf("the VF's link %d is not up among %+v", vf.Index, links)
	}
}

func replacesFiles(t *testing.T, c check) {
	name := "etc/sriov-contract/deep/file"
	// The test's context has ended when its cleanup runs.
	ctx := context.WithoutCancel(t.Context())
	t.Cleanup(func() { _ = c.Conf.Remove(ctx, name) })
	for _, content := range []string{"a first content, which is long\n", "short\n", ""} {
		if err := c.Conf.Replace(t.Context(), name, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
		got, err := fs.ReadFile(c.Files, name)
		if err != nil || string(got) != content {
			t.Errorf("the file holds %q, %v; want %q", got, err, content)
		}
	}
	entries, err := fs.ReadDir(c.Files, path.Dir(name))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the file are %v, %v", entries, err)
	}
	if info, err := fs.Stat(c.Files, name); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the mode is %v, %v", info, err)
	}
	for range 2 {
		if err := c.Conf.Remove(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Files.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after its removal: %v", err)
	}
}

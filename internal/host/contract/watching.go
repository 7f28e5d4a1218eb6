// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"testing"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// watching are the clauses about events.
func watching() []test {
	return []test{
		{name: "a VF's life is told from add to remove, in order", run: tellsLife},
		{name: "udev's event of a netdev comes when the name is final", run: tellsFinalName},
		{name: "a change of the MTU is told by the link group", run: tellsMTU},
		{name: "a watch ends with its context", run: watchEnds},
		{name: "udev reads its rules again", run: reloadsUdev},
	}
}

// seen reads events until the wanted one comes.
func seen(t *testing.T, events <-chan host.Event, what string, wanted func(host.Event) bool) host.Event {
	t.Helper()
	for e := range events {
		if wanted(e) {
			return e
		}
	}
	t.Fatalf("waited %s and this event did not come: %s", patience, what)
	return host.Event{}
}

func (c check) watch(t *testing.T) <-chan host.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	events, err := c.Events.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func tellsLife(t *testing.T, c check) {
	c.load(t, c.pf.VFModule)
	events := c.watch(t)
	c.setNumVFs(t, 1)
	vf := c.vfs(t, 1)[0]
	kernel := func(action string) func(host.Event) bool {
		return func(e host.Event) bool {
			return e.Source == host.FromKernel && e.Action == action && e.Subsystem == "pci" && path.Base(e.Path) == vf.String()
		}
	}
	added := seen(t, events, "add of the VF", kernel("add"))
	if !strings.HasPrefix(added.Path, "devices/pci") {
		t.Errorf("the path of a PCI function is %q", added.Path)
	}
	seen(t, events, "bind of the VF", kernel("bind"))
	c.awaitNetdev(t, vf)
	c.setNumVFs(t, 0)
	seen(t, events, "unbind of the VF", kernel("unbind"))
	seen(t, events, "remove of the VF", kernel("remove"))
}

func tellsFinalName(t *testing.T, c check) {
	events := c.watch(t)
	c.setNumVFs(t, 1)
	vf := c.vfs(t, 1)[0]
	told := seen(t, events, "udev's add of the VF's netdev", func(e host.Event) bool {
		return e.Source == host.FromUdev && e.Subsystem == "net" && e.Action == "add" && strings.Contains(e.Path, "/"+vf.String()+"/net/")
	})
	names, err := host.Netdevs(c.Files, vf)
	if err != nil || len(names) != 1 || names[0] != path.Base(told.Path) {
		t.Errorf("udev told of %q and the VF has %v, %v", told.Path, names, err)
	}
}

func tellsMTU(t *testing.T, c check) {
	pf := c.link(t, c.netdev(t))
	events := c.watch(t)
	c.setMTU(t, pf.Index, 2000)
	seen(t, events, "change of the PF's netdev", func(e host.Event) bool {
		return e.Source == host.FromLinks && e.Subsystem == "net" && path.Base(e.Path) == pf.Name
	})
}

func watchEnds(t *testing.T, c check) {
	ctx, cancel := context.WithCancel(t.Context())
	events, err := c.Events.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for range events {
		continue // what was under way may still come; then the channel is closed
	}
	if _, err := c.Events.Watch(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a watch with an ended context: %v", err)
	}
}

func reloadsUdev(t *testing.T, c check) {
	if err := c.Udev.Reload(t.Context()); err != nil {
		t.Error(err)
	}
}

// switching are the clauses about the eSwitch.
func switching() []test {
	has := func(pf PF) bool { return pf.HasEswitch }
	return []test{
		{name: "switchdev brings a representor per VF, and legacy takes them away", run: switchesMode, needs: has},
		{name: "the mode that is there already is taken", run: sameMode, needs: has},
		{name: "a change of the mode at the wrong time is refused", run: refusesMode, needs: func(pf PF) bool { return pf.HasEswitch && pf.EswitchRefusal != nil }},
		{name: "hw-tc-offload is switched on where the driver has it", run: offloads},
		{name: "a VF in switchdev mode has a vDPA device on request", run: makesVDPA, needs: func(pf PF) bool { return pf.HasVDPA }},
		{name: "steering is chosen in legacy mode", run: steers, needs: func(pf PF) bool { return pf.HasSteering }},
	}
}

func switchesMode(t *testing.T, c check) {
	own := c.netdev(t)
	if c.pf.EswitchBeforeVFs {
		c.setMode(t, hw.EswitchSwitchdev)
		c.makeUnboundVFs(t, 2)
	} else {
		c.makeUnboundVFs(t, 2)
		c.setMode(t, hw.EswitchSwitchdev)
	}
	if got := c.mode(t); got != hw.EswitchSwitchdev {
		t.Errorf("the mode is %q", got)
	}
	reps := map[int]string{}
	c.await(t, "two representors", func() bool {
		reps = c.representors(t)
		return len(reps) == 2
	})
	if got := c.netdev(t); got != own {
		t.Errorf("the PF's own netdev was %s and is %s", own, got)
	}
	id, err := host.ReadAttr(c.Files, path.Join("sys/class/net", own, "phys_switch_id"))
	if err != nil || id == "" {
		t.Fatalf("the PF's phys_switch_id is %q, %v", id, err)
	}
	for i, name := range reps {
		got, err := host.ReadAttr(c.Files, path.Join("sys/class/net", name, "phys_switch_id"))
		if err != nil || got != id {
			t.Errorf("representor %d is on switch %q, %v; the PF on %q", i, got, err, id)
		}
	}
	if c.pf.EswitchBeforeVFs {
		c.setNumVFs(t, 0)
	}
	c.setMode(t, hw.EswitchLegacy)
	c.await(t, "no representor", func() bool { return len(c.representors(t)) == 0 })
	if id, err := host.ReadAttr(c.Files, path.Join("sys/class/net", own, "phys_switch_id")); !errors.Is(err, syscall.EOPNOTSUPP) {
		t.Errorf("in legacy mode phys_switch_id is %q, %v", id, err)
	}
}

// representors are the PF's VF representors by VF index.
func (c check) representors(t *testing.T) map[int]string {
	t.Helper()
	names, err := host.Netdevs(c.Files, c.pf.Addr)
	if err != nil {
		t.Fatal(err)
	}
	out := map[int]string{}
	for _, name := range names {
		var pf, vf int
		if n, _ := fmt.Sscanf(c.portName(name), "pf%dvf%d", &pf, &vf); n == 2 {
			out[vf] = name
		}
	}
	return out
}

func sameMode(t *testing.T, c check) {
	vf := c.makeVFs(t, 1)[0]
	before := c.awaitNetdev(t, vf)
	c.setMode(t, hw.EswitchLegacy)
	if after := c.awaitNetdev(t, vf); after.Index != before.Index {
		t.Error("the VF's netdev was made anew")
	}
}

func refusesMode(t *testing.T, c check) {
	c.makeVFs(t, 1)
	if err := c.DevlinkCtl.SetEswitchMode(t.Context(), c.pf.Addr, hw.EswitchSwitchdev); !errors.Is(err, c.pf.EswitchRefusal) {
		t.Errorf("got %v, want %v", err, c.pf.EswitchRefusal)
	}
	if got := c.mode(t); got != hw.EswitchLegacy {
		t.Errorf("the mode is %q", got)
	}
}

func steers(t *testing.T, c check) {
	const param = "flow_steering_mode"
	set := func(value string) error { return c.DevlinkCtl.SetParam(t.Context(), c.pf.Addr, param, value) }
	for _, value := range []string{"smfs", "dmfs"} {
		if err := set(value); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Devlink.Param(t.Context(), c.pf.Addr, param); err != nil || got != value {
			t.Errorf("it is %q, %v; want %q", got, err, value)
		}
	}
	if err := set("nonsense"); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("nonsense: got %v, want EINVAL", err)
	}
	c.setMode(t, hw.EswitchSwitchdev)
	if err := set("smfs"); !errors.Is(err, syscall.EOPNOTSUPP) {
		t.Errorf("in switchdev mode: got %v, want EOPNOTSUPP", err)
	}
}

func offloads(t *testing.T, c check) {
	name := c.netdev(t)
	before, err := c.Links.TCOffload(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	err = c.LinkCtl.EnableTCOffload(t.Context(), name)
	if before == hw.FeatureAbsent {
		if !errors.Is(err, host.ErrUnsupported) {
			t.Errorf("the driver lacks it: got %v, want ErrUnsupported", err)
		}
		return
	}
	if after, errAfter := c.Links.TCOffload(t.Context(), name); err != nil || errAfter != nil || after != hw.FeatureOn {
		t.Errorf("it is %q, %v, %v", after, err, errAfter)
	}
}

func makesVDPA(t *testing.T, c check) {
	for _, module := range []string{"mlx5_vdpa", "vhost_vdpa", "virtio_vdpa"} {
		c.load(t, module)
	}
	vf := c.makeUnboundVFs(t, 1)[0]
	if err := c.VDPA.Create(t.Context(), vf, hw.VDPAVhost); err == nil {
		t.Error("a VF without a driver has a vDPA device")
	}
	c.setMode(t, hw.EswitchSwitchdev)
	c.probe(t, vf)
	c.awaitDriver(t, vf, c.pf.VFDriver)
	name := "sys/bus/vdpa/devices/vdpa:" + vf.String()
	for kind, driver := range map[hw.VDPAType]string{hw.VDPAVhost: "vhost_vdpa", hw.VDPAVirtio: "virtio_vdpa"} {
		if err := c.VDPA.Create(t.Context(), vf, kind); err != nil {
			t.Fatal(err)
		}
		if got, err := host.LinkBase(c.Files, name+"/driver"); err != nil || got != driver {
			t.Errorf("the driver of the %s device is %q, %v", kind, got, err)
		}
		if err := c.VDPA.Create(t.Context(), vf, kind); !errors.Is(err, syscall.EEXIST) {
			t.Errorf("a second device: %v", err)
		}
		for range 2 {
			if err := c.VDPA.Delete(t.Context(), vf); err != nil {
				t.Error(err)
			}
		}
		if _, err := c.Files.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the device is still there: %v", err)
		}
	}
	c.unbind(t, vf)
}

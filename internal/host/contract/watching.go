// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

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
		{name: "names are final once udev has settled", run: settlesUdev},
	}
}

// seen reads events until the wanted one comes.
func (c check) seen(events <-chan host.Event, what string, wanted func(host.Event) bool) host.Event {
	c.Helper()
	for e := range events {
		if wanted(e) {
			return e
		}
	}
	c.Fatalf("waited %s and this event did not come: %s", patience, what)
	return host.Event{}
}

func (c check) watch() <-chan host.Event {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	c.Cleanup(cancel)
	events, err := c.Events.Watch(ctx)
	if err != nil {
		c.Fatal(err)
	}
	return Singly(events)
}

// Singly hands over one event at a time. It ends with the watch, and with a reader
// that stops only when the watch does.
func Singly(batches <-chan []host.Event) <-chan host.Event {
	out := make(chan host.Event)
	go func() {
		defer close(out)
		var waiting []host.Event
		for {
			var to chan<- host.Event
			var first host.Event
			if len(waiting) > 0 {
				to, first = out, waiting[0]
			}
			select {
			case batch, open := <-batches:
				if !open {
					return // the reader may have gone
				}
				waiting = append(waiting, batch...)
			case to <- first:
				waiting = waiting[1:]
			}
		}
	}()
	return out
}

func tellsLife(c check) {
	c.load(c.pf.VFModule)
	events := c.watch()
	c.setNumVFs(1)
	vf := c.vfs(1)[0]
	kernel := func(action string) func(host.Event) bool {
		return func(e host.Event) bool {
			return e.Source == host.FromKernel && e.Action == action && e.Subsystem == "pci" && path.Base(e.Path) == vf.String()
		}
	}
	added := c.seen(events, "add of the VF", kernel("add"))
	if !strings.HasPrefix(added.Path, "devices/pci") {
		c.Errorf("the path of a PCI function is %q", added.Path)
	}
	c.seen(events, "bind of the VF", kernel("bind"))
	c.awaitNetdev(vf)
	c.setNumVFs(0)
	c.seen(events, "unbind of the VF", kernel("unbind"))
	c.seen(events, "remove of the VF", kernel("remove"))
}

func tellsFinalName(c check) {
	events := c.watch()
	c.setNumVFs(1)
	vf := c.vfs(1)[0]
	told := c.seen(events, "udev's add of the VF's netdev", func(e host.Event) bool {
		return e.Source == host.FromUdev && e.Subsystem == "net" && e.Action == "add" && strings.Contains(e.Path, "/"+vf.String()+"/net/")
	})
	names, err := host.Netdevs(c.Files, vf)
	if err != nil || len(names) != 1 || names[0] != path.Base(told.Path) {
		c.Errorf("udev told of %q and the VF has %v, %v", told.Path, names, err)
	}
}

func tellsMTU(c check) {
	pf := c.link(c.netdev())
	events := c.watch()
	c.setMTU(pf.Index, 2000)
	c.seen(events, "change of the PF's netdev", func(e host.Event) bool {
		return e.Source == host.FromLinks && e.Subsystem == "net" && path.Base(e.Path) == pf.Name
	})
}

func watchEnds(c check) {
	ctx, cancel := context.WithCancel(c.Context())
	events, err := c.Events.Watch(ctx)
	if err != nil {
		c.Fatal(err)
	}
	cancel()
	for range events {
		continue // what was under way may still come; then the channel is closed
	}
	if _, err := c.Events.Watch(ctx); !errors.Is(err, context.Canceled) {
		c.Errorf("a watch with an ended context: %v", err)
	}
}

func reloadsUdev(c check) {
	if err := c.Udev.Reload(c.Context()); err != nil {
		c.Error(err)
	}
}

// The names of new VFs' netdevs are final once udev has settled: no event of a
// rename follows.
func settlesUdev(c check) {
	c.setNumVFs(2)
	if err := c.Udev.Settle(c.Context()); err != nil {
		c.Fatal(err)
	}
	before := c.vfNetdevNames(2)
	if err := c.Udev.Settle(c.Context()); err != nil {
		c.Fatal(err)
	}
	if after := c.vfNetdevNames(2); !slices.Equal(before, after) {
		c.Errorf("the netdevs are %v, and were %v when udev had settled", after, before)
	}
}

func (c check) vfNetdevNames(n int) []string {
	c.Helper()
	var out []string
	for i := range n {
		addr, err := host.VFAddr(c.Files, hw.VFRef{PF: c.pf.Addr, Index: i})
		if err != nil {
			c.Fatal(err)
		}
		names, err := host.Netdevs(c.Files, addr)
		if err != nil {
			c.Fatal(err)
		}
		out = append(out, names...)
	}
	return out
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

func switchesMode(c check) {
	own := c.netdev()
	if c.pf.EswitchBeforeVFs {
		c.setMode(hw.EswitchSwitchdev)
		c.makeUnboundVFs(2)
	} else {
		c.makeUnboundVFs(2)
		c.setMode(hw.EswitchSwitchdev)
	}
	if got := c.mode(); got != hw.EswitchSwitchdev {
		c.Errorf("the mode is %q", got)
	}
	reps := map[int]string{}
	c.await("two representors", func() bool {
		reps = c.representors()
		return len(reps) == 2
	})
	if got := c.netdev(); got != own {
		c.Errorf("the PF's own netdev was %s and is %s", own, got)
	}
	id, err := host.ReadAttr(c.Files, path.Join("sys/class/net", own, "phys_switch_id"))
	if err != nil || id == "" {
		c.Fatalf("the PF's phys_switch_id is %q, %v", id, err)
	}
	for i, name := range reps {
		got, err := host.ReadAttr(c.Files, path.Join("sys/class/net", name, "phys_switch_id"))
		if err != nil || got != id {
			c.Errorf("representor %d is on switch %q, %v; the PF on %q", i, got, err, id)
		}
	}
	if c.pf.EswitchBeforeVFs {
		c.setNumVFs(0)
	}
	c.setMode(hw.EswitchLegacy)
	c.await("no representor", func() bool { return len(c.representors()) == 0 })
	if id, err := host.ReadAttr(c.Files, path.Join("sys/class/net", own, "phys_switch_id")); !errors.Is(err, syscall.EOPNOTSUPP) {
		c.Errorf("in legacy mode phys_switch_id is %q, %v", id, err)
	}
}

// representors are the PF's VF representors by VF index.
func (c check) representors() map[int]string {
	c.Helper()
	names, err := host.Netdevs(c.Files, c.pf.Addr)
	if err != nil {
		c.Fatal(err)
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

func sameMode(c check) {
	vf := c.makeVFs(1)[0]
	before := c.awaitNetdev(vf)
	c.setMode(hw.EswitchLegacy)
	if after := c.awaitNetdev(vf); after.Index != before.Index {
		c.Error("the VF's netdev was made anew")
	}
}

func refusesMode(c check) {
	c.makeVFs(1)
	if err := c.DevlinkCtl.SetEswitchMode(c.Context(), c.pf.Addr, hw.EswitchSwitchdev); !errors.Is(err, c.pf.EswitchRefusal) {
		c.Errorf("got %v, want %v", err, c.pf.EswitchRefusal)
	}
	if got := c.mode(); got != hw.EswitchLegacy {
		c.Errorf("the mode is %q", got)
	}
}

func steers(c check) {
	const param = "flow_steering_mode"
	set := func(value string) error { return c.DevlinkCtl.SetParam(c.Context(), c.pf.Addr, param, value) }
	events := c.watch()
	for _, value := range []string{"smfs", "dmfs"} {
		if err := set(value); err != nil {
			c.Fatal(err)
		}
		c.seen(events, "change of the PF's parameter", func(e host.Event) bool {
			return e.Source == host.FromDevlink && e.Action == "change" && path.Base(e.Path) == c.pf.Addr.String()
		})
		if got, err := c.Devlink.Param(c.Context(), c.pf.Addr, param); err != nil || got != value {
			c.Errorf("it is %q, %v; want %q", got, err, value)
		}
	}
	if err := set("nonsense"); !errors.Is(err, syscall.EINVAL) {
		c.Errorf("nonsense: got %v, want EINVAL", err)
	}
	c.setMode(hw.EswitchSwitchdev)
	if err := set("smfs"); !errors.Is(err, syscall.EOPNOTSUPP) {
		c.Errorf("in switchdev mode: got %v, want EOPNOTSUPP", err)
	}
}

func offloads(c check) {
	name := c.netdev()
	before, err := c.Links.TCOffload(c.Context(), name)
	if err != nil {
		c.Fatal(err)
	}
	err = c.LinkCtl.EnableTCOffload(c.Context(), name)
	if before == hw.FeatureAbsent {
		if !errors.Is(err, host.ErrUnsupported) {
			c.Errorf("the driver lacks it: got %v, want ErrUnsupported", err)
		}
		return
	}
	if after, errAfter := c.Links.TCOffload(c.Context(), name); err != nil || errAfter != nil || after != hw.FeatureOn {
		c.Errorf("it is %q, %v, %v", after, err, errAfter)
	}
}

func makesVDPA(c check) {
	for _, module := range []string{"mlx5_vdpa", "vhost_vdpa", "virtio_vdpa"} {
		c.load(module)
	}
	vf := c.makeUnboundVFs(1)[0]
	if err := c.VDPA.Create(c.Context(), vf, hw.VDPAVhost); err == nil {
		c.Error("a VF without a driver has a vDPA device")
	}
	c.setMode(hw.EswitchSwitchdev)
	c.probe(vf)
	c.awaitDriver(vf, c.pf.VFDriver)
	name := "sys/bus/vdpa/devices/vdpa:" + vf.String()
	// A device that is there is bound to the driver that is asked for.
	for _, kind := range []hw.VDPAType{hw.VDPAVhost, hw.VDPAVhost, hw.VDPAVirtio, hw.VDPAVhost} {
		if err := c.VDPA.Create(c.Context(), vf, kind); err != nil {
			c.Fatal(err)
		}
		if got, err := host.LinkBase(c.Files, name+"/driver"); err != nil || got != string(kind)+"_vdpa" {
			c.Errorf("the driver of the %s device is %q, %v", kind, got, err)
		}
	}
	for range 2 {
		if err := c.VDPA.Delete(c.Context(), vf); err != nil {
			c.Error(err)
		}
		if _, err := c.Files.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			c.Errorf("the device is still there: %v", err)
		}
	}
	c.unbind(vf)
}

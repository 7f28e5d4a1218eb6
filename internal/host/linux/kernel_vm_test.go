// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && vm

package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

func TestLookingForRDMALoadsNothing(t *testing.T) {
	h := machine(t)
	const core = "sys/module/ib_core"
	if _, err := fs.Stat(h.Files, core); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("ib_core is loaded already: %v", err)
	}
	if mode, err := h.RDMA.NetnsMode(t.Context()); !errors.Is(err, host.ErrUnsupported) {
		t.Errorf("without RDMA the mode is %q, %v", mode, err)
	}
	if _, err := fs.Stat(h.Files, core); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("looking loaded ib_core: %v", err)
	}
	command(t, "modprobe", "siw")
	defer command(t, "modprobe", "-r", "siw")
	for _, want := range []hw.RDMAMode{hw.RDMAShared, hw.RDMAExclusive, hw.RDMAShared} {
		command(t, "rdma", "system", "set", "netns", string(want))
		if got, err := h.RDMA.NetnsMode(t.Context()); err != nil || got != want {
			t.Errorf("mode is %q, %v; want %q", got, err, want)
		}
	}
}

func TestAVDPADeviceIsBoundToTheDriverThatIsAsked(t *testing.T) {
	h := machine(t)
	for _, module := range []string{"vdpa_sim_net", "vhost_vdpa", "virtio_vdpa"} {
		if err := h.Modules.Load(t.Context(), module); err != nil {
			t.Fatal(err)
		}
	}
	v := vdpaControl{files: h.Files, attrs: attrWriter{root: "/"}, families: newFamilies()}
	const name = "vdpa:0000:01:10.0"
	simulator := vdpaParent{name: "vdpasim_net"}
	for _, driver := range []string{"vhost_vdpa", "virtio_vdpa", "vhost_vdpa"} {
		// A device that exists is no reason to fail.
		if err := v.create(t.Context(), name, simulator); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := v.bind(t.Context(), name, driver); err != nil {
				t.Fatal(err)
			}
		}
		got, err := host.LinkBase(h.Files, "sys/bus/vdpa/devices/"+name+"/driver")
		if err != nil || got != driver {
			t.Errorf("the driver is %q, %v; want %q", got, err, driver)
		}
	}
	vf := pci(t, "0000:01:10.0")
	for range 2 {
		if err := h.VDPA.Delete(t.Context(), vf); err != nil {
			t.Fatal(err)
		}
		if _, err := fs.Stat(h.Files, "sys/bus/vdpa/devices/"+name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after deletion: %v", err)
		}
	}
	if err := h.VDPA.Create(t.Context(), vf, hw.VDPAVhost); !errors.Is(err, unix.ENODEV) {
		t.Errorf("a VF whose driver makes no vDPA devices: %v, want ENODEV", err)
	}
}

// simulated makes a netdevsim device with VFs and returns its netdev's name.
func simulated(t *testing.T, id, vfs int) string {
	t.Helper()
	command(t, "modprobe", "netdevsim")
	put := func(name, value string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	put("/sys/bus/netdevsim/new_device", fmt.Sprintf("%d 1", id))
	t.Cleanup(func() { put("/sys/bus/netdevsim/del_device", fmt.Sprint(id)) })
	device := fmt.Sprintf("netdevsim%d", id)
	put(filepath.Join("/sys/kernel/debug/netdevsim", device, "max_vfs"), fmt.Sprint(max(vfs, 1)))
	put(filepath.Join("/sys/bus/netdevsim/devices", device, "sriov_numvfs"), fmt.Sprint(vfs))
	command(t, "udevadm", "settle")
	entries, err := os.ReadDir(filepath.Join("/sys/bus/netdevsim/devices", device, "net"))
	if err != nil || len(entries) != 1 {
		t.Fatalf("netdevs of %s: %v, %v", device, entries, err)
	}
	return entries[0].Name()
}

func TestVFsAreListedUntilTheyOutgrowAnAttribute(t *testing.T) {
	h := machine(t)
	for i, n := range []int{0, 4, 128, 256, 512, 2000} {
		t.Run(fmt.Sprintf("%d VFs", n), func(t *testing.T) {
			name := simulated(t, 10+i, n)
			index := linkNamed(t, h, name).Index
			got, err := h.Links.VFs(t.Context(), index)
			if errors.Is(err, host.ErrUnsupported) {
				t.Logf("unsupported: %v", err)
				if n <= 256 {
					t.Errorf("%d VFs are too many", n)
				}
				return
			}
			if err != nil || len(got) != n {
				t.Fatalf("%d VFs are listed, %v", len(got), err)
			}
			if n >= 2000 {
				t.Errorf("%d VFs fit an attribute of 64 KiB", n)
			}
			if n == 0 {
				return
			}
			if err := h.LinkCtl.SetVFMAC(t.Context(), index, n-1, "02:00:00:00:00:42"); err != nil {
				t.Fatal(err)
			}
			got, err = h.Links.VFs(t.Context(), index)
			if err != nil || got[n-1] != (host.VFLink{Index: n - 1, AdminMAC: "02:00:00:00:00:42"}) {
				t.Errorf("the last VF is %+v, %v", got[n-1], err)
			}
		})
	}
}

func TestTCOffloadIsSwitchedOn(t *testing.T) {
	h := machine(t)
	name := simulated(t, 30, 0)
	command(t, "ethtool", "-K", name, "hw-tc-offload", "off")
	for _, want := range []hw.Feature{hw.FeatureOff, hw.FeatureOn} {
		if got, err := h.Links.TCOffload(t.Context(), name); err != nil || got != want {
			t.Errorf("hw-tc-offload is %q, %v; want %q", got, err, want)
		}
		if err := h.LinkCtl.EnableTCOffload(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	netdev, err := host.PFNetdev(h.Files, pci(t, plainPF))
	if err != nil {
		t.Fatal(err)
	}
	// igb has it fixed to off.
	if got, err := h.Links.TCOffload(t.Context(), netdev); err != nil || got != hw.FeatureAbsent {
		t.Errorf("hw-tc-offload of igb is %q, %v", got, err)
	}
	if err := h.LinkCtl.EnableTCOffload(t.Context(), netdev); !errors.Is(err, host.ErrUnsupported) {
		t.Errorf("switched on for igb: %v", err)
	}
}

func TestWhatRunsOverAPFIsSeen(t *testing.T) {
	h := machine(t)
	netdev, err := host.PFNetdev(h.Files, pci(t, plainPF))
	if err != nil {
		t.Fatal(err)
	}
	commands := []string{
		"ip link set " + netdev + " down",
		"ip link add bond7 type bond mode active-backup",
		"ip link set " + netdev + " master bond7",
		"ip link add link bond7 name bond7.3 type vlan id 3",
		"ip link set " + netdev + " up", "ip link set bond7 up", "ip link set bond7.3 up",
		"ip addr add 192.0.2.1/24 dev bond7.3",
		"ip route add default via 192.0.2.254 dev bond7.3 metric 77",
	}
	t.Cleanup(func() {
		command(t, "ip", "link", "del", "bond7")
		command(t, "ip", "link", "set", netdev, "up")
	})
	for _, c := range commands {
		words := strings.Fields(c)
		command(t, words[0], words[1:]...)
	}
	pf, bond, vlan := linkNamed(t, h, netdev), linkNamed(t, h, "bond7"), linkNamed(t, h, "bond7.3")
	if pf.Kind != "" || pf.Master != bond.Index || bond.Kind != "bond" || vlan.Kind != "vlan" || vlan.Parent != bond.Index {
		t.Errorf("links are\n%+v\n%+v\n%+v", pf, bond, vlan)
	}
	if pf.PermMAC != "02:00:00:00:10:00" || pf.MaxMTU != 9216 {
		t.Errorf("the PF is %+v", pf)
	}
	routes, err := h.Links.DefaultRoutes(t.Context())
	if err != nil || !slices.Contains(routes, vlan.Index) {
		t.Errorf("default routes are over %v, %v; want %d among them", routes, err, vlan.Index)
	}
}

func TestAModuleIsLoadedAsModprobesConfigurationSays(t *testing.T) {
	h := machine(t)
	const conf = "etc/modprobe.d/zz-sriov-test.conf"
	// After systemd.conf of systemd, which says numifbs=0.
	if err := h.Conf.Replace(t.Context(), conf, []byte("options ifb numifbs=3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := h.Conf.Remove(t.Context(), conf); err != nil {
			t.Error(err)
		}
	}()
	if err := h.Modules.Load(t.Context(), "ifb"); err != nil {
		t.Fatal(err)
	}
	defer command(t, "modprobe", "-r", "ifb")
	linkNamed(t, h, "ifb2")
	err := h.Modules.Load(t.Context(), "no_such_module")
	if err == nil || !strings.Contains(err.Error(), "no_such_module not found") {
		t.Errorf("an unknown module: %v", err)
	}
}

func BenchmarkKernel(b *testing.B) {
	h, err := New("/")
	if err != nil {
		b.Fatal(err)
	}
	dev, err := hw.ParsePCIAddr(plainPF)
	if err != nil {
		b.Fatal(err)
	}
	name, err := host.PFNetdev(h.Files, dev)
	if err != nil {
		b.Fatal(err)
	}
	all, err := h.Links.Links(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	index := all[slices.IndexFunc(all, func(l host.Link) bool { return l.Name == name })].Index
	if err := h.Attrs.WriteAttr(b.Context(), host.Attr(dev, "sriov_numvfs"), "7"); err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := h.Attrs.WriteAttr(b.Context(), host.Attr(dev, "sriov_numvfs"), "0"); err != nil {
			b.Error(err)
		}
	}()
	if err := exec.Command("udevadm", "settle").Run(); err != nil {
		b.Fatal(err)
	}
	for what, work := range map[string]func() error{
		"Links":         func() error { _, err := h.Links.Links(b.Context()); return err },
		"VFs of 7":      func() error { _, err := h.Links.VFs(b.Context(), index); return err },
		"DefaultRoutes": func() error { _, err := h.Links.DefaultRoutes(b.Context()); return err },
		"TCOffload":     func() error { _, err := h.Links.TCOffload(b.Context(), name); return err },
		"ReadAttr":      func() error { _, err := host.ReadAttr(h.Files, host.Attr(dev, "sriov_numvfs")); return err },
		"ReadLink":      func() error { _, err := h.Files.ReadLink(host.Attr(dev, "driver")); return err },
	} {
		b.Run(what, func(b *testing.B) {
			for b.Loop() {
				if err := work(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestWhatDevlinkTellsIsHeard changes a parameter, of which no uevent and no message of a
// netdev tells.
func TestWhatDevlinkTellsIsHeard(t *testing.T) {
	simulated(t, 77, 1)
	bursts, err := machine(t).Events.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	command(t, "devlink", "dev", "param", "set", "netdevsim/netdevsim77", "name", "max_macs", "value", "16", "cmode", "driverinit")
	want := host.Event{Source: host.FromDevlink, Action: "change", Subsystem: "devlink", Path: "devices/netdevsim77"}
	timeout := time.After(10 * time.Second)
	var seen []host.Event
	for {
		select {
		case burst := <-bursts:
			if slices.Contains(burst, want) {
				return
			}
			seen = append(seen, burst...)
		case <-timeout:
			t.Fatalf("nothing tells of the parameter; seen: %+v", seen)
		}
	}
}

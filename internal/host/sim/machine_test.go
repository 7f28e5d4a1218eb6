// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/host/contract"
	"github.com/kubeovn/sriov-network-operator/internal/host/sim"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

func numVFs(t *testing.T, m *sim.Machine, pf string, n int) error {
	t.Helper()
	return m.Host().Attrs.WriteAttr(t.Context(), host.Attr(addr(t, pf), "sriov_numvfs"), fmt.Sprint(n))
}

func mustNumVFs(t *testing.T, m *sim.Machine, pf string, n int) {
	t.Helper()
	if err := numVFs(t, m, pf, n); err != nil {
		t.Fatal(err)
	}
}

func vf(t *testing.T, pf string, index int) hw.VFRef {
	t.Helper()
	return hw.VFRef{PF: addr(t, pf), Index: index}
}

func TestEveryDescribedMachineCanBeMade(t *testing.T) {
	files, err := filepath.Glob("../../../test/machines/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d machines, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			m := machine(t, filepath.Base(file))
			if m.NodeName() == "" || m.Writes() != 0 {
				t.Errorf("node %q, %d writes", m.NodeName(), m.Writes())
			}
			if again := machine(t, filepath.Base(file)); again.Snapshot() != m.Snapshot() {
				t.Error("the same description gave another machine")
			}
			for _, door := range []string{"sys/devices", "sys/class", "sys/kernel"} {
				sub, err := fs.Sub(m.Reader().Files, door)
				if err != nil {
					t.Fatal(err)
				}
				if err := fs.WalkDir(sub, ".", func(_ string, _ fs.DirEntry, err error) error { return err }); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestTheFilesAreAProperFileSystem(t *testing.T) {
	m := machine(t, "two-port-connectx5.yaml")
	mustNumVFs(t, m, "0000:5f:00.0", 2)
	for _, name := range []string{"etc/udev/rules.d/10-a.rules", "etc/udev/rules.d/20-b.rules", "etc/one/two/three"} {
		if err := m.Host().Conf.Replace(t.Context(), name, []byte("content\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for dir, want := range map[string]string{"etc": "udev/rules.d/20-b.rules", "sys/kernel/iommu_groups": "0/devices"} {
		sub, err := fs.Sub(m.Reader().Files, dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := fstest.TestFS(sub, want); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
	}
	files := m.Reader().Files
	if _, err := files.Open("/sys"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("an absolute path: %v", err)
	}
	f, err := files.Open("sys/class/net/ens41f0np0/phys_switch_id")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Read(make([]byte, 8)); !errors.Is(err, syscall.EOPNOTSUPP) {
		t.Errorf("an attribute that the driver lacks: %v", err)
	}
	if _, err := fs.ReadFile(files, "sys/bus/pci/drivers_probe"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("reading what can only be written: %v", err)
	}
	if got, err := fs.ReadFile(files, "sys/class/net/ens41f0v1/device/physfn/sriov_numvfs"); err != nil || string(got) != "2\n" {
		t.Errorf("through three links: %q, %v", got, err)
	}
}

func TestAWrongDescriptionNamesFieldAndLine(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"nothing":                  {"# a machine\n", "machine description: it is empty"},
		"two machines in one file": {"nodeName: a\n---\nnodeName: b\n", "machine description: a second document begins; one file describes one machine"},
		"a field that does not exist": {
			"nodeName: a\npfs:\n- pci: 0000:01:00.0\n  modell: X710\n",
			"machine description: line 4: unknown field modell",
		},
		"a model that does not exist": {
			"pfs:\n- pci: 0000:01:00.0\n  name: eth0\n  model: Y1\n",
			`machine description: line 4: pfs[0].model: "Y1" is none of ConnectX-5, ConnectX-6, ConnectX-6 Dx, E810, X710, 82576, virtio, virtio 1.0, generic`,
		},
		"an address that is none": {
			"pfs:\n- {pci: \"01:00.0\", model: X710, name: eth0}\n",
			`machine description: line 2: pfs[0].pci: PCI address "01:00.0": three parts separated by ':' are needed; it is written like 0000:5f:00.1`,
		},
		"more VFs than there are": {
			"pfs:\n- pci: 0000:01:00.0\n  name: eth0\n  model: \"82576\"\n  numvfs: 8\n",
			"machine description: line 5: pfs[0].numvfs: 8 is not between 0 and totalvfs 7",
		},
		"a VF past the count": {
			"pfs:\n- pci: 0000:01:00.0\n  name: eth0\n  model: \"82576\"\n  numvfs: 1\n  vfs:\n  - index: 0\n  - index: 1\n",
			"machine description: line 8: pfs[0].vfs[1].index: 1 is not below numvfs 1",
		},
		"a bond of nothing": {
			"links:\n- name: bond0\n  kind: bond\n  members: [eth9]\n",
			"machine description: line 4: links[0].members[0]: there is no netdev eth9",
		},
		"an eSwitch on a NIC without one": {
			"pfs:\n- pci: 0000:01:00.0\n  name: eth0\n  model: \"82576\"\n  eswitch: switchdev\n",
			"machine description: line 5: pfs[0].eswitch: model 82576 has no eSwitch",
		},
		"VFs that would sit on another card": {
			"pfs:\n- pci: 0000:01:00.0\n  name: eth0\n  model: ConnectX-5\n- pci: 0000:01:01.0\n  name: eth1\n  model: ConnectX-5\n",
			"machine description: line 2: pfs[0].totalvfs: VF 7 would be 0000:01:01.0, which is taken by 0000:01:01.0",
		},
		"text that is no YAML": {"pfs: [", "machine description: yaml: line 1: did not find expected node content"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := sim.Parse([]byte(tc.text))
			if err == nil {
				t.Fatalf("it was taken:\n%s", m.Snapshot())
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("pfs:\n- {pci: \"0000:01:00.0\", model: \"82576\", name: eth0, numvfs: 2, vfs: [{index: 1, driver: vfio-pci, inUse: true}]}\n"))
	f.Add([]byte("links: [{name: b, members: [b]}]\ndefaultRoutes: [b]\nrdma: none\n"))
	f.Add([]byte("pfs:\n- {pci: \"0000:00:00.0\", model: generic, name: x, driver: d, vendor: \"1\", totalvfs: 70000}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 4<<10 {
			return
		}
		m, err := sim.Parse(text)
		if (m == nil) == (err == nil) {
			t.Fatalf("machine %v, error %v", m != nil, err)
		}
		if m == nil {
			return
		}
		if first, second := m.Snapshot(), m.Snapshot(); first != second {
			t.Error("two snapshots of one state differ")
		}
	})
}

func TestAnErrnoArrivesWithThePlaceWhereItHappened(t *testing.T) {
	const pf = "0000:5f:00.0"
	m := machine(t, "two-port-connectx5.yaml")
	attr := host.Attr(addr(t, pf), "sriov_numvfs")
	before := m.Snapshot()
	m.FailOnce(attr, syscall.ENOMEM)
	err := numVFs(t, m, pf, 3)
	var at *fs.PathError
	if !errors.Is(err, syscall.ENOMEM) || !errors.As(err, &at) || at.Path != attr {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, m.Snapshot()); diff != "" {
		t.Errorf("a refused write changed something (-before +after)\n%s", diff)
	}
	mustNumVFs(t, m, pf, 3)
	if m.Writes() != 2 {
		t.Errorf("%d writes", m.Writes())
	}
}

func TestEveryDoorCanBeMadeToFail(t *testing.T) {
	const pf, virtual = "0000:5f:00.0", "0000:5f:00.2"
	m := machine(t, "two-port-connectx5.yaml")
	mustNumVFs(t, m, pf, 1)
	h, ctx := m.Host(), t.Context()
	links, err := h.Links.Links(ctx)
	if err != nil {
		t.Fatal(err)
	}
	index := links[1].Index
	for address, call := range map[string]func() error{
		"sys/bus/pci/drivers_probe=" + virtual: func() error { return h.Attrs.WriteAttr(ctx, "sys/bus/pci/drivers_probe", virtual) },
		"etc/a":                                func() error { return h.Conf.Replace(ctx, "etc/a", nil, 0o644) },
		"link:" + pf + "/mtu":                  func() error { return h.LinkCtl.SetMTU(ctx, index, 9000) },
		"link:ens41f0np0/up":                   func() error { return h.LinkCtl.SetUp(ctx, index) },
		"link:ens41f0np0/tcoffload":            func() error { return h.LinkCtl.EnableTCOffload(ctx, "ens41f0np0") },
		"vf:" + pf + "#0/mac":                  func() error { return h.LinkCtl.SetVFMAC(ctx, index, 0, "02:00:00:00:00:01") },
		"vf:" + pf + "#0/guid":                 func() error { return h.LinkCtl.SetVFGUID(ctx, index, 0, 1) },
		"devlink:" + pf + "/eswitch":           func() error { return h.DevlinkCtl.SetEswitchMode(ctx, addr(t, pf), hw.EswitchSwitchdev) },
		"devlink:" + pf + "/param/flow_steering_mode": func() error {
			return h.DevlinkCtl.SetParam(ctx, addr(t, pf), "flow_steering_mode", "smfs")
		},
		"vdpa:" + virtual + "/create":     func() error { return h.VDPA.Create(ctx, addr(t, virtual), hw.VDPAVhost) },
		"vdpa:" + virtual + "/delete":     func() error { return h.VDPA.Delete(ctx, addr(t, virtual)) },
		"module:vfio-pci":                 func() error { return h.Modules.Load(ctx, "vfio-pci") },
		"udev:reload":                     func() error { return h.Udev.Reload(ctx) },
		"read:links":                      func() error { _, err := h.Links.Links(ctx); return err },
		"read:vfs:" + pf:                  func() error { _, err := h.Links.VFs(ctx, index); return err },
		"read:routes":                     func() error { _, err := h.Links.DefaultRoutes(ctx); return err },
		"read:tcoffload:ens41f0np0":       func() error { _, err := h.Links.TCOffload(ctx, "ens41f0np0"); return err },
		"read:devlink:" + pf + "/eswitch": func() error { _, err := h.Devlink.EswitchMode(ctx, addr(t, pf)); return err },
		"read:rdma":                       func() error { _, err := h.RDMA.NetnsMode(ctx); return err },
		"read:events":                     func() error { _, err := h.Events.Watch(ctx); return err },
		"read:sys/bus/pci/devices":        func() error { _, err := fs.ReadDir(h.Files, "sys/bus/pci/devices"); return err },
	} {
		m.Fail(address, syscall.EIO)
		if err := call(); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: got %v", address, err)
		}
		m.Heal()
	}
}

func TestAChangeThatIsIgnoredSaysYesAndDoesNothing(t *testing.T) {
	const pf = "0000:5f:00.0"
	m := machine(t, "two-port-connectx5.yaml")
	before := m.Snapshot()
	m.Ignore(host.Attr(addr(t, pf), "sriov_numvfs"))
	mustNumVFs(t, m, pf, 3)
	if diff := cmp.Diff(before, m.Snapshot()); diff != "" {
		t.Errorf("(-before +after)\n%s", diff)
	}
}

func TestAKilledProcessGetsNoAnswerAndTheKernelGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pf = "0000:5f:00.0"
		m := machine(t, "two-port-connectx5.yaml")
		events, err := m.Host().Events.Watch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		m.SetDelays(sim.Delays{AddVF: time.Second})
		m.CrashAfter(2)
		mustNumVFs(t, m, "0000:5f:00.1", 1)
		slow := make(chan error, 1)
		m.CrashAfter(1)
		go func() { slow <- numVFs(t, m, pf, 3) }()
		synctest.Wait()
		m.CrashAfter(0)
		if err := <-slow; !errors.Is(err, sim.ErrCrashed) {
			t.Errorf("the write under way: %v", err)
		}
		for range events {
			continue // what came before the crash; then the watch ends
		}
		if err := numVFs(t, m, pf, 0); !errors.Is(err, sim.ErrCrashed) {
			t.Errorf("a later write: %v", err)
		}
		if _, err := m.Reader().Files.Lstat("sys"); !errors.Is(err, sim.ErrCrashed) {
			t.Errorf("a later look: %v", err)
		}
		m.Revive()
		if n, err := host.ReadInt(m.Reader().Files, host.Attr(addr(t, pf), "sriov_numvfs")); err != nil || n != 3 {
			t.Errorf("after the new start there are %d VFs, %v", n, err)
		}
	})
}

func TestTheLastChangeBeforeACrashIsAnswered(t *testing.T) {
	const pf = "0000:5f:00.0"
	m := machine(t, "two-port-connectx5.yaml")
	m.CrashAfter(1)
	mustNumVFs(t, m, pf, 3)
	if _, err := m.Reader().Links.Links(t.Context()); !errors.Is(err, sim.ErrCrashed) {
		t.Errorf("got %v", err)
	}
	m.Revive()
	mustNumVFs(t, m, pf, 0)
}

func TestUdevComesLaterAndThenRenamesAndLoadsDrivers(t *testing.T) {
	m := machine(t, "igb-4ports.yaml")
	m.HoldUdev()
	mustNumVFs(t, m, "0000:01:00.0", 7)
	if s := m.Snapshot(); strings.Contains(s, "igbvf") {
		t.Errorf("the VF driver is there before udev loaded it:\n%s", s)
	}
	m.SettleUdev()
	if s := m.Snapshot(); strings.Count(s, "driver=igbvf") != 7 {
		t.Errorf("udev loaded the VF driver and not all VFs have it:\n%s", s)
	}
	m = machine(t, "two-port-connectx5.yaml")
	m.HoldUdev()
	mustNumVFs(t, m, "0000:5f:00.0", 1)
	if names, err := host.Netdevs(m.Reader().Files, addr(t, "0000:5f:00.2")); err != nil || len(names) != 1 || names[0] != "eth0" {
		t.Errorf("before udev: %v, %v", names, err)
	}
	m.SettleUdev()
	if names, err := host.Netdevs(m.Reader().Files, addr(t, "0000:5f:00.2")); err != nil || len(names) != 1 || names[0] != "ens41f0v0" {
		t.Errorf("after udev: %v, %v", names, err)
	}
}

func TestASnapshotDoesNotShowTheWay(t *testing.T) {
	const pf = "0000:5f:00.0"
	straight, wandering := machine(t, "two-port-connectx5.yaml"), machine(t, "two-port-connectx5.yaml")
	mustNumVFs(t, straight, pf, 3)
	for _, n := range []int{8, 0, 5, 0, 3} {
		mustNumVFs(t, wandering, pf, n)
	}
	if diff := cmp.Diff(straight.Snapshot(), wandering.Snapshot()); diff != "" {
		t.Errorf("(-straight +wandering)\n%s", diff)
	}
	if s := straight.Snapshot(); !strings.Contains(s, "vf 2 0000:5f:00.4 driver=mlx5_core admin=none name=ens41f0v2 mac=random") {
		t.Errorf("got\n%s", s)
	}
}

func TestTheSystemDescriptionsAddresses(t *testing.T) {
	three := 3
	m, err := sim.New(sim.Description{PFs: []sim.PFDescription{
		{PCI: "0000:5f:00.0", Model: "ConnectX-5", Name: "ens41f0np0", TotalVFs: &three, NumVFs: 3},
		{PCI: "0000:5f:00.1", Model: "ConnectX-5", Name: "ens41f1np1", TotalVFs: &three, NumVFs: 3},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"0000:5f:00.2", "0000:5f:00.3", "0000:5f:00.4", "0000:5f:00.5", "0000:5f:00.6", "0000:5f:00.7"} {
		got, err := host.VFAddr(m.Reader().Files, vf(t, fmt.Sprintf("0000:5f:00.%d", i/3), i%3))
		if err != nil || got.String() != want {
			t.Errorf("VF %d of port %d is %s, %v; want %s", i%3, i/3, got, err, want)
		}
	}
}

func TestADriverWithoutSRIOVMakesNoVFs(t *testing.T) {
	m, err := sim.New(sim.Description{PFs: []sim.PFDescription{{PCI: "0000:01:00.0", Model: "X710", Name: "eth0", Driver: "other"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := numVFs(t, m, "0000:01:00.0", 1); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("got %v, want ENOENT", err)
	}
}

func TestAnyNICCanBeDescribed(t *testing.T) {
	m, err := sim.Parse([]byte(`
pfs:
- {pci: "0000:03:00.0", model: generic, name: nic0, driver: sfc, vendor: "1924", device: "0b03", vfDevice: "1b03", vfDriver: sfc_vf, totalvfs: 4, maxMTU: 9202}
`))
	if err != nil {
		t.Fatal(err)
	}
	mustNumVFs(t, m, "0000:03:00.0", 1)
	want := `0000:03:00.0 1924:0b03 driver=sfc name=nic0 mac=00:02:c9:00:03:00 mtu=1500 up=true master=none tc=absent numvfs=1/4 autoprobe=true
  vf 0 0000:03:00.1 driver=sfc_vf admin=none name=nic0v0 mac=random mtu=1500 up=false
link lo kind=none mtu=65536 parent=none master=none
`
	if diff := cmp.Diff(want, m.Snapshot()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestLostEventsAreSaidToBeLost(t *testing.T) {
	m := machine(t, "two-port-connectx5.yaml")
	events, err := m.Host().Events.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	singly := contract.Singly(events)
	m.LoseEvents(1)
	mustNumVFs(t, m, "0000:5f:00.0", 1)
	if e := <-singly; !e.Lost {
		t.Errorf("the first event is %+v", e)
	}
	if e := <-singly; e.Lost || e.Subsystem == "pci" && e.Action == "add" {
		t.Errorf("the second event is %+v", e)
	}
}

// elapsed is how long the work takes on the machine's clock.
func elapsed(work func()) time.Duration {
	start := time.Now()
	work()
	return time.Since(start)
}

func TestTimePassesWhereTheKernelsLocksSay(t *testing.T) {
	const s = time.Second
	pfs := []string{"0000:01:00.0", "0000:01:00.1", "0000:02:00.0", "0000:02:00.1"}
	allAtOnce := func(t *testing.T, m *sim.Machine) time.Duration {
		t.Helper()
		return elapsed(func() {
			var all sync.WaitGroup
			for _, pf := range pfs {
				all.Go(func() {
					if err := numVFs(t, m, pf, 2); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		})
	}
	for name, tc := range map[string]struct {
		delays sim.Delays
		want   time.Duration
	}{
		"PFs make their VFs side by side":              {sim.Delays{NumVFs: 4 * s, AddVF: s}, 6 * s},
		"a kernel with one lock makes them in turn":    {sim.Delays{AddVF: s, RescanLock: true}, 8 * s},
		"before the lock they are still side by side":  {sim.Delays{NumVFs: 4 * s, AddVF: s, RescanLock: true}, 12 * s},
		"the driver binds within the write":            {sim.Delays{AddVF: s, Bind: 2 * s}, 6 * s},
		"what udev does later holds up no write":       {sim.Delays{AddVF: s, Udev: time.Minute}, 2 * s},
		"what takes no time takes none, however often": {sim.Delays{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := machine(t, "igb-4ports.yaml")
				if err := m.Host().Modules.Load(t.Context(), "igbvf"); err != nil {
					t.Fatal(err)
				}
				m.SetDelays(tc.delays)
				if got := allAtOnce(t, m); got != tc.want {
					t.Errorf("it took %s, want %s", got, tc.want)
				}
			})
		})
	}
}

func TestLinkChangesOfAllPFsWaitForOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := machine(t, "igb-4ports.yaml")
		m.SetDelays(sim.Delays{MTU: time.Second})
		links, err := m.Reader().Links.Links(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		took := elapsed(func() {
			var all sync.WaitGroup
			for _, l := range links[1:] { // the first is lo
				all.Go(func() {
					if err := m.Host().LinkCtl.SetMTU(t.Context(), l.Index, 9000); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		})
		if took != 4*time.Second {
			t.Errorf("four changes took %s", took)
		}
	})
}

func TestAWriteOfZeroReturnsAfterTheVFsAreGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pf = "0000:01:00.0"
		m := machine(t, "igb-4ports.yaml")
		mustNumVFs(t, m, pf, 7)
		m.SetDelays(sim.Delays{RemoveTail: 3 * time.Second})
		done := make(chan error, 1)
		go func() { done <- numVFs(t, m, pf, 0) }()
		synctest.Wait()
		if _, err := m.Reader().Files.Lstat(host.Attr(addr(t, pf), "virtfn0")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("VF 0 while the write is under way: %v", err)
		}
		select {
		case err := <-done:
			t.Errorf("the write returned early: %v", err)
		default:
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestADescribedVFIsAsDescribed(t *testing.T) {
	m := machine(t, "x710.yaml")
	want := `0000:af:00.0 8086:1572 driver=i40e name=ens1f0 mac=3c:fd:fe:9e:00:50 mtu=1500 up=true master=none tc=off numvfs=3/64 autoprobe=true
  vf 0 0000:af:02.0 driver=iavf admin=none name=ens1f0v0 mac=random mtu=1500 up=false
  vf 1 0000:af:02.1 driver=iavf admin=none name=netdev mac=random mtu=1500 up=false away
  vf 2 0000:af:02.2 driver=vfio-pci held admin=02:00:00:00:00:12
0000:af:00.1 8086:1572 driver=i40e name=ens1f1 mac=3c:fd:fe:9e:00:51 mtu=1500 up=false master=none tc=off numvfs=2/64 autoprobe=true
  vf 0 0000:af:0a.0 driver=vfio-pci admin=none
  vf 1 0000:af:0a.1 driver=none admin=none
link lo kind=none mtu=65536 parent=none master=none
`
	if diff := cmp.Diff(want, m.Snapshot()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestWhatCarriesTheHostsTrafficIsVisible(t *testing.T) {
	m := machine(t, "management-nic.yaml")
	links, err := m.Reader().Links.Links(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]host.Link{}
	for _, l := range links {
		byName[l.Name] = l
	}
	routes, err := m.Reader().Links.DefaultRoutes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{byName["bond0.100"].Index}, routes); diff != "" {
		t.Errorf("default routes (-want +got)\n%s", diff)
	}
	if byName["bond0.100"].Parent != byName["bond0"].Index || byName["ens1f1"].Master != byName["bond0"].Index {
		t.Errorf("got %+v", byName)
	}
	if up := byName["ens2f1np1"].Master; byName["ovs-system"].Index != up || byName["ovs-system"].Kind != "openvswitch" {
		t.Errorf("the OVS uplink's master is %d", up)
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package capture_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/host/capture"
	"github.com/kubeovn/sriov-network-operator/internal/host/sim"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// machine is a described machine with two VFs on its first PF.
func machine(tb testing.TB, name string) *sim.Machine {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("../../../test/machines", name))
	if err != nil {
		tb.Fatal(err)
	}
	m, err := sim.Parse(text)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// survey reads a machine through all doors and writes down what they said. It is
// what discovery reads, and some things that it does not.
func survey(ctx context.Context, r host.Reader) string {
	var b strings.Builder
	say := func(what string, v any, err error) { fmt.Fprintf(&b, "%s: %v %v\n", what, v, err) }
	links, err := r.Links.Links(ctx)
	say("links", links, err)
	routes, err := r.Links.DefaultRoutes(ctx)
	say("routes", routes, err)
	over, err := r.Links.RouteTo(ctx, netip.MustParseAddr("192.0.2.1"))
	say("route", over, err)
	for _, l := range links {
		vfs, err := r.Links.VFs(ctx, l.Index)
		say("vfs of "+l.Name, vfs, err)
		tc, err := r.Links.TCOffload(ctx, l.Name)
		say("tc of "+l.Name, tc, err)
		for _, attr := range []string{"phys_port_name", "phys_switch_id", "speed", "device/vendor"} {
			v, err := host.ReadAttr(r.Files, path.Join("sys/class/net", l.Name, attr))
			say(l.Name+" "+attr, v, err)
		}
	}
	functions, err := fs.ReadDir(r.Files, host.PCIDevices)
	say("functions", len(functions), err)
	for _, e := range functions {
		surveyFunction(ctx, r, e.Name(), say)
	}
	mode, err := r.RDMA.NetnsMode(ctx)
	say("rdma", mode, err)
	_, err = fs.ReadDir(r.Files, "sys/no/such/folder")
	say("nothing", "", err)
	return b.String()
}

func surveyFunction(ctx context.Context, r host.Reader, name string, say func(string, any, error)) {
	addr, err := hw.ParsePCIAddr(name)
	say(name, addr, err)
	for _, attr := range []string{"class", "sriov_numvfs", "driver/bind", "net"} {
		v, err := host.ReadAttr(r.Files, host.Attr(addr, attr))
		say(name+" "+attr, v, err)
	}
	for _, link := range []string{"driver", "physfn", "virtfn0", "iommu_group", "subsystem"} {
		v, err := host.LinkBase(r.Files, host.Attr(addr, link))
		say(name+" "+link, v, err)
		_, err = r.Files.Lstat(host.Attr(addr, link))
		say(name+" lstat "+link, "", err)
	}
	nets, err := host.Netdevs(r.Files, addr)
	say(name+" netdevs", nets, err)
	mode, err := r.Devlink.EswitchMode(ctx, addr)
	say(name+" mode", mode, err)
	steering, err := r.Devlink.Param(ctx, addr, "flow_steering_mode")
	say(name+" steering", steering, err)
}

// recorded surveys a machine and gives what it said and the capture.
func recorded(tb testing.TB, r host.Reader) (said string, tarball []byte) {
	tb.Helper()
	rec := capture.Record(r)
	said = survey(tb.Context(), rec.Reader())
	var b bytes.Buffer
	if err := rec.WriteTar(&b); err != nil {
		tb.Fatal(err)
	}
	return said, b.Bytes()
}

func TestARecordedMachineSaysWhatTheMachineSaid(t *testing.T) {
	machines, err := filepath.Glob("../../../test/machines/*.yaml")
	if err != nil || len(machines) == 0 {
		t.Fatalf("%d machines, %v", len(machines), err)
	}
	for _, file := range machines {
		t.Run(filepath.Base(file), func(t *testing.T) {
			m := machine(t, filepath.Base(file))
			direct := survey(t.Context(), m.Reader())
			said, tarball := recorded(t, m.Reader())
			if diff := cmp.Diff(direct, said); diff != "" {
				t.Fatalf("recording changed an answer (-direct +recorded)\n%s", diff)
			}
			again, err := capture.Read(bytes.NewReader(tarball))
			if err != nil {
				t.Fatal(err)
			}
			replayed, second := recorded(t, again)
			if diff := cmp.Diff(direct, replayed); diff != "" {
				t.Errorf("(-machine +capture)\n%s", diff)
			}
			if !bytes.Equal(tarball, second) {
				t.Error("a capture of the capture is another capture")
			}
		})
	}
}

func TestACaptureLoadsFromATarFromGzipAndFromAFolder(t *testing.T) {
	m := machine(t, "e810.yaml")
	want, tarball := recorded(t, m.Reader())
	dir := t.TempDir()
	plain, zipped, folder := filepath.Join(dir, "a.tar"), filepath.Join(dir, "a.tar.gz"), filepath.Join(dir, "a")
	if err := os.WriteFile(plain, tarball, 0o600); err != nil {
		t.Fatal(err)
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write(tarball); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(zipped, z.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	unpack(t, tarball, folder)
	for _, name := range []string{plain, zipped, folder} {
		r, err := capture.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, survey(t.Context(), r)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", filepath.Base(name), diff)
		}
	}
}

// unpack does what `tar xf` does.
func unpack(t *testing.T, tarball []byte, dir string) {
	t.Helper()
	in := tar.NewReader(bytes.NewReader(tarball))
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, filepath.FromSlash(h.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(name, 0o755)
		case tar.TypeSymlink:
			err = os.Symlink(h.Linkname, name)
		default:
			var data []byte
			if data, err = io.ReadAll(in); err == nil {
				err = os.WriteFile(name, data, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatNobodyReadIsNotInTheCapture(t *testing.T) {
	m := machine(t, "two-port-connectx5.yaml")
	rec := capture.Record(m.Reader())
	if _, err := fs.ReadDir(rec.Reader().Files, host.PCIDevices); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.ReadFile(rec.Reader().Files, "sys/bus/pci/devices/0000:5f:00.0/vendor"); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := rec.WriteTar(&b); err != nil {
		t.Fatal(err)
	}
	r, err := capture.Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	if entries, err := fs.ReadDir(r.Files, host.PCIDevices); err != nil || len(entries) != 2 {
		t.Errorf("the list that was read: %v, %v", entries, err)
	}
	if _, err := fs.ReadDir(r.Files, "sys/bus/pci"); !errors.Is(err, capture.ErrNotRecorded) {
		t.Errorf("a folder that was passed and not listed: %v", err)
	}
	if _, err := fs.ReadFile(r.Files, "sys/bus/pci/devices/0000:5f:00.0/device"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that nobody saw: %v", err)
	}
	for what, err := range map[string]error{
		"links":   second(r.Links.Links(t.Context())),
		"vfs":     second(r.Links.VFs(t.Context(), 2)),
		"routes":  second(r.Links.DefaultRoutes(t.Context())),
		"route":   second(r.Links.RouteTo(t.Context(), netip.MustParseAddr("192.0.2.1"))),
		"tc":      second(r.Links.TCOffload(t.Context(), "eth0")),
		"eswitch": second(r.Devlink.EswitchMode(t.Context(), hw.PCIAddr{})),
		"param":   second(r.Devlink.Param(t.Context(), hw.PCIAddr{}, "p")),
		"rdma":    second(r.RDMA.NetnsMode(t.Context())),
	} {
		if !errors.Is(err, capture.ErrNotRecorded) {
			t.Errorf("%s, which nobody asked: %v", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestAnErrorKeepsItsKind(t *testing.T) {
	m := machine(t, "two-port-connectx5.yaml")
	m.Fail("read:links", syscall.ENOMEM)
	m.Fail("read:rdma", errors.New("something else"))
	_, tarball := recorded(t, m.Reader())
	r, err := capture.Read(bytes.NewReader(tarball))
	if err != nil {
		t.Fatal(err)
	}
	if err := second(r.Links.Links(t.Context())); !errors.Is(err, syscall.ENOMEM) {
		t.Errorf("an errno: %v", err)
	}
	if err := second(r.RDMA.NetnsMode(t.Context())); err == nil || !strings.Contains(err.Error(), "something else") {
		t.Errorf("any error: %v", err)
	}
	igb, tarball := recorded(t, machine(t, "igb-4ports.yaml").Reader())
	if !strings.Contains(igb, host.ErrUnsupported.Error()) {
		t.Fatal("igb has an eSwitch")
	}
	if r, err = capture.Read(bytes.NewReader(tarball)); err != nil {
		t.Fatal(err)
	}
	first, err := hw.ParsePCIAddr("0000:01:00.0")
	if err != nil {
		t.Fatal(err)
	}
	if err := second(r.Devlink.EswitchMode(t.Context(), first)); !errors.Is(err, host.ErrUnsupported) {
		t.Errorf("ErrUnsupported: %v", err)
	}
}

func TestTheFilesOfACaptureAreAProperFileSystem(t *testing.T) {
	m := machine(t, "two-port-connectx5.yaml")
	name := "etc/udev/rules.d/10-a.rules"
	if err := m.Host().Conf.Replace(t.Context(), name, []byte("rule\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	rec := capture.Record(m.Reader())
	read := func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			_, err = fs.ReadFile(rec.Reader().Files, name)
		}
		return err
	}
	if err := fs.WalkDir(rec.Reader().Files, "etc", read); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := rec.WriteTar(&b); err != nil {
		t.Fatal(err)
	}
	r, err := capture.Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	for who, files := range map[string]fs.FS{"capture": r.Files, "recorder": rec.Reader().Files} {
		sub, err := fs.Sub(files, "etc")
		if err != nil {
			t.Fatal(err)
		}
		if err := fstest.TestFS(sub, strings.TrimPrefix(name, "etc/")); err != nil {
			t.Errorf("%s: %v", who, err)
		}
	}
}

// entry is one entry of a tar file that a test makes.
type entry struct {
	name, link, content string
	kind                byte
}

func tarOf(tb testing.TB, entries ...entry) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if e.kind == 0 {
			e.kind = tar.TypeReg
		}
		h := &tar.Header{Name: e.name, Linkname: e.link, Typeflag: e.kind, Size: int64(len(e.content)), Mode: 0o644}
		if err := w.WriteHeader(h); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func TestAHostileCaptureIsRefused(t *testing.T) {
	good := entry{name: "capture.json", content: `{"format":1}`}
	for name, tc := range map[string]struct {
		entries []entry
		want    string
	}{
		"a path that leads out":   {[]entry{good, {name: "root/../../etc/passwd"}}, "leads out"},
		"an absolute path":        {[]entry{good, {name: "/etc/passwd"}}, "leads out"},
		"a device":                {[]entry{good, {name: "root/dev", kind: tar.TypeBlock}}, "neither a file nor a folder nor a link"},
		"a hard link":             {[]entry{good, {name: "root/a", kind: tar.TypeLink, link: "/etc/passwd"}}, "neither a file nor a folder nor a link"},
		"a file twice":            {[]entry{good, {name: "root/a"}, {name: "root/a"}}, "there twice"},
		"a file in a file":        {[]entry{good, {name: "root/a"}, {name: "root/a/b"}}, "which is no folder"},
		"a file behind a link":    {[]entry{good, {name: "root/a", kind: tar.TypeSymlink, link: "/etc"}, {name: "root/a/b"}}, "which is no folder"},
		"a large file":            {[]entry{good, {name: "root/a", content: strings.Repeat("x", 1<<20+1)}}, "more than 1048576 bytes"},
		"another format":          {[]entry{{name: "capture.json", content: `{"format":2}`}}, "format 2"},
		"no capture at all":       {[]entry{{name: "root/a"}}, "this is no capture"},
		"nonsense for the doors":  {[]entry{good, {name: "doors/links.json", content: `{"links":7}`}}, "doors/links.json"},
		"a root that is a file":   {[]entry{good, {name: "root"}}, "no folder"},
		"a link target of a mile": {[]entry{good, {name: "root/a", kind: tar.TypeSymlink, link: strings.Repeat("x/", 600)}}, "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := capture.Read(bytes.NewReader(tarOf(t, tc.entries...)))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q in it", err, tc.want)
			}
		})
	}
}

func TestALinkLeadsNowhereOutsideOfTheCapture(t *testing.T) {
	r, err := capture.Read(bytes.NewReader(tarOf(t,
		entry{name: "capture.json", content: `{"format":1}`},
		entry{name: "root/up", kind: tar.TypeSymlink, link: "../../../../etc"},
		entry{name: "root/abs", kind: tar.TypeSymlink, link: "/etc"},
		entry{name: "root/loop", kind: tar.TypeSymlink, link: "loop"},
		entry{name: "root/d/in", kind: tar.TypeSymlink, link: "../d/file"},
		entry{name: "root/d/file", content: "inside"},
	)))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"up/passwd": fs.ErrNotExist, "abs/passwd": fs.ErrNotExist, "loop": syscall.ELOOP} {
		if _, err := fs.ReadFile(r.Files, name); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := fs.ReadFile(r.Files, "d/in"); err != nil || string(got) != "inside" {
		t.Errorf("a link inside: %q, %v", got, err)
	}
}

func FuzzRead(f *testing.F) {
	small, err := sim.New(sim.Description{PFs: []sim.PFDescription{{PCI: "0000:01:00.0", Model: "82576", Name: "eth1"}}})
	if err != nil {
		f.Fatal(err)
	}
	_, tarball := recorded(f, small.Reader())
	f.Add(tarball)
	f.Add(tarOf(f, entry{name: "capture.json", content: `{"format":1,"partial":["a","."],"failing":{"b":{"kind":"EIO","text":"x"}}}`},
		entry{name: "root/a/", kind: tar.TypeDir}, entry{name: "root/b"}, entry{name: "root/c", kind: tar.TypeSymlink, link: "../c/./a"}))
	f.Add([]byte{0x1f, 0x8b, 8, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := capture.Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		said := survey(t.Context(), r)
		// What was loaded can be recorded, and that capture says the same.
		recorded, again := recorded(t, r)
		if said != recorded {
			t.Errorf("recording changed an answer:\n%s", cmp.Diff(said, recorded))
		}
		if _, err := capture.Read(bytes.NewReader(again)); err != nil {
			t.Error(err)
		}
	})
}

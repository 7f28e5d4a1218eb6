// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
)

var port = hw.PCIAddr{Bus: 0x5f}

// folder is a file system that is written to as the ledger's door does.
type folder struct {
	fstest.MapFS
	refuse error
}

func (f folder) Replace(_ context.Context, name string, data []byte, mode fs.FileMode) error {
	if f.refuse != nil {
		return f.refuse
	}
	f.MapFS[name] = &fstest.MapFile{Data: data, Mode: mode}
	return nil
}

func (f folder) Remove(_ context.Context, name string) error {
	if f.refuse != nil {
		return f.refuse
	}
	delete(f.MapFS, name)
	return nil
}

func open(t *testing.T, f folder) *Ledger {
	t.Helper()
	l, err := Open(f, f)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestARecordIsReadAgainAndForgotten(t *testing.T) {
	f := folder{MapFS: fstest.MapFS{}}
	rec := plan.Record{PF: port, Name: "ens1f0", NumVFs: 4, MTU: 9000, Eswitch: hw.EswitchSwitchdev, SetMTU: 9000,
		MadeVFs: true, Initial: &plan.Initial{MTU: 1500, Eswitch: hw.EswitchLegacy}}
	l := open(t, f)
	if err := l.Claim(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	again := open(t, f)
	if diff := cmp.Diff(plan.Memory{port: rec}, again.Memory()); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
	if !again.Holds(rec) || again.Holds(plan.Record{PF: port}) {
		t.Error("Holds does not compare the record")
	}
	if mode := f.MapFS[Dir+"/0000:5f:00.0"].Mode; mode != 0o600 {
		t.Errorf("mode %v", mode)
	}
	if err := again.Release(t.Context(), port); err != nil {
		t.Fatal(err)
	}
	if left := open(t, f).Memory(); len(left) != 0 || again.Holds(rec) {
		t.Errorf("left: %v", left)
	}
}

// A PF whose file is there is ours, whatever became of the file. It is reset to
// what is safe, since what it was like before is lost.
func TestATornFileKeepsThePFOurs(t *testing.T) {
	for name, text := range map[string]string{
		"empty":                     "",
		"cut off":                   `{"pciAddress":"0000:5f:00.0","numV`,
		"zeros after a power cut":   string(make([]byte, 512)),
		"of another PF":             `{"pciAddress":"0000:5f:00.1"}`,
		"of no PF":                  `{}`,
		"not JSON":                  "numVfs: 4",
		"a number that is too long": `{"pciAddress":"0000:5f:00.0","numVfs":1e400}`,
		"too large":                 `{"pciAddress":"0000:5f:00.0","name":"` + string(make([]byte, maxRecord)) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			l := open(t, folder{MapFS: fstest.MapFS{Dir + "/0000:5f:00.0": {Data: []byte(text)}}})
			if diff := cmp.Diff(plan.Memory{port: {PF: port, MadeVFs: true}}, l.Memory()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(l.Torn()) != 1 || l.Torn()[0].PF != port || l.Torn()[0].Err == nil {
				t.Errorf("torn: %+v", l.Torn())
			}
		})
	}
}

// The text is what the operator before this one writes.
func TestRecordsOfTheOperatorBeforeAreRead(t *testing.T) {
	l := open(t, folder{MapFS: fstest.MapFS{Dir + "/0000:5f:00.0": {Data: []byte(`{"pciAddress":"0000:5f:00.0","numVfs":3,"mtu":9000,` +
		`"name":"ens41f0np0","linkType":"ETH","eSwitchMode":"switchdev","vfGroups":[{"resourceName":"r","vfRange":"0-2","policyName":"p"}]}`)}}})
	want := plan.Memory{port: {PF: port, Name: "ens41f0np0", NumVFs: 3, MTU: 9000, LinkType: hw.LinkEthernet, Eswitch: hw.EswitchSwitchdev}}
	if diff := cmp.Diff(want, l.Memory()); diff != "" || len(l.Torn()) > 0 {
		t.Errorf("(-want +got):\n%s\ntorn: %v", diff, l.Torn())
	}
}

func TestOtherFilesAreNotRecords(t *testing.T) {
	l := open(t, folder{MapFS: fstest.MapFS{
		Dir + "/.0000:5f:00.0.tmp123":  {Data: []byte("{")},
		Dir + "/README":                {Data: []byte("x")},
		Dir + "/0000:5f:00.1/anything": {Data: []byte("x")},
	}})
	if len(l.Memory()) != 0 || len(l.Torn()) != 0 {
		t.Errorf("memory %v, torn %v", l.Memory(), l.Torn())
	}
}

func TestWhatCouldNotBeWrittenIsNotRemembered(t *testing.T) {
	l := open(t, folder{MapFS: fstest.MapFS{}, refuse: unix.ENOSPC})
	rec := plan.Record{PF: port}
	if err := l.Claim(t.Context(), rec); !errors.Is(err, unix.ENOSPC) || l.Holds(rec) {
		t.Errorf("got %v, held %t", err, l.Holds(rec))
	}
}

func TestADeviceThatUserspaceHasKeepsItsName(t *testing.T) {
	f := folder{MapFS: fstest.MapFS{}}
	l := open(t, f)
	if err := l.Claim(t.Context(), plan.Record{PF: port, Name: "eth1"}); err != nil {
		t.Fatal(err)
	}
	inv := hw.Inventory{PFs: []hw.PF{{Addr: port, Virtual: true}, {Addr: hw.PCIAddr{Bus: 9}, Netdev: "eth2"}}}
	got := l.Complete(inv)
	if got.PFs[0].Netdev != "eth1" || got.PFs[1].Netdev != "eth2" || inv.PFs[0].Netdev != "" {
		t.Errorf("got %+v, from %+v", got.PFs, inv.PFs)
	}
}

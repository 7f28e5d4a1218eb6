// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"errors"
	"io/fs"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// Booting is a machine whose boot loader is under test. The tests leave it as it was.
type Booting struct {
	Host host.Host
	// Loader is what rules its boot loader.
	Loader hw.BootLoader
	// Foreign is an argument that others have set and that hw.ManagedArg names.
	Foreign string
}

// RunBooting runs the part of the contract that is about boots.
func RunBooting(t *testing.T, b Booting) {
	t.Helper()
	for _, clause := range []struct {
		name string
		run  func(boots)
	}{
		{"a boot has an id that stays", keepsItsID},
		{"what is added is booted next, behind what was there", addsBehind},
		{"what is added twice is there once", addsOnce},
		{"what is taken away is gone, and what is not there can be", takesAway},
		{"what others have set stays", sparesOthers},
		{"one comes and another goes in one change", exchanges},
		{"a word that is no argument is refused", refusesWords},
	} {
		t.Run(clause.name, func(t *testing.T) { clause.run(boots{t, b}) })
	}
}

type boots struct {
	*testing.T
	Booting
}

func (b boots) next() []string {
	b.Helper()
	next, err := b.Host.Boot.Next(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if next.Loader != b.Loader {
		b.Fatalf("the boot loader is ruled by %q, want %q", next.Loader, b.Loader)
	}
	return next.Args
}

func (b boots) set(add, remove []string) {
	b.Helper()
	if err := b.Host.BootCtl.SetArgs(b.Context(), add, remove); err != nil {
		b.Fatal(err)
	}
}

func (b boots) holds(want ...string) {
	b.Helper()
	if diff := cmp.Diff(append([]string{b.Foreign}, want...), b.next()); diff != "" {
		b.Errorf("what is booted next (-want +got):\n%s", diff)
	}
}

const (
	argOn     = "intel_iommu=on"
	argPast   = "iommu=pt"
	argShared = hw.RDMAModeArg + "=1"
)

func keepsItsID(b boots) {
	first, err := b.Host.Boot.Running(b.Context())
	if err != nil || first.ID == "" {
		b.Fatalf("the boot is %+v, %v", first, err)
	}
	second, err := b.Host.Boot.Running(b.Context())
	if diff := cmp.Diff(first, second); err != nil || diff != "" {
		b.Errorf("%v (-first +second):\n%s", err, diff)
	}
	if other := slices.IndexFunc(first.Args, func(arg string) bool { return !hw.ManagedArg(arg) }); other >= 0 {
		b.Errorf("it tells of %s, which is nobody else's business", first.Args[other])
	}
	b.holds()
}

func addsBehind(b boots) {
	b.set([]string{argOn, argPast}, nil)
	b.holds(argOn, argPast)
}

func addsOnce(b boots) {
	b.set([]string{argOn, argPast}, nil)
	b.holds(argOn, argPast)
}

func takesAway(b boots) {
	b.set(nil, []string{argOn, argPast, argShared})
	b.holds()
}

func sparesOthers(b boots) {
	b.set([]string{argPast}, []string{b.Foreign})
	b.holds(argPast)
}

func exchanges(b boots) {
	b.set([]string{argShared}, []string{argPast})
	b.holds(argShared)
	b.set(nil, []string{argShared})
	b.holds()
}

func refusesWords(b boots) {
	for _, word := range []string{"", "a b", "a;reboot", "$(reboot)", "`reboot`", "a='b'", "a=\"b", "a\nb"} {
		if err := b.Host.BootCtl.SetArgs(b.Context(), []string{word}, nil); !errors.Is(err, fs.ErrInvalid) {
			b.Errorf("%q was taken for an argument: %v", word, err)
		}
	}
	b.holds()
}

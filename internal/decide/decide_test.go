// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeovn/sriov-network-operator/internal/decide"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

var update = flag.Bool("update", false, "write the golden file")

// needs are all needs, in order.
func needs() []decide.Need {
	var out []decide.Need
	for n := decide.Nothing; n <= decide.Spent; n++ {
		out = append(out, n)
	}
	return out
}

// table is every answer of Next, one line for each need, request and grant. The second
// column of answers is for disableDrain; a dot is the same as without.
func table() string {
	var b strings.Builder
	b.WriteString("What the daemon does next, for everything that can be so. See Next.\n\n")
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for i, need := range needs() {
		if i > 0 {
			_, _ = fmt.Fprintln(w, "\t\t\t\t")
		}
		_, _ = fmt.Fprintln(w, "need\tasked\tgranted\tmove\twith disableDrain")
		for _, request := range requests() {
			for _, grant := range grants() {
				f := decide.Facts{Need: need, Request: request, Grant: grant}
				move := decide.Next(f).String()
				f.DrainDisabled = true
				disabled := decide.Next(f).String()
				if disabled == move {
					disabled = "."
				}
				_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", need, request, grant, move, disabled)
			}
		}
	}
	_ = w.Flush()
	return trimmed(b.String())
}

func requests() []decide.Request {
	return []decide.Request{decide.AskNothing, decide.AskDrain, decide.AskReboot}
}

func grants() []decide.Grant {
	return []decide.Grant{decide.NotGranted, decide.Draining, decide.Granted}
}

func trimmed(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

func TestTheTruthTable(t *testing.T) {
	const golden = "testdata/truth.golden"
	got := table()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got), go test ./internal/decide -update writes it anew:\n%s", diff)
	}
}

// all calls back for all facts and their move.
func all(t *testing.T, check func(f decide.Facts, m decide.Move)) {
	t.Helper()
	for _, need := range needs() {
		for _, request := range requests() {
			for _, grant := range grants() {
				for _, disabled := range []bool{false, true} {
					f := decide.Facts{Need: need, Request: request, Grant: grant, DrainDisabled: disabled}
					check(f, decide.Next(f))
				}
			}
		}
	}
}

func TestEveryMoveSaysWhy(t *testing.T) {
	all(t, func(f decide.Facts, m decide.Move) {
		if m.Why.Sentence() == "" {
			t.Errorf("%+v: %s has no sentence", f, m)
		}
		if (m.Do == decide.Ask) != (m.For != decide.AskNothing) {
			t.Errorf("%+v: %s", f, m)
		}
	})
}

func TestNobodyLosesAVFWithoutADrainThatIsComplete(t *testing.T) {
	all(t, func(f decide.Facts, m decide.Move) {
		takes := f.Need == decide.Exposed || f.Need == decide.Held || f.Need == decide.Overdue || f.Need == decide.Unknown || f.Need == decide.Blind || f.Need == decide.Foreign || f.Need == decide.Occupied
		if takes && m.Do == decide.Apply && !f.DrainDisabled && (f.Grant != decide.Granted || f.Request == decide.AskNothing) {
			t.Errorf("%+v: %s", f, m)
		}
		if m.Do == decide.Apply && !f.DrainDisabled && (f.Need == decide.Held || f.Need == decide.Overdue || f.Need == decide.Foreign || f.Need == decide.Occupied) {
			t.Errorf("somebody still holds a VF: %+v: %s", f, m)
		}
	})
}

func TestW37ARestartTakesItsTurnEvenWithoutDrains(t *testing.T) {
	all(t, func(f decide.Facts, m decide.Move) {
		if m.Do == decide.Reboot && (f.Request != decide.AskReboot || f.Grant != decide.Granted || f.Need != decide.Restart) {
			t.Errorf("%+v: %s", f, m)
		}
		if f.Need == decide.Restart && m.Do == decide.Apply {
			t.Errorf("%+v: %s", f, m)
		}
	})
}

func TestL8ATurnIsNeverHeldByANodeThatCannotUseIt(t *testing.T) {
	all(t, func(f decide.Facts, m decide.Move) {
		idle := ((f.Need == decide.Blind || f.Need == decide.Occupied) && !f.DrainDisabled) || f.Need == decide.Nothing || f.Need == decide.Spent
		if idle && f.Request != decide.AskNothing && m.Do != decide.GiveBack {
			t.Errorf("%+v: %s", f, m)
		}
		if m.Do == decide.GiveBack && f.Request == decide.AskNothing {
			t.Errorf("nothing is asked for, and it is given back: %+v: %s", f, m)
		}
	})
}

func TestARequestIsNeverReplacedWhileItIsWorkedOn(t *testing.T) {
	all(t, func(f decide.Facts, m decide.Move) {
		if m.Do == decide.Ask && (f.Grant != decide.NotGranted || f.Request == m.For) {
			t.Errorf("%+v: %s", f, m)
		}
	})
}

// TestTheHandshakeEnds plays the controller: from every beginning, each need comes to its
// end in a few moves, whatever else was asked for before.
func TestTheHandshakeEnds(t *testing.T) {
	all(t, func(f decide.Facts, _ decide.Move) {
		if f.Need == decide.Unknown || f.Need == decide.Blind || f.Need == decide.Foreign || f.Need == decide.Cooling {
			return // they wait for something outside of the handshake
		}
		begin := f
		for range 20 {
			m := decide.Next(f)
			switch m.Do {
			case decide.Rest, decide.Fail:
				if f.Request != decide.AskNothing {
					t.Errorf("%+v: ends with %s asked for", begin, f.Request)
				}
				return
			case decide.Apply, decide.Reboot:
				f.Need = decide.Nothing
			case decide.Ask:
				f.Request = m.For
			case decide.GiveBack:
				f.Request = decide.AskNothing
			case decide.Wait:
				f = controller(f, m)
			}
		}
		t.Errorf("%+v: no end, now %+v", begin, f)
	})
}

// controller is what the controller does while the daemon waits.
func controller(f decide.Facts, m decide.Move) decide.Facts {
	switch {
	case m.Why == reason.PodsLeaving:
		f.Need = decide.Exposed
	case f.Need == decide.Overdue:
		f.Need, f.Grant = decide.Held, decide.NotGranted
	case f.Request == decide.AskNothing:
		f.Grant = decide.NotGranted
	case f.Grant == decide.NotGranted:
		f.Grant = decide.Draining
	case f.Grant == decide.Draining:
		f.Grant = decide.Granted
	}
	return f
}

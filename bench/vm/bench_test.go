// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm

package vm_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// The four PFs of the rig, and how many VFs each offers.
var ports = []port{
	{"0000:01:00.0", "enp1s0f0", "02:00:00:00:10:00"},
	{"0000:01:00.1", "enp1s0f1", "02:00:00:00:10:01"},
	{"0000:02:00.0", "enp2s0f0", "02:00:00:00:20:00"},
	{"0000:02:00.1", "enp2s0f1", "02:00:00:00:20:01"},
}

const most = 7

// BenchmarkApply measures apply against the floor, side by side in one machine:
// both make the same end from the same start, in turn. The figures are medians;
// the ratio is the median of the pairs' ratios.
func BenchmarkApply(b *testing.B) {
	for _, task := range []struct {
		name string
		// start is what the machine has before each run; goal is what both make.
		start, goal state
	}{
		{"1 PF x 7 VFs", state{}, state{ports: ports[:1], vfs: most}},
		{"4 PFs x 7 VFs", state{}, state{ports: ports, vfs: most}},
		{"1 PF x 7 VFs for vfio-pci", state{}, state{ports: ports[:1], vfs: most, vfio: true}},
		{"1 PF from 7 to 3 VFs", state{ports: ports[:1], vfs: most}, state{ports: ports[:1], vfs: 3}},
	} {
		b.Run(task.name, func(b *testing.B) {
			g := start(b)
			measure(b, g, func() pair {
				g.prepare(task.start)
				floor := g.floor(task.goal)
				g.prepare(task.start)
				return pair{floor: floor, ours: g.apply(task.goal)}
			})
		})
	}
}

// BenchmarkFirstApply measures what a machine sees that has just booted: every
// run is in a machine of its own, in which neither program ran before. An emulator
// then translates each instruction that is new to it, so that this measures the
// emulator as much as the programs.
func BenchmarkFirstApply(b *testing.B) {
	goal := state{ports: ports[:1], vfs: most}
	first := func(run func(guest) lap) lap {
		g := start(b)
		l := run(g)
		// The next one has the host for itself. What is left goes with the benchmark.
		if err := syscall.Kill(g.PID(), syscall.SIGKILL); err != nil {
			b.Fatal(err)
		}
		return l
	}
	var pairs []pair
	for b.Loop() {
		p := pair{
			floor: first(func(g guest) lap { return g.floor(goal) }),
			ours:  first(func(g guest) lap { return g.apply(goal) }),
		}
		pairs = append(pairs, p)
		b.Log(p)
	}
	report(b, pairs)
}

// BenchmarkNothingToDo measures an apply that has nothing to do against a command
// that only prints its version: what is between them is above the start of the
// process.
func BenchmarkNothingToDo(b *testing.B) {
	for _, vfs := range []state{{ports: ports[:1], vfs: most}, {ports: ports, vfs: most}} {
		b.Run(fmt.Sprintf("%d PFs x %d VFs", len(vfs.ports), vfs.vfs), func(b *testing.B) {
			g := start(b)
			g.prepare(vfs)
			measure(b, g, func() pair {
				return pair{floor: g.time("", tool, "version"), ours: g.again(vfs)}
			})
		})
	}
}

// measure runs one pair to warm the machine up, and then the pairs that count.
func measure(b *testing.B, g guest, once func() pair) {
	b.Helper()
	once()
	var pairs []pair
	for b.Loop() {
		p := once()
		pairs = append(pairs, p)
		b.Log(p)
	}
	report(b, pairs)
}

// pair is one run of each program.
type pair struct{ floor, ours lap }

func (p pair) ratio() float64 { return float64(p.ours.Wall) / float64(p.floor.Wall) }

// String is the pair for people.
func (p pair) String() string {
	return fmt.Sprintf("floor %s  ours %s  ratio %.3f  difference %s",
		p.floor, p.ours, p.ratio(), milliseconds(p.ours.Wall-p.floor.Wall))
}

func report(b *testing.B, pairs []pair) {
	b.Helper()
	silence(b)
	figure := func(of func(pair) float64) float64 { return median(pairs, of) }
	b.ReportMetric(figure(func(p pair) float64 { return ms(p.floor.Wall) }), "floor-ms")
	b.ReportMetric(figure(func(p pair) float64 { return ms(p.ours.Wall) }), "ours-ms")
	b.ReportMetric(figure(func(p pair) float64 { return ms(p.ours.Wall - p.floor.Wall) }), "above-ms")
	b.ReportMetric(figure(pair.ratio), "ratio")
	b.ReportMetric(100*figure(func(p pair) float64 { return max(p.floor.others, p.ours.others) }), "others-%")
}

// silence leaves out the time of an iteration, which is mostly preparation.
func silence(b *testing.B) {
	b.Helper()
	b.ReportMetric(0, "ns/op")
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.0f ms", ms(d)) }

// lap is what one run took, as the stopwatch prints it.
type lap struct {
	Wall   time.Duration `json:"wall"`
	User   time.Duration `json:"user"`
	System time.Duration `json:"system"`
	Exit   int           `json:"exit"`
	// others is the part of the host's time that neither the guest nor the idle
	// loop had.
	others float64
}

// String is the lap for people.
func (l lap) String() string {
	return fmt.Sprintf("%s (user %s, system %s, others had %.0f%% of the host)",
		milliseconds(l.Wall), milliseconds(l.User), milliseconds(l.System), 100*l.others)
}

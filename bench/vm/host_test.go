// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm

package vm_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestMain says how busy the host is, because figures from a busy one mean
// nothing.
func TestMain(m *testing.M) {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("load of the host before: %s", load)
	os.Exit(m.Run())
}

// hostLoad is what the host's processors have done since it started, in ticks.
type hostLoad struct{ total, idle, qemu float64 }

func readLoad(b *testing.B, g guest) hostLoad {
	b.Helper()
	numbers := func(path string, first int) []float64 {
		text, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		line, _, _ := strings.Cut(string(text), "\n")
		// The second word of a process's line is its name, in brackets.
		if i := strings.LastIndexByte(line, ')'); i >= 0 {
			line = "x x" + line[i+1:]
		}
		var out []float64
		for _, word := range strings.Fields(line)[first:] {
			n, err := strconv.ParseFloat(word, 64)
			if err != nil {
				b.Fatal(err)
			}
			out = append(out, n)
		}
		return out
	}
	all := numbers("/proc/stat", 1)                               // user nice system idle iowait …
	own := numbers(fmt.Sprintf("/proc/%d/stat", g.PID()), 13)[:2] // utime stime
	l := hostLoad{idle: all[3] + all[4], qemu: own[0] + own[1]}
	for _, n := range all[:8] {
		l.total += n
	}
	return l
}

// othersSince is the part of the host's time since then that went to others than
// the guest.
func (l hostLoad) othersSince(b *testing.B, g guest) float64 {
	b.Helper()
	now := readLoad(b, g)
	total := now.total - l.total
	if total == 0 {
		return 0
	}
	return max(0, total-(now.idle-l.idle)-(now.qemu-l.qemu)) / total
}

// median is the middle one of the pairs' values, or between the two middle ones.
func median(pairs []pair, of func(pair) float64) float64 {
	values := make([]float64, len(pairs))
	for i, p := range pairs {
		values[i] = of(p)
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

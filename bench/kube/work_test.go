// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package kube_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// work is how much processor time the programs have had, in seconds, by their names. It
// depends on what else the machine does much less than time does.
type work map[string]float64

// used is the work so far of the control plane, the operator and this process.
func (f *fleet) used() work {
	f.b.Helper()
	me := strconv.Itoa(os.Getpid())
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		f.b.Fatal(err)
	}
	out := work{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// The name is in parentheses and may have any character in it (proc_pid_stat(5)).
		pid, rest, _ := strings.Cut(string(text), " (")
		end := strings.LastIndex(rest, ") ")
		name, fields := rest[:end], bytes.Fields([]byte(rest[end+2:]))
		if string(fields[1]) != me && pid != me {
			continue
		}
		const perSecond = 100 // USER_HZ
		user, _ := strconv.ParseFloat(string(fields[11]), 64)
		system, _ := strconv.ParseFloat(string(fields[12]), 64)
		if pid == me {
			name = "bench"
		}
		out[name] += (user + system) / perSecond
	}
	return out
}

func (w work) since(before work) work {
	out := work{}
	for name, seconds := range w {
		out[name] = seconds - before[name]
	}
	return out
}

func (w work) total() float64 {
	var sum float64
	for _, seconds := range w {
		sum += seconds
	}
	return sum
}

// String is the whole work and its parts.
func (w work) String() string {
	out := fmt.Sprintf("%.1f s of processor", w.total())
	for _, name := range []string{"kube-apiserver", "etcd", "sriov-network-o", "bench"} {
		out += fmt.Sprintf(", %s %.1f", name, w[name])
	}
	return out
}

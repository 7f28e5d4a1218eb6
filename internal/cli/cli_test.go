// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/host/sim"
)

var update = flag.Bool("update", false, "write what is printed now into testdata and the stories")

const machines = "../../test/machines/"

// world is what a command under test meets.
type world struct {
	this     *sim.Machine
	in       io.Reader
	terminal Terminal
	name     string
	ctx      context.Context
	// interrupt stands before what is written to standard error.
	interrupt func(io.Writer) io.Writer
}

// said is what a command printed, and its exit code.
type said struct {
	out, err string
	code     int
}

// run runs the command with a clock that stands still, so that every duration is
// zero.
func (w world) run(t *testing.T, args ...string) said {
	t.Helper()
	var out, err bytes.Buffer
	env := Env{
		In: w.in, Out: &out, Err: &err,
		Now:  func() time.Time { return time.Time{} },
		Name: w.name, Version: "v0.0.0-test", Hostname: "this-host", Terminal: w.terminal,
		This: func(string) (host.Host, error) {
			if w.this == nil {
				return host.Host{}, errors.New("the test has no machine of its own")
			}
			return w.this.Host(), nil
		},
	}
	if env.In == nil {
		env.In = strings.NewReader("")
	}
	if w.interrupt != nil {
		env.Err = w.interrupt(&err)
	}
	if env.Name == "" {
		env.Name = "kubectl-sriov"
	}
	ctx := w.ctx
	if ctx == nil {
		ctx = t.Context()
	}
	code := Run(ctx, env, args)
	return said{out: out.String(), err: err.String(), code: code}
}

func run(t *testing.T, args ...string) said {
	t.Helper()
	return world{}.run(t, args...)
}

// described opens one of the machines under test/machines.
func described(t *testing.T, name string) *sim.Machine {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(machines, name))
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, string(text))
}

func parsed(t *testing.T, text string) *sim.Machine {
	t.Helper()
	m, err := sim.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// file writes a file for the test and returns its name.
func file(t *testing.T, name, text string) string {
	t.Helper()
	full := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return full
}

// golden compares text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	full := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(full)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", full, diff)
	}
}

// contains fails for each of the words that the text lacks.
func contains(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%q is missing in:\n%s", word, text)
		}
	}
}

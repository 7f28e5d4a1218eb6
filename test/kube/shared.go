// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"
)

// Shared is a control plane that the tests of a package have in common; each
// takes a namespace of its own. A package has a variable of this type and
//
//	func TestMain(m *testing.M) { os.Exit(plane.Main(m)) }
type Shared struct {
	options []Option
	once    sync.Once
	cluster *Cluster
	err     error
}

// Share returns a control plane that starts when the first test asks for it.
func Share(opts ...Option) *Shared { return &Shared{options: opts} }

// Cluster returns the control plane. It fails the test if it did not come up or
// if a program of it has died.
func (s *Shared) Cluster(tb testing.TB) *Cluster {
	tb.Helper()
	s.once.Do(func() {
		b, err := FromCache()
		if err != nil {
			s.err = err
			return
		}
		started := time.Now()
		// The control plane outlives the test that happens to be the first.
		s.cluster, s.err = Launch(context.WithoutCancel(tb.Context()), b, s.options...)
		tb.Logf("the shared control plane came up in %.1f s", time.Since(started).Seconds())
	})
	if s.err != nil {
		tb.Fatal(s.err)
	}
	if err := s.cluster.Died(); err != nil {
		tb.Fatal(err)
	}
	return s.cluster
}

// Main runs a package's tests and ends the control plane. It returns the exit
// code. Where Main cannot run, as after a panic, the programs end with the
// process all the same.
func (s *Shared) Main(m *testing.M) int {
	code := m.Run()
	if s.cluster == nil {
		return code
	}
	if err := s.cluster.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

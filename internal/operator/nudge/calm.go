// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nudge

import (
	"sync"
	"time"
)

// Calm says how long to wait for changes that come together. It may be used from several
// goroutines.
type Calm struct {
	// Quiet is how long nothing may change before the changes are worked off, and
	// Patience the longest that the first of them waits. Where changes come slowly, as
	// from a busy machine, nothing may change for twice as long as it took between two of
	// them.
	Quiet, Patience time.Duration

	// Expectation is the longest that the first change waits while others are sure to
	// come.
	Expectation time.Duration

	mu          sync.Mutex
	first, last time.Time
	longest     time.Duration
	expects     bool
}

// Note takes a change into account.
func (c *Calm) Note(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first.IsZero() {
		c.first = now
	} else {
		c.longest = max(c.longest, now.Sub(c.last))
	}
	c.last = now
}

// Stirred reports whether there are changes that wait.
func (c *Calm) Stirred() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.first.IsZero()
}

// Expect says whether others are sure to come: then nothing but Expectation counts.
func (c *Calm) Expect(others bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expects = others
}

// Wait is how long to wait still. Zero begins anew.
func (c *Calm) Wait(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	left := min(c.last.Add(max(c.Quiet, 2*c.longest)).Sub(now), c.first.Add(c.Patience).Sub(now))
	if c.expects {
		left = c.first.Add(c.Expectation).Sub(now)
	}
	if left <= 0 {
		c.anew()
	}
	return max(0, left)
}

// Anew lets no change wait any more: all of them are worked off now.
func (c *Calm) Anew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.anew()
}

func (c *Calm) anew() { c.first, c.last, c.longest = time.Time{}, time.Time{}, 0 }

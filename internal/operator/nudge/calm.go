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
	// Patience the longest that the first of them waits.
	Quiet, Patience time.Duration

	// Expectation is the longest that the first change waits while others are sure to
	// come.
	Expectation time.Duration

	mu          sync.Mutex
	first, last time.Time
	expects     bool
}

// Note takes a change into account.
func (c *Calm) Note(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first.IsZero() {
		c.first = now
	}
	c.last = now
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
	left := min(c.last.Add(c.Quiet).Sub(now), c.first.Add(c.Patience).Sub(now))
	if c.expects {
		left = c.first.Add(c.Expectation).Sub(now)
	}
	if left <= 0 {
		c.first, c.last = time.Time{}, time.Time{}
	}
	return max(0, left)
}

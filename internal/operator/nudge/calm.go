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

	mu          sync.Mutex
	first, last time.Time
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

// Wait is how long to wait still. Zero begins anew.
func (c *Calm) Wait(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	left := min(c.last.Add(c.Quiet).Sub(now), c.first.Add(c.Patience).Sub(now))
	if left <= 0 {
		c.first, c.last = time.Time{}, time.Time{}
	}
	return max(0, left)
}

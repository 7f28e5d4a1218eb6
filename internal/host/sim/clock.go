// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package sim

import "time"

// clock is the time that one call into the kernel has got to. Timers ring late, and
// what the simulation does takes time, too. The clock makes up for both at the
// call's next wait, and through locks at those of the calls behind it, so that
// delays add up to what they say.
type clock struct{ at time.Time }

func startClock() *clock { return &clock{at: now()} }

func now() time.Time {
	return time.Now() //nolint:forbidigo // what a delay is counted from; nothing that the machine says depends on it
}

// pass lets simulated time go by. The kernel does not stop because the caller
// did, so there is no context.
func (c *clock) pass(d time.Duration) {
	if d <= 0 {
		return
	}
	c.at = c.at.Add(d)
	if left := c.at.Sub(now()); left > 0 {
		<-time.NewTimer(left).C
	}
}

// await waits for something that is no part of the kernel.
func (c *clock) await(event <-chan struct{}) {
	<-event
	c.at = now()
}

// lock is one of the kernel's mutexes. While nobody holds it, it says when it was
// let go of. A channel, so that waiting for it is waiting on an event.
type lock chan time.Time

func newLock() lock {
	l := make(lock, 1)
	l <- time.Time{}
	return l
}

func (c *clock) acquire(l lock) {
	if free := <-l; free.After(c.at) {
		c.at = free
	}
}

func (c *clock) release(l lock) { l <- c.at }

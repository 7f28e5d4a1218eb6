// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package nudge

import (
	"testing"
	"time"
)

func TestChangesThatComeTogetherAreWaitedFor(t *testing.T) {
	const quiet, patience = 100 * time.Millisecond, 500 * time.Millisecond
	start := time.Unix(1000, 0)
	c := Calm{Quiet: quiet, Patience: patience}
	if got := c.Wait(start); got != 0 {
		t.Errorf("waits %s although nothing has changed", got)
	}
	c.Note(start)
	if got := c.Wait(start); got != quiet {
		t.Errorf("waits %s after a change, want %s", got, quiet)
	}
	c.Note(start.Add(quiet / 2))
	if got := c.Wait(start.Add(quiet)); got != quiet/2 {
		t.Errorf("waits %s after another change, want %s", got, quiet/2)
	}
	for at := time.Duration(0); at < patience; at += quiet / 2 {
		c.Note(start.Add(at))
	}
	if got := c.Wait(start.Add(patience)); got != 0 {
		t.Errorf("waits %s although the first change is %s old", got, patience)
	}
	c.Note(start.Add(2 * patience))
	if got := c.Wait(start.Add(2 * patience)); got != quiet {
		t.Errorf("waits %s after it began anew, want %s", got, quiet)
	}
}

func TestChangesThatComeSlowlyAreWaitedForLonger(t *testing.T) {
	const quiet, patience = 100 * time.Millisecond, time.Second
	start := time.Unix(1000, 0)
	c := Calm{Quiet: quiet, Patience: patience}
	c.Note(start)
	c.Note(start.Add(80 * time.Millisecond))
	if got, want := c.Wait(start.Add(80*time.Millisecond)), 160*time.Millisecond; got != want {
		t.Errorf("waits %s although the second came 80 ms after the first, want %s", got, want)
	}
	c.Note(start.Add(230 * time.Millisecond))
	c.Note(start.Add(231 * time.Millisecond))
	if got, want := c.Wait(start.Add(231*time.Millisecond)), 300*time.Millisecond; got != want {
		t.Errorf("waits %s although it once took 150 ms, want %s", got, want)
	}
	c.Note(start.Add(500 * time.Millisecond))
	if got, want := c.Wait(start.Add(500*time.Millisecond)), 500*time.Millisecond; got != want {
		t.Errorf("waits %s, want the %s that the first has left of its patience", got, want)
	}
	if !c.Stirred() || c.Wait(start.Add(patience)) != 0 || c.Stirred() {
		t.Error("changes do not wait until their time has come, or still do then")
	}
	c.Note(start.Add(2 * patience))
	if got := c.Wait(start.Add(2 * patience)); got != quiet {
		t.Errorf("waits %s after it began anew, want %s", got, quiet)
	}
}

func TestChangesThatAreWorkedOffEarlierDoNotWait(t *testing.T) {
	start := time.Unix(1000, 0)
	c := Calm{Quiet: time.Second, Patience: time.Minute}
	c.Note(start)
	c.Anew()
	if c.Stirred() {
		t.Error("a change waits that is worked off")
	}
	c.Note(start.Add(time.Minute))
	if got := c.Wait(start.Add(time.Minute)); got != time.Second || !c.Stirred() {
		t.Errorf("waits %s for the next change, which waits: %t", got, c.Stirred())
	}
}

func TestChangesThatAreSureToComeAreWaitedFor(t *testing.T) {
	start := time.Unix(1000, 0)
	begun := func() *Calm {
		c := &Calm{Quiet: time.Second, Patience: 5 * time.Second, Expectation: time.Minute}
		c.Expect(true)
		c.Note(start)
		return c
	}
	c := begun()
	if got := c.Wait(start.Add(20 * time.Second)); got != 40*time.Second {
		t.Errorf("waits %s 20 s after the first, want the rest of a minute", got)
	}
	if got := c.Wait(start.Add(time.Minute)); got != 0 {
		t.Errorf("waits %s after a minute, although nobody waits longer", got)
	}
	c = begun()
	c.Note(start.Add(20 * time.Second))
	c.Expect(false)
	if got := c.Wait(start.Add(20 * time.Second)); got != 0 {
		t.Errorf("waits %s although nothing is to come and the first change is 20 s old", got)
	}
	c = begun()
	c.Expect(false)
	if got := c.Wait(start); got != time.Second {
		t.Errorf("waits %s after the last one came, want a second", got)
	}
}

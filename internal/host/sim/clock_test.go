// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"testing/synctest"
	"time"
)

const ms = time.Millisecond

// work is what the simulation itself does, or a timer that rings late.
func work(d time.Duration) { <-time.NewTimer(d).C }

func TestWhatTheSimulationDoesIsPartOfTheDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin, c := time.Now(), startClock()
		for range 10 {
			work(3 * ms)
			c.pass(10 * ms)
		}
		if took := time.Since(begin); took != 100*ms {
			t.Errorf("ten delays of 10 ms took %v", took)
		}
	})
}

func TestALockIsFreeWhenItsHolderShouldHaveBeenDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin, l := time.Now(), newLock()
		first, second := startClock(), startClock()
		first.acquire(l)
		go func() {
			first.pass(10 * ms)
			work(3 * ms)
			first.release(l)
		}()
		second.acquire(l)
		second.pass(10 * ms)
		if took := time.Since(begin); took != 20*ms {
			t.Errorf("two delays of 10 ms took %v", took)
		}
	})
}

func TestWhoComesLaterIsNotMadeEarlierByALock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLock()
		first := startClock()
		first.acquire(l)
		first.release(l)
		work(50 * ms)
		begin, second := time.Now(), startClock()
		second.acquire(l)
		second.pass(10 * ms)
		if took := time.Since(begin); took != 10*ms {
			t.Errorf("a delay of 10 ms took %v", took)
		}
	})
}

func TestAFreshNameHasTheLowestNumberThatIsFree(t *testing.T) {
	n := newNames[int]()
	take := func(prefix, want string) {
		t.Helper()
		got := n.fresh(prefix)
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		n.by[got] = 0
	}
	n.by["eth1"] = 0
	take("eth", "eth0")
	take("eth", "eth2")
	take("mlx5_", "mlx5_0")
	n.drop("eth1")
	n.drop("eth0")
	take("eth", "eth0")
	take("eth", "eth1")
	take("eth", "eth3")
}

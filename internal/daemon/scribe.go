// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// job is one thing to be written to the API server.
type job struct {
	// key makes a later job take the place of an earlier one that has not begun.
	key string
	run func(ctx context.Context) error
	// failed is told when the API server refuses for good; it may be nil.
	failed func(err error)
}

// scribe writes to the API server, one job after the other, for as long as it takes:
// whoever posts a job goes on.
type scribe struct {
	jobs chan job
	log  *slog.Logger
}

func newScribe(log *slog.Logger) *scribe { return &scribe{jobs: make(chan job), log: log} }

// post hands a job over.
func (s *scribe) post(ctx context.Context, j job) {
	select {
	case s.jobs <- j:
	case <-ctx.Done():
	}
}

// Waits between two tries of a job.
const (
	firstWait   = 200 * time.Millisecond
	longestWait = 10 * time.Second
)

// serve carries jobs out until ctx ends.
func (s *scribe) serve(ctx context.Context) {
	var queue []job // the first is under way while busy
	busy := false
	done := make(chan error, 1)
	pause := time.NewTimer(0)
	defer pause.Stop()
	<-pause.C
	waiting, wait := false, firstWait
	for {
		if !busy && !waiting && len(queue) > 0 {
			busy = true
			go func(j job) { done <- s.carryOut(ctx, j) }(queue[0])
		}
		select {
		case <-ctx.Done():
			return
		case j := <-s.jobs:
			queue = put(queue, j, busy)
		case <-pause.C:
			waiting = false
		case err := <-done:
			busy = false
			if err == nil || final(err) {
				queue, wait = queue[1:], firstWait
				continue
			}
			s.log.Warn("the API server does not take a write; trying again", "write", queue[0].key, "err", err, "after", wait)
			queue = superseded(queue)
			waiting = true
			pause.Reset(wait)
			wait = min(2*wait, longestWait)
		}
	}
}

// put adds a job, in the place of one with its key that has not begun.
func put(queue []job, j job, busy bool) []job {
	first := 0
	if busy {
		first = 1
	}
	for i := first; i < len(queue); i++ {
		if queue[i].key == j.key {
			queue[i] = j
			return queue
		}
	}
	return append(queue, j)
}

// superseded puts a later job with the first one's key in its place.
func superseded(queue []job) []job {
	i := slices.IndexFunc(queue[1:], func(j job) bool { return j.key == queue[0].key })
	if i < 0 {
		return queue
	}
	queue[0] = queue[i+1]
	return slices.Delete(queue, i+1, i+2)
}

// carryOut does the job, and tells when it cannot be done at all.
func (s *scribe) carryOut(ctx context.Context, j job) error {
	s.log.Log(ctx, most, "writing", "write", j.key)
	err := j.run(ctx)
	if err == nil || !final(err) {
		return err
	}
	s.log.Warn("the API server refuses a write", "write", j.key, "err", err)
	if j.failed != nil {
		j.failed(err)
	}
	return err
}

// final reports whether trying again is no use: what is written to is gone, or the
// request is wrong.
func final(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || errors.Is(err, errSuperfluous)
}

// errSuperfluous ends a job that nobody misses.
var errSuperfluous = errors.New("given up")

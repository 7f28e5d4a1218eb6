// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// Key is what requests are counted by.
type Key struct {
	Verb, Group, Resource, Subresource, UserAgent string
}

// record is what a proxy remembers of the requests.
type record struct {
	mu       sync.Mutex
	script   *script
	requests []Request
	struck   map[string]int
	open     int           // requests that are being answered, without watches
	changed  chan struct{} // closed and replaced with every begin and end
}

func newRecord(s *script) *record {
	return &record{script: s, struck: map[string]int{}, changed: make(chan struct{})}
}

// begin writes a request down and returns its fault, and what to call at its end.
func (c *record) begin(r Request) (f Fault, end func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, r)
	if f = c.script.strike(r); f != nil {
		c.struck[f.String()]++
	}
	if Watches(r) {
		c.stir(0)
		return f, func() {}
	}
	c.stir(1)
	return f, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.stir(-1)
	}
}

func (c *record) stir(opened int) {
	c.open += opened
	close(c.changed)
	c.changed = make(chan struct{})
}

// Script replaces the rules; watches that are open keep the faults that they have.
// Without rules nothing goes wrong any more.
func (p *Proxy) Script(rules ...Rule) {
	p.record.mu.Lock()
	defer p.record.mu.Unlock()
	p.record.script = newScript(p.seed, rules)
}

// Requests returns the requests since the start or the last Reset, in the order
// in which they came.
func (p *Proxy) Requests() []Request {
	p.record.mu.Lock()
	defer p.record.mu.Unlock()
	return slices.Clone(p.record.requests)
}

// Counts counts Requests.
func (p *Proxy) Counts() map[Key]int {
	counts := map[Key]int{}
	for _, r := range p.Requests() {
		counts[Key{r.Verb, r.Group, r.Resource, r.Subresource, r.UserAgent}]++
	}
	return counts
}

// Struck returns how often each fault struck since the start or the last Reset,
// by what its String says. A test that wants faults makes sure that it got them.
func (p *Proxy) Struck() map[string]int {
	p.record.mu.Lock()
	defer p.record.mu.Unlock()
	return maps.Clone(p.record.struck)
}

// Reset forgets the requests and faults so far.
func (p *Proxy) Reset() {
	p.record.mu.Lock()
	defer p.record.mu.Unlock()
	p.record.requests, p.record.struck = nil, map[string]int{}
}

// Quiet waits until no request has begun or ended for a while and none is being
// answered, watches aside.
func (p *Proxy) Quiet(ctx context.Context, while time.Duration) error {
	for {
		p.record.mu.Lock()
		changed, open := p.record.changed, p.record.open
		p.record.mu.Unlock()
		var calm <-chan time.Time // never, while something is open
		if open == 0 {
			calm = time.After(while)
		}
		select {
		case <-calm:
			return nil
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

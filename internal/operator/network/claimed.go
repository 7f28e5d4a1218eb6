// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"sync"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// Claimed are the entries of sriov-configmap that are in force, as policies. The zero
// Claimed does not know them yet, and networks whose VF driver they may decide wait for
// it. It may be used from several goroutines. A nil one has none.
type Claimed struct {
	mu       sync.Mutex
	policies []sriovv1.SriovNetworkNodePolicy
	known    bool
	bell     *bell
}

// Set says what the entries are now. Of each, resource name and device type count.
func (c *Claimed) Set(ctx context.Context, policies []sriovv1.SriovNetworkNodePolicy) error {
	c.mu.Lock()
	c.policies, c.known = policies, true
	b := c.bell
	c.mu.Unlock()
	if b == nil {
		return nil
	}
	return b.ring(ctx, asksForDriver)
}

// connect tells which networks to look at again when entries change.
func (c *Claimed) connect(b *bell) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bell = b
}

// get are the entries, and false while they are not known.
func (c *Claimed) get() ([]sriovv1.SriovNetworkNodePolicy, bool) {
	if c == nil {
		return nil, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.policies, c.known
}

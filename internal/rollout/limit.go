// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package rollout

import "strconv"

// Limit is how many nodes of a pool may be out at the same time. The zero Limit lets no
// node go.
type Limit struct {
	kind limitKind
	n    int
}

type limitKind int

const (
	byCount limitKind = iota
	byPercent
	unlimited
)

// Unlimited is no limit.
func Unlimited() Limit { return Limit{kind: unlimited} }

// Count is a number of nodes. Zero lets no node go.
func Count(n int) Limit { return Limit{kind: byCount, n: n} }

// Percent is a share of the pool, from 1 up, rounded up to at least one node.
func Percent(p int) Limit { return Limit{kind: byPercent, n: p} }

// Of is the limit for a pool of so many nodes, and false when there is none.
func (l Limit) Of(nodes int) (int, bool) {
	switch l.kind {
	case byCount:
		return l.n, true
	case byPercent:
		return max(1, (l.n*nodes+99)/100), true
	case unlimited:
	}
	return 0, false
}

// String is the limit as an administrator writes it.
func (l Limit) String() string {
	switch l.kind {
	case byCount:
		return strconv.Itoa(l.n)
	case byPercent:
		return strconv.Itoa(l.n) + "%"
	case unlimited:
	}
	return "unlimited"
}

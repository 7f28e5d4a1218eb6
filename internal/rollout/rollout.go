// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package rollout

import "time"

// BuiltIn is the name of the pool of the nodes that no other pool selects. One node of
// it at a time is out.
const BuiltIn = ""

// Pool is a group of nodes that take turns.
type Pool struct {
	Name  string
	Limit Limit
}

// Node is what is known of a node.
type Node struct {
	Name string
	// Pools are the names of the pools that select it. A node without one is in the
	// built-in pool.
	Pools []string
	// Asks: the node wants to be taken out, or to stay out.
	Asks bool
	Held Held
	// Slot: the node was given a slot and has not given it back for all that is known,
	// even if Held does not show it yet, or not any more.
	Slot   bool
	Health Health
	// Cordoned: somebody else cordoned the node.
	Cordoned bool
	// External: other software grants this node its turns; it only counts.
	External bool
	// Since is when the node began to wait, or to drain.
	Since time.Time
}

// Held is how far a node that was granted its turn is.
type Held int

// How far a node is.
const (
	// Idle: the node has no turn.
	Idle Held = iota
	// Draining: pods are leaving the node.
	Draining
	// Drained: the node is free and may be changed. It keeps its turn until it asks no
	// more, however long, since nobody else can tell what it is in the middle of.
	Drained
)

// Health is whether a node is of use.
type Health int

// Healths.
const (
	// Ready is in service.
	Ready Health = iota
	// NotReady: its kubelet says that it is not in service.
	NotReady
	// Lost: its kubelet says nothing any more. No pod can end on it.
	Lost
)

// Move is what becomes of a node now.
type Move int

// Moves.
const (
	// Rest: the node asks for nothing and has nothing.
	Rest Move = iota
	// Wait: the node does not get its turn yet; see Cause.
	Wait
	// Go: the node gets its turn.
	Go
	// Keep: the node has its turn and keeps it.
	Keep
	// Yield: the node's drain has taken too long while others wait, and it goes back to
	// the end of the queue.
	Yield
	// Finish: the node needs its turn no more.
	Finish
	// Leave: other software looks after the node.
	Leave
)

// String is the move in one word.
func (m Move) String() string {
	return [...]string{"rest", "wait", "go", "keep", "yield", "finish", "leave"}[m]
}

// HasSlot reports whether a node with this move has a slot.
func (m Move) HasSlot() bool { return m == Go || m == Keep || m == Yield || m == Finish }

// Cause is why a node waits.
type Cause int

// Causes.
const (
	// NoCause: the node does not wait.
	NoCause Cause = iota
	// Full: as many nodes of the pool are out as may be.
	Full
	// Closed: the pool lets no node go.
	Closed
	// TwoPools: the node is in more than one pool, so that it is not known which limit
	// holds for it.
	TwoPools
	// Silent: the node's kubelet says nothing, so that no pod could end on it.
	Silent
)

// String is the cause in a word.
func (c Cause) String() string {
	return [...]string{"none", "full", "closed", "two pools", "silent"}[c]
}

// Verdict is what becomes of a node.
type Verdict struct {
	Node string
	Move Move
	// Cause is why the node waits.
	Cause Cause
	// Pool is the one that the node takes turns in. It means nothing for a node in two.
	Pool string
}

// Outage is a node that is out, and why.
type Outage struct {
	Node string
	Why  Why
	// Since is when the node began to drain, or to be changed, for one that does.
	Since time.Time
	// Overdue: the node has been draining, or changed, for longer than it should.
	Overdue bool
}

// Why is why a node is out.
type Why int

// Why a node is out. Of several the first counts.
const (
	// IsDraining: pods are leaving it.
	IsDraining Why = iota
	// IsChanged: it has been drained and is being changed.
	IsChanged
	// IsNotReady: its kubelet does not say that it is ready.
	IsNotReady
	// IsCordoned: somebody else cordoned it.
	IsCordoned
)

// String says it in a few words.
func (w Why) String() string {
	return [...]string{"draining", "being changed", "not ready", "cordoned by somebody else"}[w]
}

// Report is what becomes of a pool.
type Report struct {
	Pool Pool
	// Nodes is how many nodes are in the pool, and Limit how many of them may be out if
	// Limited.
	Nodes, Limit int
	Limited      bool
	// Out are the nodes that are out, by name.
	Out []Outage
	// Waiting are the nodes that wait, in the order in which they will go.
	Waiting []string
	// Shared are the nodes that are in another pool, too, with the names of all their
	// pools, by name.
	Shared []Shared
}

// Shared is a node in more than one pool.
type Shared struct {
	Node  string
	Pools []string
}

// Rollout is what becomes of everything.
type Rollout struct {
	// Verdicts are by the name of the node.
	Verdicts []Verdict
	// Reports are by the name of the pool, that of the built-in pool first.
	Reports []Report
	// Again is when it has to be decided again although nothing happens: when the next
	// drain or change will have taken too long. Zero is never.
	Again time.Time
}

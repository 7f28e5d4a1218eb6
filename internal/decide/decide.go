// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"fmt"

	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// Need is what the next thing to do needs of the node.
type Need uint8

// The needs.
const (
	// Nothing is left to do.
	Nothing Need = iota
	// Quiet: steps that take no VF from anybody.
	Quiet
	// Free: steps that take VFs which nobody holds, and which nobody is given while the
	// device plugin waits.
	Free
	// Exposed: as Free, but nothing keeps a new pod from being given such a VF.
	Exposed
	// Held: steps that take VFs which pods hold.
	Held
	// Overdue: as Held, and the pods have stayed long after the drain was complete.
	Overdue
	// Unknown: steps that take VFs, and it cannot be learned who holds them.
	Unknown
	// Blind: as Unknown, long after the drain was complete.
	Blind
	// Foreign: steps that take VFs which somebody holds who is no pod that the kubelet
	// knows, so that no drain makes them leave.
	Foreign
	// Occupied: as Foreign, and they have stayed.
	Occupied
	// Restart: what is asked for is in force only after a restart of the node.
	Restart
	// Cooling: what is left has failed and is tried again in a moment.
	Cooling
	// Spent: what is left has failed and is not tried again before something changes.
	Spent
)

// String is the need in one word.
func (n Need) String() string {
	switch n {
	case Nothing:
		return "nothing"
	case Quiet:
		return "quiet"
	case Free:
		return "free"
	case Exposed:
		return "exposed"
	case Held:
		return "held"
	case Overdue:
		return "overdue"
	case Unknown:
		return "unknown"
	case Blind:
		return "blind"
	case Foreign:
		return "foreign"
	case Occupied:
		return "occupied"
	case Restart:
		return "restart"
	case Cooling:
		return "cooling"
	case Spent:
		return "spent"
	}
	return fmt.Sprintf("Need(%d)", uint8(n))
}

// Request is what the daemon has asked for: sriovnetwork.openshift.io/state on the Node.
type Request uint8

// The requests.
const (
	// AskNothing is Idle.
	AskNothing Request = iota
	// AskDrain is Drain_Required: pods that hold VFs must leave.
	AskDrain
	// AskReboot is Reboot_Required: everybody must leave.
	AskReboot
)

// String is the request in one word.
func (r Request) String() string {
	switch r {
	case AskNothing:
		return "nothing"
	case AskDrain:
		return "drain"
	case AskReboot:
		return "reboot"
	}
	return fmt.Sprintf("Request(%d)", uint8(r))
}

// Grant is what was answered: sriovnetwork.openshift.io/current-state on the node state.
type Grant uint8

// The grants.
const (
	// NotGranted is Idle: the node has no turn.
	NotGranted Grant = iota
	// Draining: it is the node's turn, and pods are leaving.
	Draining
	// Granted is DrainComplete: the node may be changed.
	Granted
)

// String is the grant in one word.
func (g Grant) String() string {
	switch g {
	case NotGranted:
		return "idle"
	case Draining:
		return "draining"
	case Granted:
		return "complete"
	}
	return fmt.Sprintf("Grant(%d)", uint8(g))
}

// Facts are what Next decides on.
type Facts struct {
	Need    Need
	Request Request
	Grant   Grant
	// DrainDisabled is disableDrain of the operator configuration: pods are not asked to
	// leave. Restarts still take turns.
	DrainDisabled bool
}

// Verb is what to do.
type Verb uint8

// The verbs. There are no others.
const (
	// Rest: there is nothing to do.
	Rest Verb = iota
	// Apply: carry out what Weigh returned.
	Apply
	// Ask: say who must leave, then ask for it.
	Ask
	// Wait for somebody else, or for a moment.
	Wait
	// GiveBack: ask for nothing any more, so that the node is let go.
	GiveBack
	// Reboot: restart the node.
	Reboot
	// Fail: leave it, say why, and wait for a change.
	Fail
)

// String is the verb.
func (v Verb) String() string {
	switch v {
	case Rest:
		return "Rest"
	case Apply:
		return "Apply"
	case Ask:
		return "Ask"
	case Wait:
		return "Wait"
	case GiveBack:
		return "GiveBack"
	case Reboot:
		return "Reboot"
	case Fail:
		return "Fail"
	}
	return fmt.Sprintf("Verb(%d)", uint8(v))
}

// Move is what to do, and why.
type Move struct {
	Do Verb
	// For is what to ask for; only with Ask.
	For Request
	Why reason.Reason
}

// String is the move in a few words.
func (m Move) String() string {
	if m.Do == Ask {
		return fmt.Sprintf("Ask %s: %s", m.For, m.Why)
	}
	return fmt.Sprintf("%s: %s", m.Do, m.Why)
}

// Next says what the daemon does now. testdata/truth.golden is all of it.
func Next(f Facts) Move {
	switch f.Need {
	case Nothing:
		return unasked(f, Move{Do: Rest, Why: reason.AsDesired}, reason.DrainNotNeeded)
	case Quiet:
		return Move{Do: Apply, Why: reason.DisturbsNobody}
	case Free:
		return Move{Do: Apply, Why: reason.NobodyHolds}
	case Exposed, Held, Overdue, Unknown, Blind:
		return taking(f)
	case Foreign, Occupied:
		return foreign(f)
	case Restart:
		return restart(f)
	case Cooling:
		return Move{Do: Wait, Why: reason.RetrySoon}
	case Spent:
		return unasked(f, Move{Do: Fail, Why: reason.StepFailed}, reason.StepFailed)
	}
	return Move{Do: Wait, Why: reason.HoldersUnknown}
}

// unasked makes the move once nothing is asked for: a node that does not use its turn
// keeps it from no other.
func unasked(f Facts, then Move, why reason.Reason) Move {
	if f.Request != AskNothing {
		return Move{Do: GiveBack, Why: why}
	}
	return then
}

// taking is for steps that take VFs and need a drain.
func taking(f Facts) Move {
	switch {
	case f.DrainDisabled:
		return Move{Do: Apply, Why: reason.DrainDisabled}
	case f.Need == Unknown:
		return Move{Do: Wait, Why: reason.HoldersUnknown}
	case f.Need == Blind:
		return unasked(f, Move{Do: Wait, Why: reason.HoldersUnknown}, reason.HoldersUnknown)
	case f.Request == AskReboot && f.Grant == Draining:
		return Move{Do: GiveBack, Why: reason.DrainExceeds}
	}
	if m, ok := turn(f, AskDrain, askedBecause(f.Need)); !ok {
		return m
	}
	if f.Need == Held {
		return Move{Do: Wait, Why: reason.PodsLeaving}
	}
	if f.Need == Overdue {
		return Move{Do: GiveBack, Why: reason.PodsStay}
	}
	return Move{Do: Apply, Why: reason.DrainGranted}
}

// foreign is for steps that take VFs from somebody who is no pod. Asking for a drain
// would make pods leave in vain. Whoever it is may be a pod that is nearly gone, so a turn
// is kept for a while.
func foreign(f Facts) Move {
	switch {
	case f.DrainDisabled:
		return Move{Do: Apply, Why: reason.DrainDisabled}
	case f.Need == Foreign:
		return Move{Do: Wait, Why: reason.HeldByNoPod}
	}
	return unasked(f, Move{Do: Fail, Why: reason.HeldByNoPod}, reason.HeldByNoPod)
}

func askedBecause(n Need) reason.Reason {
	if n == Exposed {
		return reason.VFsMayBeGiven
	}
	return reason.PodsHoldVFs
}

// restart is for what needs a restart of the node. Restarts take turns, also where
// nobody is asked to leave.
func restart(f Facts) Move {
	if f.Request == AskDrain && f.Grant != NotGranted {
		return Move{Do: GiveBack, Why: reason.DrainFallsShort}
	}
	if m, ok := turn(f, AskReboot, reason.RestartNeeded); !ok {
		return m
	}
	return Move{Do: Reboot, Why: reason.RestartGranted}
}

// turn is whether it is the node's turn, for this or for more, and else how it comes
// by one.
func turn(f Facts, request Request, why reason.Reason) (Move, bool) {
	switch {
	case f.Request == AskNothing && f.Grant != NotGranted:
		// Whoever lets the node go may be in the middle of it.
		return Move{Do: Wait, Why: reason.LettingGo}, false
	case f.Grant == Granted:
		return Move{}, true
	case f.Request != request:
		return Move{Do: Ask, For: request, Why: why}, false
	case f.Grant == Draining:
		return Move{Do: Wait, Why: reason.DrainRunning}, false
	}
	return Move{Do: Wait, Why: reason.DrainPending}, false
}

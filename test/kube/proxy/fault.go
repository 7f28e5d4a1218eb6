// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"fmt"
	"time"
)

// Fault is what becomes of a request: Delay, Hold, Answer, Cut, Drop, End,
// Expire or Repeat.
//
//sumtype:decl
type Fault interface {
	fmt.Stringer
	fault()
}

type (
	// Delay lets a request wait before it reaches the API server. A watch is
	// opened at once, and each of its events arrives so much later.
	Delay struct{ By time.Duration }

	// Hold lets a request wait before it reaches the API server, until a
	// channel is closed. A watch is opened at once, and its events wait.
	Hold struct{ Until <-chan struct{} }

	// Answer refuses a request with an HTTP status; the API server does not
	// see it. 409 says Conflict, 410 Expired, 429 TooManyRequests, 500
	// InternalError, 503 ServiceUnavailable, 504 Timeout.
	Answer struct {
		Code       int
		RetryAfter time.Duration // whole seconds; 0 is no such header
	}

	// Cut breaks an answer off after so many bytes of its body. With 0 the
	// request took effect, and the client does not learn of it.
	Cut struct{ Bytes int64 }

	// Drop closes the connection under a watch after so many events, and with it
	// all that the client has open on that connection. Any other request loses
	// its connection after it took effect.
	Drop struct{ Events int }

	// End ends a watch in order after so many events, as an API server does
	// when its time is up. It does nothing to other requests.
	End struct{ Events int }

	// Expire ends a watch after so many events with an error event of 410
	// Expired, upon which a client has to list again. Any other request is
	// answered with 410.
	Expire struct{ Events int }

	// Repeat sends each event of a watch that adds, modifies or deletes an
	// object twice. It does nothing to other requests.
	Repeat struct{}
)

func (Delay) fault()  {}
func (Hold) fault()   {}
func (Answer) fault() {}
func (Cut) fault()    {}
func (Drop) fault()   {}
func (End) fault()    {}
func (Expire) fault() {}
func (Repeat) fault() {}

func (f Delay) String() string  { return fmt.Sprintf("delay by %v", f.By) }
func (f Hold) String() string   { return "hold" }
func (f Answer) String() string { return fmt.Sprintf("answer %d", f.Code) }
func (f Cut) String() string    { return fmt.Sprintf("cut after %d bytes", f.Bytes) }
func (f Drop) String() string   { return fmt.Sprintf("drop after %d events", f.Events) }
func (f End) String() string    { return fmt.Sprintf("end after %d events", f.Events) }
func (f Expire) String() string { return fmt.Sprintf("expire after %d events", f.Events) }
func (f Repeat) String() string { return "repeat" }

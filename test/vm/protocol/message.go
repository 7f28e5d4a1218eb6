// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package protocol

import "io/fs"

// Hello begins a session; every call of an earlier session ends. The agent
// first sets the guest's clock, and its host name if one is given.
type Hello struct {
	Session  uint64 `json:"session"` // chosen by the host, never 0
	UnixNano int64  `json:"unixNano"`
	Hostname string `json:"hostname,omitempty"`
}

// Welcome is the agent's answer to a Hello, or its announcement that it has
// just started, when Session is 0.
type Welcome struct {
	Session uint64 `json:"session"`
	BootID  string `json:"bootID"`          // /proc/sys/kernel/random/boot_id
	Error   string `json:"error,omitempty"` // why the session did not begin
}

// Call is a request to the agent. Exactly one field is set.
type Call struct {
	Command *Command `json:"command,omitempty"`
	Receive *Receive `json:"receive,omitempty"`
	Send    *Send    `json:"send,omitempty"`
}

// Command runs a program until it ends. It runs in a process group of its own,
// or, with a terminal, in a session of its own.
type Command struct {
	Argv []string  `json:"argv"`
	Env  []string  `json:"env,omitempty"` // name=value, added to the agent's
	Dir  string    `json:"dir,omitempty"`
	TTY  *Terminal `json:"tty,omitempty"`
}

// Terminal is the size of the terminal that a command gets.
type Terminal struct {
	Rows    uint16 `json:"rows"`
	Columns uint16 `json:"columns"`
}

// Scope says who receives a signal.
type Scope string

// The scopes of a signal.
const (
	ScopeProcess Scope = "process" // the command alone
	ScopeGroup   Scope = "group"   // the command and what it started
)

// Signal sends a signal to a running command.
type Signal struct {
	Number int   `json:"number"`
	Scope  Scope `json:"scope"`
}

// Receive takes Bytes bytes from the exchange disk to a file. A file larger
// than the exchange disk comes in pieces, in order; it appears under its name,
// whole, with the last.
type Receive struct {
	Path  string      `json:"path"`
	Mode  fs.FileMode `json:"mode"`
	Bytes int         `json:"bytes"`
	Piece Piece       `json:"piece"`
}

// Piece is the place of a piece in its file.
type Piece struct {
	First bool `json:"first"`
	Last  bool `json:"last"`
}

// Send puts a piece of a file on the exchange disk: what there is from Offset
// on, up to the disk's size.
type Send struct {
	Path   string `json:"path"`
	Offset int64  `json:"offset"`
}

// Result ends a call.
type Result struct {
	Error  string `json:"error,omitempty"`  // why the call was not carried out
	Exit   int    `json:"exit"`             // of a Command that ended by itself
	Signal int    `json:"signal,omitempty"` // that ended a Command; 0 is none
	Bytes  int    `json:"bytes,omitempty"`  // that Send put on the disk
	Size   int64  `json:"size,omitempty"`   // of the file that Send reads
}

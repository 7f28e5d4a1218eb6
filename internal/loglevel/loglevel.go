// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package loglevel is how much a program logs: what its flag asks for, or the operator
// configuration if that asks for more.
package loglevel

import (
	"log/slog"
	"sync/atomic"
)

// Level is the level of a program's log. It may be changed while others log.
type Level struct {
	now  slog.LevelVar
	flag int
	last atomic.Int64
}

// New is the level that a flag asks for: 0 for changes and errors, more for more.
func New(flag int) *Level {
	l := &Level{flag: flag}
	l.now.Set(slog.Level(-flag))
	return l
}

// Level is the least level that is logged: level n of the configuration is -n, as with
// logr.
func (l *Level) Level() slog.Level { return l.now.Level() }

// Follow takes the level that the operator configuration asks for, and tells of a change.
func (l *Level) Follow(info func(message string, about ...any), wanted int) {
	was := l.last.Swap(int64(wanted))
	if int(was) == wanted {
		return
	}
	l.now.Set(slog.Level(-max(l.flag, wanted)))
	// Other software looks for these words.
	info("Set log verbose level", "new-level", wanted, "current-level", int(was))
}

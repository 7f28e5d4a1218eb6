// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"log/slog"
	"sync/atomic"

	"github.com/go-logr/logr"
)

// level is how much is logged: what the flag asks for, or the operator configuration if
// that asks for more.
type level struct {
	slog.LevelVar
	flag int
	last atomic.Int64
}

func newLevel(flag int) *level {
	l := &level{flag: flag}
	l.Set(slog.Level(-flag))
	return l
}

// follow takes the level that the operator configuration asks for.
func (l *level) follow(log logr.Logger, wanted int) {
	was := l.last.Swap(int64(wanted))
	if int(was) == wanted {
		return
	}
	l.Set(slog.Level(-max(l.flag, wanted)))
	// Other software looks for these words.
	log.Info("Set log verbose level", "new-level", wanted, "current-level", int(was))
}

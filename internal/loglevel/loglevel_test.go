// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package loglevel_test

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/kubeovn/sriov-network-operator/internal/loglevel"
)

func TestTheConfigurationAsksForMoreAndNeverForLessThanTheFlag(t *testing.T) {
	l := loglevel.New(1)
	var told []string
	follow := func(wanted int, want slog.Level) {
		t.Helper()
		l.Follow(func(message string, about ...any) {
			told = append(told, fmt.Sprintln(append([]any{message}, about...)...))
		}, wanted)
		if l.Level() != want {
			t.Errorf("asked for %d: %d", wanted, l.Level())
		}
	}
	follow(0, -1)
	follow(2, -2)
	follow(2, -2)
	follow(0, -1)
	want := []string{
		"Set log verbose level new-level 2 current-level 0\n",
		"Set log verbose level new-level 0 current-level 2\n",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package program

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestTheExitCodeSaysHowItEnded(t *testing.T) {
	tests := map[string]struct {
		err  error
		code int
		says string
	}{
		"well":                  {nil, 0, ""},
		"it was asked for help": {fmt.Errorf("read the flags: %w", flag.ErrHelp), 0, ""},
		"with an error":         {errors.New("no API server"), 1, "webhook: no API server\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var errs strings.Builder
			code := Run(t.Context(), "webhook", &errs, func(context.Context) error { return test.err })
			if code != test.code || errs.String() != test.says {
				t.Errorf("exit code %d, %q, want %d, %q", code, errs.String(), test.code, test.says)
			}
		})
	}
}

func TestASignalEndsTheContext(t *testing.T) {
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		code := Run(t.Context(), "webhook", t.Output(), func(ctx context.Context) error {
			self, err := os.FindProcess(os.Getpid())
			if err != nil {
				return err
			}
			if err := self.Signal(signal); err != nil {
				return err
			}
			<-ctx.Done()
			return nil
		})
		if code != 0 {
			t.Errorf("exit code %d after %s", code, signal)
		}
	}
}

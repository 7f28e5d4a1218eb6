// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package program runs a program until a signal ends it, and says how it ended.
package program

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Run runs the program of this name and returns the exit code of its process. The context
// ends with the first interrupt or SIGTERM; a second one ends the process at once. A flag
// that asks for help is no failure, and any other error is written out behind the name.
func Run(ctx context.Context, name string, errs io.Writer, run func(context.Context) error) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	err := run(ctx)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	_, _ = fmt.Fprintf(errs, "%s: %v\n", name, err) // there is nowhere else to say it
	return 1
}

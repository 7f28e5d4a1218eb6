// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Command stopwatch runs a program and prints how long it took, from before the
// process is made until after it has ended, as JSON.
//
//	stopwatch -in FILE -out FILE PROGRAM ARGUMENT...
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// lap is what one run took, in nanoseconds.
type lap struct {
	Wall   time.Duration `json:"wall"`
	User   time.Duration `json:"user"`
	System time.Duration `json:"system"`
	Exit   int           `json:"exit"`
}

func main() {
	in := flag.String("in", os.DevNull, "what the program reads")
	out := flag.String("out", os.DevNull, "where the program's output and errors go")
	flag.Parse()
	l, err := run(*in, *out, flag.Args())
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(l)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "stopwatch:", err)
		os.Exit(1)
	}
}

// run hands files over rather than pipes, so that nobody but the program works
// while it runs.
func run(in, out string, argv []string) (lap, error) {
	if len(argv) == 0 {
		return lap{}, errors.New("no program is named")
	}
	stdin, err := os.Open(in)
	if err != nil {
		return lap{}, err
	}
	defer func() { _ = stdin.Close() }() // it is only read
	stdout, err := os.Create(out)
	if err != nil {
		return lap{}, err
	}
	defer func() { _ = stdout.Close() }() // the program wrote to it, and this one did not
	// This context cannot end, so that nothing watches it beside the program.
	cmd := exec.CommandContext(context.Background(), argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stdout
	begin := time.Now()
	err = cmd.Run()
	wall := time.Since(begin)
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return lap{}, err
	}
	s := cmd.ProcessState
	return lap{Wall: wall, User: s.UserTime(), System: s.SystemTime(), Exit: s.ExitCode()}, nil
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Command program stands for modprobe, udevadm and boot loaders' programs in tests: it writes down how it
// was called, in a root directory that has the file /marker.
package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

func main() {
	if _, err := os.Stat("/marker"); err != nil {
		fmt.Fprintln(os.Stderr, "not in the machine's root:", err)
		os.Exit(2)
	}
	if wd, err := os.Getwd(); err != nil || wd != "/" {
		fmt.Fprintln(os.Stderr, "not in /:", wd, err)
		os.Exit(2)
	}
	f, err := os.OpenFile("/said", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = fmt.Fprintln(f, strings.Join(os.Args, " "))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	switch os.Args[len(os.Args)-1] {
	case "kargs":
		text, err := os.ReadFile("/kargs")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Print(string(text))
	case "no_such_module":
		fmt.Fprintln(os.Stderr, "FATAL: Module no_such_module\n  not found.")
		os.Exit(1)
	case "hang":
		time.Sleep(time.Hour)
	}
}

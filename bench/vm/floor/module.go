// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// load puts a module and what it depends on into the kernel.
func load(name string) error {
	var system unix.Utsname
	if err := unix.Uname(&system); err != nil {
		return err
	}
	dir := "/lib/modules/" + unix.ByteSliceToString(system.Release[:])
	list, err := os.ReadFile(path.Join(dir, "modules.dep"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(list)) {
		file, needs, _ := strings.Cut(strings.TrimSpace(line), ":")
		if strings.TrimSuffix(path.Base(file), ".ko") != name {
			continue
		}
		// The last of a module's needs has none of its own.
		files := append([]string{file}, strings.Fields(needs)...)
		for _, f := range slices.Backward(files) {
			if err := insert(path.Join(dir, f)); err != nil {
				return fmt.Errorf("load %s: %w", f, err)
			}
		}
		return nil
	}
	return fmt.Errorf("load %s: there is no such module", name)
}

func insert(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it is only read
	err = unix.FinitModule(int(f.Fd()), "", 0)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}

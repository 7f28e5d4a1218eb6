// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package vm gives a test a virtual machine with SR-IOV NICs: a stock Debian
// kernel, QEMU's igb cards behind an IOMMU, and systemd, in which the test runs
// commands as root.
//
//	func TestSomething(t *testing.T) {
//		guest := vm.Start(t)
//		err := guest.Push(t.Context(), vm.Build(t, "example.org/module/cmd/tool"), "/usr/local/bin/tool")
//		got := guest.Shell(t.Context(), "tool discover")
//		...
//	}
//
// A machine comes from a snapshot that has just booted, so that it is there in
// about two seconds, and goes with the test. When QEMU ends or the guest's
// kernel panics, every call to it returns an error at once, with what QEMU and
// the console said last.
package vm

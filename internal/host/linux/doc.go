// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package linux opens the doors of package host on the running kernel: sysfs,
// netlink, devlink, vDPA, RDMA, modules and udev. It decides nothing.
//
// Every netlink request, also the simplest, goes through mdlayher's netlink and
// genetlink: they keep the kernel's errors and its words for them, let the kernel
// take the minutes that some NICs need, and ask for no more than they are told to.
// Clients with typed links and devices ask for VFs whenever they list links, give
// up after a minute or swallow errors, and two ways to do one thing are worse than
// one.
package linux

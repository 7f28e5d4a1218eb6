// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package linux opens the doors of package host on the running kernel: sysfs,
// netlink, devlink, vDPA, RDMA, modules and udev. It decides nothing.
package linux

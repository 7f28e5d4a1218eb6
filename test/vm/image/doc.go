// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package image builds what a virtual machine of the rig boots from, and keeps
// it in a cache of layers: kernel, modules, root file system, agent, disk and
// the state of a machine that has just booted. Each layer is built once for
// its inputs, which its name in the cache tells by a hash.
package image

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package atboot makes a machine restore at boot, before its network and the kubelet
// start, what its node state asked for last: the files that systemd needs for it, and
// what the service does.
//
// Nothing is decided anew. The service plans as the daemon does, and carries out what
// takes no VF from anybody; the daemon does the rest and reports.
package atboot

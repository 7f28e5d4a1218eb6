// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package capture records what is read of a machine, and gives a recorded machine
// back as a host.Reader anywhere.
//
// A capture is a tar file, or the folder that it unpacks to:
//
//	capture.json        the format, what was seen and not read, what could not be read
//	doors/links.json    netdevs, VFs, default routes, features
//	doors/devlink.json  eSwitch modes and parameters
//	doors/rdma.json     the RDMA namespace mode
//	doors/boot.json     how the machine booted, and how it will
//	root/…              the files, folders and links that were looked at
//
// It holds nothing that was not read. It does hold MAC addresses, GUIDs and the
// names of netdevs, because a plan depends on them: look before you publish one.
package capture

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package execute

import (
	_ "github.com/safchain/ethtool"
	_ "github.com/vishvananda/netlink"
	_ "github.com/vishvananda/netns"
	_ "golang.org/x/sys/unix"
)

// want depguard: not allowed from list 'kernel'
// want depguard: not allowed from list 'kernel'
// want depguard: not allowed from list 'kernel'
// want depguard: not allowed from list 'kernel'

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package holders

import (
	"regexp"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// written is a PCI address as names of devices hold it: the SR-IOV device plugin's
// ids are the address itself, also of vDPA devices; names in DRA are DNS labels and
// have dashes in it, with words before or behind (dra-driver-sriov, dranet).
var written = regexp.MustCompile(`(?i)(?:^|[^0-9a-f])([0-9a-f]{4,8})[:_-]([0-9a-f]{2})[:_-]([01][0-9a-f])[._-]([0-7])(?:$|[^0-9a-f])`)

// addressIn is the PCI address in a device's name, if there is one.
func addressIn(name string) (hw.PCIAddr, bool) {
	m := written.FindStringSubmatch(name)
	if m == nil {
		return hw.PCIAddr{}, false
	}
	addr, err := hw.ParsePCIAddr(m[1] + ":" + m[2] + ":" + m[3] + "." + m[4])
	return addr, err == nil
}

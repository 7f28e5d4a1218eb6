// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"path"
	"strings"

	"github.com/kubeovn/sriov-network-operator/internal/disruption"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// maxIfName is the longest netdev name that the kernel takes (IFNAMSIZ - 1).
const maxIfName = 15

// ruleMode is the mode of a udev rule.
const ruleMode = 0o644

// rulePaths are where the rules of a PF are, in the order in which udev reads
// them.
func rulePaths(pf hw.PCIAddr) []string {
	out := make([]string, 0, 3)
	for _, prefix := range []string{hw.RuleUnmanaged, hw.RulePFName, hw.RuleRepresentors} {
		out = append(out, path.Join(hw.UdevRules, prefix+pf.String()+".rules"))
	}
	return out
}

// rules plans the PF's udev rules. They run no program: everything that they need
// to know is written into them.
func (p *pfPlan) rules() {
	texts := []string{p.unmanagedRule(), p.nameRule(), p.representorRules()}
	for i, file := range rulePaths(p.saw.Addr) {
		have, exists := p.files[file]
		switch {
		case texts[i] == "" && exists:
			p.step(RemoveFile{Path: file}, reason.FileDiffers, "the rule is not needed")
		case texts[i] != "" && have != texts[i]:
			p.before = append(p.before, Step{Do: WriteFile{Path: file, Content: texts[i], Mode: ruleMode},
				Why: reason.Because(reason.FileDiffers, "%s", missing(exists)), Class: disruption.None})
		}
	}
}

func missing(exists bool) string {
	if exists {
		return "the rule differs"
	}
	return "the rule is missing"
}

const ruleHeader = "# Written by the SR-IOV network operator; changes are overwritten.\n"

// unmanagedRule keeps NetworkManager away from the PF's VFs, and from no others.
// udev compares the attribute of the VF's own PF: the link physfn leads there.
func (p *pfPlan) unmanagedRule() string {
	if p.want.NumVFs == 0 {
		return ""
	}
	return ruleHeader + fmt.Sprintf(
		"SUBSYSTEM==\"net\", ACTION==\"add|change|move\", ATTR{device/physfn/uevent}==\"*PCI_SLOT_NAME=%s*\", ENV{NM_UNMANAGED}=\"1\"\n",
		p.saw.Addr)
}

// nameRule keeps the PF's name when its eSwitch goes to switchdev, where systemd
// would append the port's name. Representors of VFs, subfunctions and a DPU's host
// are children of the same function; the names of their ports hold "pf".
func (p *pfPlan) nameRule() string {
	if p.want.Eswitch != hw.EswitchSwitchdev {
		return ""
	}
	return ruleHeader + fmt.Sprintf(
		"SUBSYSTEM==\"net\", ACTION==\"add\", KERNELS==\"%s\", ATTR{phys_port_name}!=\"*pf*\", NAME=\"%s\"\n",
		p.saw.Addr, p.saw.Netdev)
}

// representorRules name each VF's representor after the PF, when it appears and
// never again: whoever uses it may have renamed it.
func (p *pfPlan) representorRules() string {
	if p.want.Eswitch != hw.EswitchSwitchdev || p.want.NumVFs == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(ruleHeader)
	for i := range p.want.NumVFs {
		name := fmt.Sprintf("%s_%d", p.saw.Netdev, i)
		if len(name) > maxIfName {
			p.notice(reason.RepresentorNameLong, "%s has %d characters", name, len(name))
			break
		}
		fmt.Fprintf(&b, "SUBSYSTEM==\"net\", ACTION==\"add\", KERNELS==\"%s\", ATTR{phys_port_name}==\"*pf*vf%d\", NAME=\"%s\"\n",
			p.saw.Addr, i, name)
	}
	return b.String()
}

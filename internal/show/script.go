// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package show

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
)

// scriptHead holds the functions that the commands of a script call.
//
//go:embed script.sh
var scriptHead string

// Script is a plan for the POSIX shell. It does what executing the plan does, and
// stops a PF's steps at the first that fails. records is the folder that holds
// the ledger, without a leading slash.
//
// Every operand is quoted, and comes from a value with a type; text from people
// stands in comments alone.
func Script(p plan.Plan, records string) (string, error) {
	s := script{records: records}
	s.b.WriteString(scriptHead)
	s.comment("%s", Sum(p))
	for _, b := range p.Blocked {
		s.comment("cannot be done: %s", Finding(b))
	}
	for _, b := range p.Notices {
		s.comment("worth knowing: %s", Finding(b))
	}
	s.section("the node", p.Before)
	var names []string
	for _, l := range p.Lanes {
		name := "lane_" + strings.NewReplacer(":", "_", ".", "_").Replace(l.PF.String())
		names = append(names, name)
		s.printf("\n")
		s.comment("%s", Port(l.PF, l.Name))
		s.printf("%s() {\n", name)
		s.steps(l.Steps)
		s.printf("}\n")
	}
	s.lanes(names)
	s.section("the node, last", p.After)
	if p.Reboot != nil {
		s.printf("\n")
		for _, why := range p.Reboot.Why {
			s.comment("Then the machine must reboot: %s", why)
		}
	}
	s.printf("\nexit \"$failed\"\n")
	return s.b.String(), s.err
}

// script is a script while it is being written.
type script struct {
	b       strings.Builder
	records string
	err     error
}

func (s *script) printf(format string, args ...any) { fmt.Fprintf(&s.b, format, args...) }

func (s *script) comment(format string, args ...any) {
	s.printf("# %s\n", line(fmt.Sprintf(format, args...)))
}

// section writes steps of the node. One that fails keeps no other from being done.
func (s *script) section(title string, steps []plan.Step) {
	if len(steps) == 0 {
		return
	}
	s.printf("\n")
	s.comment("%s", title)
	for _, step := range steps {
		s.comment("%s (disturbs %s): %s", Action(step.Do), Disturbs(step), step.Why)
		for _, command := range s.commands(step.Do) {
			s.printf("%s || failed=1\n", command)
		}
	}
}

func (s *script) steps(steps []plan.Step) {
	for i, step := range steps {
		s.printf("\t")
		s.comment("%d. %s (disturbs %s): %s", i+1, Action(step.Do), Disturbs(step), step.Why)
		for _, command := range s.commands(step.Do) {
			s.printf("\t%s\n", command)
		}
	}
}

// lanes starts the lanes side by side and waits for each. A job in the background
// stops at its first failing command; one after "||" would not.
func (s *script) lanes(names []string) {
	if len(names) == 0 {
		return
	}
	s.printf("\n")
	s.comment("PFs are independent of each other.")
	for _, name := range names {
		s.printf("%s &\n%s=$!\n", name, name)
	}
	for _, name := range names {
		s.printf("wait \"$%s\" || failed=1\n", name)
	}
}

// quote makes any text one word of the shell.
func quote[T ~string](s T) string {
	return "'" + strings.ReplaceAll(string(s), "'", `'\''`) + "'"
}

// number is a word by itself.
func number(n int) string { return strconv.Itoa(n) }

// command is a function of the script's head with its operands.
func command(name string, operands ...string) []string {
	return []string{strings.Join(append([]string{name}, operands...), " ")}
}

// addr quotes a PCI address.
func addr(a hw.PCIAddr) string { return quote(a.String()) }

// attr quotes the path of an attribute of a PF, below the script's own variable
// for sysfs.
func attr(pf hw.PCIAddr, name string) string {
	return `"$sysfs"` + quote(path.Join("/bus/pci/devices", pf.String(), name))
}

// commands are an action in the shell.
func (s *script) commands(a plan.Action) []string {
	switch a := a.(type) {
	case plan.LoadModule:
		return command("modprobe", quote(a.Module))
	case plan.WriteFile:
		return command("write_file", quote("/"+a.Path), quote(fmt.Sprintf("%04o", fs.FileMode(a.Mode).Perm())), quote(a.Content))
	case plan.RemoveFile:
		return command("rm", "-f", quote("/"+a.Path))
	case plan.ReloadUdev:
		return command("reload_udev")
	case plan.SetRDMAMode:
		return command("rdma system set netns", quote(a.Mode))
	case plan.SetKernelArgs:
		return command("kernel_args", quote(strings.Join(a.Add, " ")), quote(strings.Join(a.Remove, " ")))
	case plan.RecordBoot:
		return command("record_boot", quote(a.Record.Content()))
	case plan.Claim:
		return s.claim(a)
	case plan.Release:
		return command("rm", "-f", quote(s.record(a.PF)))
	case plan.SetLinkUp:
		return command("pf_link", addr(a.PF), "up")
	case plan.SetMTU:
		return command("pf_link", addr(a.PF), "mtu", number(a.To))
	case plan.EnableTCOffload:
		return command("pf_offload", addr(a.PF))
	case plan.SetSteering:
		return command("devlink dev param set", quote("pci/"+a.PF.String()), "name", quote(hw.SteeringParam), "value", quote(a.Mode), "cmode runtime")
	case plan.SetEswitchMode:
		return command("devlink dev eswitch set", quote("pci/"+a.PF.String()), "mode", quote(a.To))
	case plan.SetAutoprobe:
		return command("write", attr(a.PF, "sriov_drivers_autoprobe"), bit(a.On))
	case plan.SetNumVFs:
		return command("numvfs", addr(a.PF), number(a.From), number(a.To))
	case plan.SetAdminMACs, plan.SetGUIDs, plan.UnbindVFs, plan.BindVFs, plan.SetVFMTU, plan.CreateVDPA, plan.DeleteVDPA:
		return vfCommands(a)
	}
	s.err = fmt.Errorf("script: no command for action %s", a.Does())
	return nil
}

// vfCommands is commands for what happens to VFs.
func vfCommands(a plan.Action) []string {
	var out []string
	switch a := a.(type) {
	case plan.SetAdminMACs:
		for _, m := range a.MACs {
			out = append(out, command("pf_link", addr(a.PF), "vf", number(m.VF), "mac", quote(m.MAC))...)
		}
	case plan.SetGUIDs:
		for _, g := range a.GUIDs {
			out = append(out, command("pf_link", addr(a.PF), "vf", number(g.VF), "node_guid", quote(g.GUID.String()))...)
			out = append(out, command("pf_link", addr(a.PF), "vf", number(g.VF), "port_guid", quote(g.GUID.String()))...)
		}
	case plan.UnbindVFs:
		out = each(a.VFs, func(vf string) []string { return command("unbind", addr(a.PF), vf) })
	case plan.BindVFs:
		out = each(a.VFs, func(vf string) []string { return command("bind", addr(a.PF), vf, quote(a.Driver)) })
	case plan.SetVFMTU:
		out = each(a.VFs, func(vf string) []string { return command("vf_mtu", addr(a.PF), vf, number(a.MTU)) })
	case plan.CreateVDPA:
		out = each(a.VFs, func(vf string) []string { return command("vdpa_add", addr(a.PF), vf, quote(vdpaDriver(a.Type))) })
	case plan.DeleteVDPA:
		out = each(a.VFs, func(vf string) []string { return command("vdpa_del", addr(a.PF), vf) })
	default:
	}
	return out
}

func each(indices []int, do func(vf string) []string) []string {
	var out []string
	for _, i := range indices {
		out = append(out, do(number(i))...)
	}
	return out
}

func bit(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

// vdpaDriver is the driver of the vDPA bus for a type; a module has its name.
func vdpaDriver(t hw.VDPAType) string {
	switch t {
	case hw.VDPAVhost:
		return "vhost_vdpa"
	case hw.VDPAVirtio:
		return "virtio_vdpa"
	case hw.VDPANone:
	}
	return ""
}

// record is where the ledger keeps a PF's record.
func (s *script) record(pf hw.PCIAddr) string { return "/" + path.Join(s.records, pf.String()) }

func (s *script) claim(a plan.Claim) []string {
	text, err := json.Marshal(a.Record)
	if err != nil {
		s.err = fmt.Errorf("script: encode the record of %s: %w", a.PF, err)
		return nil
	}
	return command("write_file", quote(s.record(a.PF)), quote("0600"), quote(string(text)+"\n"))
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package deviceplugin_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// This file is the device plugin's side: what it does with a configuration, written
// from its documentation and behaviour and apart from what the renderer believes.

// device is one PCI function that the plugin finds on the node.
type device struct {
	vendor, id, pf, pfAddr, link string
	// index of the VF; -1 for a function that is no VF, which then is its own PF.
	index int
}

// grant is what a pod gets with a device.
type grant struct {
	resource                 string
	rdma, vhostNet, topology bool
	vdpa                     string
	drivers                  string
}

type pluginSelector struct {
	Vendors, Devices, Drivers, PciAddresses, PfNames, RootDevices, LinkTypes []string
	IsRdma, NeedVhostNet                                                     bool
	VdpaType                                                                 string
}

// allocate is which resource each device goes to. It fails where the plugin exits.
func allocate(t fataler, text string, devices []device) map[device]grant {
	t.Helper()
	var config struct {
		ResourceList []struct {
			ResourceName    string
			ExcludeTopology bool
			Selectors       json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		t.Fatalf("the plugin cannot read %s: %v", text, err)
	}
	out, names := map[device]grant{}, map[string]bool{}
	for _, r := range config.ResourceList {
		if names[r.ResourceName] || !regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString(r.ResourceName) {
			t.Fatalf("the plugin exits over resource %q in %s", r.ResourceName, text)
		}
		names[r.ResourceName] = true
		list := make([]pluginSelector, 1)
		if json.Unmarshal(r.Selectors, &list[0]) != nil {
			if err := json.Unmarshal(r.Selectors, &list); err != nil || len(list) == 0 {
				t.Fatalf("the plugin skips resource %q in %s: %v", r.ResourceName, text, err)
			}
		}
		for _, s := range list {
			if s.IsRdma && s.VdpaType != "" {
				t.Fatalf("the plugin exits over isRdma with vdpaType in %s", text)
			}
			for _, d := range devices {
				if _, taken := out[d]; taken || !s.selects(d) {
					continue
				}
				out[d] = grant{r.ResourceName, s.IsRdma, s.NeedVhostNet, !r.ExcludeTopology, s.VdpaType, strings.Join(s.Drivers, ",")}
			}
		}
	}
	return out
}

// matches is the number of resources that would take the device if they were asked
// first.
func matches(t fataler, text string, d device) int {
	t.Helper()
	var config struct{ ResourceList []json.RawMessage }
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		t.Fatalf("%v", err)
	}
	n := 0
	for _, r := range config.ResourceList {
		n += len(allocate(t, `{"resourceList":[`+string(r)+`]}`, []device{d}))
	}
	return n
}

func (s pluginSelector) selects(d device) bool {
	in := func(list []string, v string) bool { return len(list) == 0 || slices.Contains(list, v) }
	return in(s.Vendors, d.vendor) && in(s.Devices, d.id) && in(s.LinkTypes, d.link) &&
		(len(s.PciAddresses) == 0 || d.index < 0 && slices.Contains(s.PciAddresses, d.pfAddr)) &&
		firstEntrySelects(s.PfNames, d.pf, d.index) && firstEntrySelects(s.RootDevices, d.pfAddr, d.index)
}

func firstEntrySelects(entries []string, pf string, index int) bool {
	if len(entries) == 0 {
		return true
	}
	for _, entry := range entries {
		name, ranges, ranged := strings.Cut(entry, "#")
		if !strings.EqualFold(name, pf) || pf == "" {
			continue
		}
		if !ranged {
			return true
		}
		for part := range strings.SplitSeq(ranges, ",") {
			first, last, isRange := strings.Cut(part, "-")
			if !isRange {
				last = first
			}
			a, errA := strconv.Atoi(first)
			b, errB := strconv.Atoi(last)
			if errA != nil || errB != nil {
				return false
			}
			if a <= index && index <= b {
				return true
			}
		}
		return false
	}
	return false
}

// devicesOf are the functions that the plugin finds once the node is as desired.
func devicesOf(inv hw.Inventory, want desired.Node, vfDevice func(vendor, device hw.ID) (hw.ID, bool)) []device {
	var out []device
	for _, pf := range inv.PFs {
		d := device{vendor: string(pf.VendorID), id: string(pf.DeviceID), pf: pf.Netdev, pfAddr: pf.Addr.String(), link: "ether", index: -1}
		if pf.LinkType == hw.LinkInfiniBand {
			d.link = "infiniband"
		}
		n := pf.NumVFs
		if w, ok := want.PF(pf.Addr); ok {
			n = w.NumVFs
		}
		if n == 0 || pf.Virtual {
			out = append(out, d)
			continue
		}
		if id, ok := vfDevice(pf.VendorID, pf.DeviceID); ok {
			d.id = string(id)
		}
		for d.index = range n {
			out = append(out, d)
		}
	}
	return out
}

// fataler is what tests of testing and of rapid have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func TestThePluginOfThisTestBehavesAsDocumented(t *testing.T) {
	vf := func(pf string, i int) device {
		return device{vendor: "8086", id: "154c", pf: pf, pfAddr: "0000:01:00.0", index: i}
	}
	cases := []struct {
		name, config string
		device       device
		want         string
	}{
		{"the first entry for a PF counts", `{"resourceList":[{"resourceName":"r","selectors":{"pfNames":["a#0-1","a#4-5"]}}]}`, vf("a", 4), ""},
		{"ranges of one entry all count", `{"resourceList":[{"resourceName":"r","selectors":{"pfNames":["a#0-1,4-5"]}}]}`, vf("a", 4), "r"},
		{"a list of selectors is alternatives", `{"resourceList":[{"resourceName":"r","selectors":[{"pfNames":["b"]},{"vendors":["8086"]}]}]}`, vf("a", 4), "r"},
		{"keys of one selector must all match", `{"resourceList":[{"resourceName":"r","selectors":{"pfNames":["a"],"vendors":["15b3"]}}]}`, vf("a", 4), ""},
		{"the first resource takes the device", `{"resourceList":[{"resourceName":"r","selectors":{}},{"resourceName":"s","selectors":{}}]}`, vf("a", 4), "r"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := allocate(t, c.config, []device{c.device})[c.device].resource; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

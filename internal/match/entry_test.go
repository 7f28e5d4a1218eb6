// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package match

import (
	"testing"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

func TestWhichPFsAreOfAType(t *testing.T) {
	model := NICType{Name: "ConnectX-5", Models: []Model{{Vendor: "15b3", Device: "1017", VFDevice: "1018"}}}
	driver := NICType{Name: "ice", Driver: Driver{Name: "ice", VFName: "iavf", Vendors: []hw.ID{"8086"}}}
	for name, c := range map[string]struct {
		of   NICType
		pf   hw.PF
		want bool
	}{
		"every PF is of the zero type":                        {NICType{}, hw.PF{VendorID: "abcd"}, true},
		"a PF of the model":                                   {model, hw.PF{VendorID: "15b3", DeviceID: "1017"}, true},
		"another device of the vendor":                        {model, hw.PF{VendorID: "15b3", DeviceID: "1019"}, false},
		"the device of another vendor":                        {model, hw.PF{VendorID: "8086", DeviceID: "1017"}, false},
		"the model's VF, which in a virtual machine is it":    {model, hw.PF{VendorID: "15b3", DeviceID: "1018", Virtual: true}, true},
		"the model's VF is no PF of it":                       {model, hw.PF{VendorID: "15b3", DeviceID: "1018"}, false},
		"a PF of the driver":                                  {driver, hw.PF{VendorID: "8086", Driver: "ice"}, true},
		"a PF of another driver":                              {driver, hw.PF{VendorID: "8086", Driver: "i40e"}, false},
		"the driver's VF, which in a virtual machine is it":   {driver, hw.PF{VendorID: "8086", Driver: "iavf", Virtual: true}, true},
		"the driver's VF is no PF of it":                      {driver, hw.PF{VendorID: "8086", Driver: "iavf"}, false},
		"a device that userspace has, of the driver's vendor": {driver, hw.PF{VendorID: "8086", Driver: "vfio-pci", Virtual: true}, true},
		"a device that userspace has, of another vendor":      {driver, hw.PF{VendorID: "15b3", Driver: "vfio-pci", Virtual: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.of.Has(&c.pf); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestATypeGuardsWhatIsNamedAndSelectsAlone(t *testing.T) {
	ice := NICType{Name: "ice", Driver: Driver{Name: "ice"}}
	mlx := NICType{Name: "mlx", Models: []Model{{Vendor: "15b3", Device: "1017"}}}
	named := sriovv1.SriovNetworkNicSelector{PfNames: []string{"ens1f0"}}
	elsewhere := sriovv1.SriovNetworkNicSelector{PfNames: []string{"ens9"}}
	for name, c := range map[string]struct {
		nics             sriovv1.SriovNetworkNicSelector
		of               NICType
		selected, guards bool
	}{
		"named, and of the type":       {named, mlx, true, false},
		"named, and of another type":   {named, ice, false, true},
		"named, and any type will do":  {named, NICType{}, true, false},
		"another is named":             {elsewhere, ice, false, false},
		"the type alone, and it is it": {sriovv1.SriovNetworkNicSelector{}, mlx, true, false},
		"the type alone, and it isn't": {sriovv1.SriovNetworkNicSelector{}, ice, false, false},
		"nothing at all":               {sriovv1.SriovNetworkNicSelector{}, NICType{}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, problems := NewSelector(c.nics)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			s = s.OfType(c.of)
			nic := pf("ens1f0")
			nic.Driver = "mlx5_core"
			if s.PF(nic) != c.selected || s.Guards(nic) != c.guards {
				t.Errorf("selected %v, guards %v, want %v and %v", s.PF(nic), s.Guards(nic), c.selected, c.guards)
			}
		})
	}
}

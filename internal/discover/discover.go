// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package discover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

// NICList is the list of supported NICs.
type NICList interface {
	// Listed reports whether a PF of these ids is supported.
	Listed(vendor, device hw.ID) bool
	// ListedVF reports whether these are the ids of a supported NIC's VF.
	ListedVF(vendor, device hw.ID) bool
}

// Machine is everything that the machine has. It fails only when nothing can be
// said at all; a single device that cannot be read is in Inventory.Problems, and
// a single value in its Reading. A PF that a lifeline runs over is in use by the
// host.
func Machine(ctx context.Context, r host.Reader, nics NICList, lifelines ...hw.Lifeline) (hw.Inventory, error) {
	var net network
	var listing errgroup.Group
	listing.Go(func() (err error) {
		net, err = readNetwork(ctx, r, lifelines)
		return err
	})
	addrs, problems, err := functions(r.Files, nics)
	if err != nil {
		return hw.Inventory{}, errors.Join(fmt.Errorf("list the PCI functions: %w", err), listing.Wait())
	}
	inv := hw.Inventory{
		RDMA:        rdmaMode(ctx, r.RDMA),
		IOMMUGroups: len(names(r.Files, "sys/kernel/iommu_groups")),
		PCIDrivers:  names(r.Files, "sys/bus/pci/drivers"),
		VDPADrivers: names(r.Files, "sys/bus/vdpa/drivers"),
		MiscDevices: miscDevices(r.Files),
		OwnedFiles:  ownedFiles(r.Files),
		Problems:    problems,
	}
	inv.RDMAAbsent = rdmaAbsent(r.Files)
	inv.RDMAFixed = !inv.RDMAAbsent && rdmaFixed(ctx, r.RDMA)
	inv.Boot = boot(ctx, r, inv)
	if err := listing.Wait(); err != nil {
		return hw.Inventory{}, err
	}
	l := looker{r: r, nics: nics, net: net, rdma: there(r.Files, "sys/class/infiniband"), vdpa: len(inv.VDPADrivers) > 0}
	pfs := make([]*hw.PF, len(addrs))
	errs := make([]error, len(addrs))
	var g errgroup.Group
	for i, addr := range addrs {
		g.Go(func() error {
			pfs[i], errs[i] = l.pf(ctx, addr)
			return nil
		})
	}
	_ = g.Wait() // its functions return nil: one PF's error is not another's
	for i, pf := range pfs {
		if errs[i] != nil {
			inv.Problems = append(inv.Problems, fmt.Sprintf("%s: %v", addrs[i], errs[i]))
			continue
		}
		if pf != nil {
			inv.PFs = append(inv.PFs, *pf)
		}
	}
	return inv, ctx.Err()
}

// functions are the addresses of the network functions that may be PFs: those
// that offer SR-IOV, those of the list, and in a virtual machine the VFs.
func functions(files fs.ReadLinkFS, nics NICList) ([]hw.PCIAddr, []string, error) {
	entries, err := fs.ReadDir(files, host.PCIDevices)
	if err != nil {
		return nil, nil, err
	}
	var out []hw.PCIAddr
	var problems []string
	for _, e := range entries {
		addr, err := hw.ParsePCIAddr(e.Name())
		if err != nil {
			continue
		}
		wanted, err := candidate(files, addr, nics)
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", addr, err))
			continue
		}
		if wanted {
			out = append(out, addr)
		}
	}
	slices.SortFunc(out, hw.PCIAddr.Compare)
	return out, problems, nil
}

func candidate(files fs.ReadLinkFS, addr hw.PCIAddr, nics NICList) (bool, error) {
	// Where there are many functions, most are VFs, and this is the fastest look.
	if vf, err := exists(files, host.Attr(addr, "physfn")); vf || err != nil {
		return false, err
	}
	class, err := host.ReadAttr(files, host.Attr(addr, "class"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // gone between the listing and now
	}
	if err != nil {
		return false, err
	}
	// The first octet 02 is a network controller (PCI Code and ID Assignment
	// specification, section 1.3).
	if !strings.HasPrefix(class, "0x02") {
		return false, nil
	}
	if sriov, err := exists(files, host.Attr(addr, "sriov_totalvfs")); sriov || err != nil {
		return sriov, err
	}
	vendor, device, err := ids(files, addr)
	if err != nil {
		return false, err
	}
	return nics.Listed(vendor, device) || nics.ListedVF(vendor, device), nil
}

func ids(files fs.FS, addr hw.PCIAddr) (vendor, device hw.ID, err error) {
	if vendor, err = id(files, addr, "vendor"); err != nil {
		return "", "", err
	}
	device, err = id(files, addr, "device")
	return vendor, device, err
}

func id(files fs.FS, addr hw.PCIAddr, attr string) (hw.ID, error) {
	text, err := host.ReadAttr(files, host.Attr(addr, attr))
	if err != nil {
		return "", err
	}
	return hw.ParseID(text)
}

// exists tells "not there" from "cannot be read".
func exists(files fs.ReadLinkFS, name string) (bool, error) {
	_, err := files.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// there is exists for what is no matter when it cannot be read.
func there(files fs.ReadLinkFS, name string) bool {
	yes, err := exists(files, name)
	return yes || err != nil
}

// names are the entries of a folder, sorted; a missing folder has none.
func names(files fs.FS, dir string) []string {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		return nil
	}
	out := make([]string, 0, len(entries))
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// ownedFiles are what this project, or the operator that it follows, has written:
// the files of the node, and udev rules, one per kind and PF.
func ownedFiles(files fs.FS) map[string]string {
	var out map[string]string
	for _, name := range hw.NodeFiles() {
		if text, err := fs.ReadFile(files, name); err == nil {
			if out == nil {
				out = map[string]string{}
			}
			out[name] = string(text)
		}
	}
	for _, name := range names(files, hw.UdevRules) {
		if _, ours := hw.OwnedRule(name); !ours {
			continue
		}
		full := path.Join(hw.UdevRules, name)
		if text, err := fs.ReadFile(files, full); err == nil {
			if out == nil {
				out = map[string]string{}
			}
			out[full] = string(text)
		}
	}
	return out
}

func rdmaMode(ctx context.Context, r host.RDMAReader) hw.Reading[hw.RDMAMode] {
	mode, err := r.NetnsMode(ctx)
	if err != nil {
		return hw.Unreadable[hw.RDMAMode](err.Error())
	}
	return hw.Read(mode)
}

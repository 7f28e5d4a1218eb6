// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
)

// hands do what actions say.
type hands struct {
	host   host.Host
	ledger Ledger
	bell   *bell
}

// deed is an action made ready: how to see that it is done, and how to do it.
type deed struct {
	// look sees whether the postcondition holds; nil when it cannot be seen.
	look func() (holds, error)
	do   func(context.Context) error
	// patience is how long the postcondition is waited for; zero for as long as the step
	// may take.
	patience time.Duration
}

// perform looks, acts unless there is nothing to do, and looks until it is done.
func (h hands) perform(ctx context.Context, a plan.Action) error {
	d := h.ready(ctx, a)
	if d.look == nil {
		return d.do(ctx)
	}
	before, err := d.look()
	if err != nil {
		return err
	}
	if before.yes {
		return nil
	}
	if err := d.do(ctx); err != nil {
		return err
	}
	if d.patience > 0 {
		short, stop := context.WithTimeout(ctx, d.patience)
		defer stop()
		ctx = short
	}
	return h.bell.until(ctx, d.look)
}

// ready makes a deed of an action.
func (h hands) ready(ctx context.Context, a plan.Action) deed {
	switch a := a.(type) {
	case plan.LoadModule:
		return deed{do: func(ctx context.Context) error { return h.host.Modules.Load(ctx, a.Module) }}
	case plan.WriteFile:
		return h.writeFile(a)
	case plan.RemoveFile:
		return h.removeFile(a)
	case plan.ReloadUdev:
		return deed{do: h.host.Udev.Reload}
	case plan.SetRDMAMode:
		return h.setRDMAMode(ctx, a)
	case plan.SetKernelArgs:
		return h.setKernelArgs(ctx, a)
	case plan.RecordBoot:
		return h.recordBoot(a)
	case plan.Claim:
		return h.claim(a)
	case plan.Release:
		return deed{do: func(ctx context.Context) error { return h.ledger.Release(ctx, a.PF) }}
	case plan.SetLinkUp:
		return h.setLinkUp(a)
	case plan.SetMTU:
		return h.setMTU(a)
	case plan.EnableTCOffload:
		return h.enableTCOffload(ctx, a)
	case plan.SetSteering:
		return h.setSteering(ctx, a)
	case plan.SetEswitchMode:
		return h.setEswitchMode(ctx, a)
	case plan.SetAutoprobe:
		return h.setAutoprobe(a)
	case plan.SetNumVFs:
		return h.setNumVFs(a)
	case plan.SetAdminMACs:
		return h.setAdminMACs(a)
	case plan.SetGUIDs:
		return h.setGUIDs(a)
	case plan.UnbindVFs:
		return h.unbindVFs(a)
	case plan.BindVFs:
		return h.bindVFs(a)
	case plan.SetVFMTU:
		return h.setVFMTU(a)
	case plan.CreateVDPA:
		return h.createVDPA(a)
	case plan.DeleteVDPA:
		return h.deleteVDPA(a)
	}
	return deed{do: func(context.Context) error { return fmt.Errorf("no hand for action %T", a) }}
}

func (h hands) writeFile(a plan.WriteFile) deed {
	return deed{
		look: func() (holds, error) {
			have, err := fs.ReadFile(h.host.Files, a.Path)
			if errors.Is(err, fs.ErrNotExist) {
				return holds{view: a.Path + " does not exist"}, nil
			}
			return holds{yes: string(have) == a.Content, view: a.Path + " has other content"}, err
		},
		do: func(ctx context.Context) error {
			return h.host.Conf.Replace(ctx, a.Path, []byte(a.Content), fs.FileMode(a.Mode))
		},
	}
}

func (h hands) removeFile(a plan.RemoveFile) deed {
	return deed{
		look: func() (holds, error) {
			_, err := h.host.Files.Lstat(a.Path)
			return holds{yes: errors.Is(err, fs.ErrNotExist), view: a.Path + " exists"}, nil
		},
		do: func(ctx context.Context) error { return h.host.Conf.Remove(ctx, a.Path) },
	}
}

func (h hands) claim(a plan.Claim) deed {
	return deed{
		look: func() (holds, error) {
			return holds{yes: h.ledger.Holds(a.Record), view: "the record is another one"}, nil
		},
		do: func(ctx context.Context) error { return h.ledger.Claim(ctx, a.Record) },
	}
}

// netdev is a netdev found just now; its name may change, its index does not.
type netdev struct {
	name  string
	index int
}

// finder looks for a netdev; false when there is none now, as while udev renames
// it or a driver makes it anew.
type finder func() (netdev, bool, error)

func (h hands) pf(addr hw.PCIAddr) finder {
	return func() (netdev, bool, error) {
		name, err := host.PFNetdev(h.host.Files, addr)
		if err != nil || name == "" {
			return netdev{}, false, err
		}
		return h.indexed(name)
	}
}

func (h hands) vf(ref hw.VFRef) finder {
	return func() (netdev, bool, error) {
		addr, err := host.VFAddr(h.host.Files, ref)
		if err != nil {
			return netdev{}, false, err
		}
		names, err := host.Netdevs(h.host.Files, addr)
		if err != nil || len(names) == 0 {
			return netdev{}, false, err
		}
		return h.indexed(names[0])
	}
}

func (h hands) indexed(name string) (netdev, bool, error) {
	index, err := host.ReadInt(h.host.Files, netAttr(name, "ifindex"))
	if errors.Is(err, fs.ErrNotExist) {
		return netdev{}, false, nil
	}
	return netdev{name: name, index: index}, err == nil, err
}

func netAttr(netdev, name string) string { return path.Join("sys/class/net", netdev, name) }

// await finds a netdev, waiting for it if need be.
func (h hands) await(ctx context.Context, find finder) (netdev, error) {
	var dev netdev
	err := h.bell.until(ctx, func() (holds, error) {
		var ok bool
		var err error
		dev, ok, err = find()
		return holds{yes: ok, view: "there is no netdev"}, err
	})
	return dev, err
}

// on makes a deed about a netdev that is found anew for each look and each act.
func (h hands) on(find finder, look func(netdev) (holds, error), do func(context.Context, netdev) error) deed {
	return deed{
		look: func() (holds, error) {
			dev, ok, err := find()
			if err != nil || !ok {
				return holds{view: "there is no netdev"}, err
			}
			h, err := look(dev)
			if errors.Is(err, fs.ErrNotExist) {
				return holds{view: dev.name + " is being renamed"}, nil
			}
			return h, err
		},
		do: func(ctx context.Context) error {
			dev, err := h.await(ctx, find)
			if err != nil {
				return err
			}
			return do(ctx, dev)
		},
	}
}

func (h hands) setLinkUp(a plan.SetLinkUp) deed {
	return h.on(h.pf(a.PF),
		func(dev netdev) (holds, error) {
			text, err := host.ReadAttr(h.host.Files, netAttr(dev.name, "flags"))
			if err != nil {
				return holds{}, err
			}
			flags, err := strconv.ParseUint(strings.TrimPrefix(text, "0x"), 16, 32)
			const up = 1 // IFF_UP
			return holds{yes: flags&up != 0, view: dev.name + " is down"}, err
		},
		func(ctx context.Context, dev netdev) error { return h.host.LinkCtl.SetUp(ctx, dev.index) },
	)
}

func (h hands) setMTU(a plan.SetMTU) deed {
	return h.on(h.pf(a.PF),
		func(dev netdev) (holds, error) { return h.mtuIs(dev, a.To) },
		func(ctx context.Context, dev netdev) error { return h.host.LinkCtl.SetMTU(ctx, dev.index, a.To) },
	)
}

func (h hands) mtuIs(dev netdev, want int) (holds, error) {
	have, err := host.ReadInt(h.host.Files, netAttr(dev.name, "mtu"))
	return holds{yes: have == want, view: fmt.Sprintf("%s has MTU %d", dev.name, have)}, err
}

func (h hands) enableTCOffload(ctx context.Context, a plan.EnableTCOffload) deed {
	return h.on(h.pf(a.PF),
		func(dev netdev) (holds, error) {
			state, err := h.host.Links.TCOffload(ctx, dev.name)
			return holds{yes: state == hw.FeatureOn, view: "hw-tc-offload of " + dev.name + " is " + string(state)}, err
		},
		func(ctx context.Context, dev netdev) error { return h.host.LinkCtl.EnableTCOffload(ctx, dev.name) },
	)
}

func (h hands) setSteering(ctx context.Context, a plan.SetSteering) deed {
	return deed{
		look: func() (holds, error) {
			mode, err := h.host.Devlink.Param(ctx, a.PF, hw.SteeringParam)
			return holds{yes: mode == a.Mode, view: hw.SteeringParam + " is " + mode}, err
		},
		do: func(ctx context.Context) error {
			return h.host.DevlinkCtl.SetParam(ctx, a.PF, hw.SteeringParam, a.Mode)
		},
	}
}

func (h hands) setEswitchMode(ctx context.Context, a plan.SetEswitchMode) deed {
	return deed{
		look: func() (holds, error) {
			mode, err := h.host.Devlink.EswitchMode(ctx, a.PF)
			return holds{yes: mode == a.To, view: "the eSwitch mode is " + string(mode)}, err
		},
		do: func(ctx context.Context) error {
			if err := h.host.DevlinkCtl.SetEswitchMode(ctx, a.PF, a.To); err != nil {
				return fmt.Errorf("set eSwitch mode %s: %w", a.To, err)
			}
			return nil
		},
	}
}

func (h hands) setAutoprobe(a plan.SetAutoprobe) deed {
	value := "0"
	if a.On {
		value = "1"
	}
	attr := host.Attr(a.PF, "sriov_drivers_autoprobe")
	return deed{
		look: func() (holds, error) {
			have, err := host.ReadAttr(h.host.Files, attr)
			return holds{yes: have == value, view: "sriov_drivers_autoprobe is " + have}, err
		},
		do: func(ctx context.Context) error { return h.host.Attrs.WriteAttr(ctx, attr, value) },
	}
}

func (h hands) setNumVFs(a plan.SetNumVFs) deed {
	attr := host.Attr(a.PF, "sriov_numvfs")
	return deed{
		look: func() (holds, error) {
			have, err := host.ReadInt(h.host.Files, attr)
			if err != nil {
				return holds{}, err
			}
			links, err := h.virtfns(a.PF)
			return holds{
				yes:  have == a.To && links == a.To,
				view: fmt.Sprintf("asked for %d VFs, the kernel says %d and shows %d", a.To, have, links),
			}, err
		},
		do: func(ctx context.Context) error {
			have, err := host.ReadInt(h.host.Files, attr)
			if err != nil {
				return err
			}
			if have == a.To {
				return nil // they are on their way
			}
			if have != a.From {
				return fmt.Errorf("there are %d VFs and there were %d: %w", have, a.From, ErrStale)
			}
			err = h.host.Attrs.WriteAttr(ctx, attr, strconv.Itoa(a.To))
			return h.explain(err, a.PF, a.From)
		},
	}
}

// explain says what may keep the kernel from letting VFs go: it waits, for ever if
// need be, while a program has one of them open (drivers/vfio/vfio_main.c,
// vfio_unregister_group_dev).
func (h hands) explain(err error, pf hw.PCIAddr, vfs int) error {
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var open []int
	for i := range vfs {
		if driver, unseen := h.vfDriver(hw.VFRef{PF: pf, Index: i}); unseen == nil && driver == "vfio-pci" {
			open = append(open, i)
		}
	}
	if len(open) == 0 {
		return err
	}
	return fmt.Errorf("%w; the kernel waits while a program has a VF open that is bound to vfio-pci (%s): end the program, and it goes on",
		err, "VF "+hw.FormatIndices(open))
}

// virtfns is the number of VFs that the bus shows under a PF.
func (h hands) virtfns(pf hw.PCIAddr) (int, error) {
	entries, err := fs.ReadDir(h.host.Files, host.Attr(pf, ""))
	if err != nil {
		return 0, err
	}
	n := 0
	for _, e := range entries {
		if index, ok := strings.CutPrefix(e.Name(), "virtfn"); ok && index != "" {
			n++
		}
	}
	return n, nil
}

// each does the same to several VFs at once: the kernel locks each device by
// itself, so what it can do side by side it does.
func each[T any](items []T, do func(T) error) error {
	var g errgroup.Group
	for _, item := range items {
		g.Go(func() error { return do(item) })
	}
	return g.Wait()
}

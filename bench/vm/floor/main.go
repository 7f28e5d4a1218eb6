// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command floor makes VFs with nothing but the writes that nobody can leave out,
// in the order that is the fastest known. It looks at nothing that it does not
// need for the next write, tells nobody, and remembers nothing: it is what the
// kernel takes.
//
//	floor -module igbvf 0000:01:00.0=02:00:00:00:00:01,02:00:00:00:00:02 ...
//	floor -module vfio-pci -override vfio-pci 0000:01:00.0=...
//
// For each PF it makes as many VFs as there are MACs, and gives them those.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

func main() {
	module := flag.String("module", "", "the module that drives the VFs")
	override := flag.String("override", "", "the driver that only an override chooses")
	flag.Parse()
	if err := run(*module, *override, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

// wish is one PF and what its VFs get.
type wish struct {
	pf       string
	macs     []net.HardwareAddr
	override string
}

func run(module, override string, args []string) error {
	var wishes []wish
	for _, a := range args {
		pf, list, _ := strings.Cut(a, "=")
		w := wish{pf: pf, override: override}
		for text := range strings.SplitSeq(list, ",") {
			mac, err := net.ParseMAC(text)
			if err != nil {
				return err
			}
			w.macs = append(w.macs, mac)
		}
		wishes = append(wishes, w)
	}
	// The module is loaded while the VFs are made.
	loaded := sync.OnceValue(func() error { return load(module) })
	errs := make([]error, len(wishes)+1)
	var all sync.WaitGroup
	all.Go(func() { errs[0] = loaded() })
	for i, w := range wishes {
		all.Go(func() { errs[i+1] = w.grant(loaded) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// grant makes one PF's VFs.
func (w wish) grant(loaded func() error) error {
	index, err := w.index()
	if err != nil {
		return err
	}
	have, err := os.ReadFile(w.attr("sriov_numvfs"))
	if err != nil {
		return err
	}
	// New VFs are not probed until they have their MACs.
	if err := store(w.attr("sriov_drivers_autoprobe"), "0"); err != nil {
		return err
	}
	if strings.TrimSpace(string(have)) != "0" {
		if err := store(w.attr("sriov_numvfs"), "0"); err != nil {
			return err
		}
	}
	if err := store(w.attr("sriov_numvfs"), fmt.Sprint(len(w.macs))); err != nil {
		return err
	}
	// After the count, because igb closes and opens a link that is up when the
	// count changes; before the probe, because a VF hears its MAC only from a PF
	// that is up.
	if err := setUp(index); err != nil {
		return fmt.Errorf("set %s up: %w", w.pf, err)
	}
	if err := setMACs(index, w.macs); err != nil {
		return fmt.Errorf("set the MACs of the VFs of %s: %w", w.pf, err)
	}
	if err := store(w.attr("sriov_drivers_autoprobe"), "1"); err != nil {
		return err
	}
	if err := loaded(); err != nil {
		return err
	}
	return w.bind()
}

// bind probes all VFs at once.
func (w wish) bind() error {
	errs := make([]error, len(w.macs))
	var all sync.WaitGroup
	for i := range w.macs {
		all.Go(func() {
			target, err := os.Readlink(w.attr(fmt.Sprintf("virtfn%d", i)))
			if err == nil && w.override != "" {
				err = store(w.attr(fmt.Sprintf("virtfn%d/driver_override", i)), w.override)
			}
			if err == nil {
				err = store("/sys/bus/pci/drivers_probe", filepath.Base(target))
			}
			errs[i] = err
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (w wish) attr(name string) string { return "/sys/bus/pci/devices/" + w.pf + "/" + name }

// index is the number of the PF's netdev.
func (w wish) index() (int, error) {
	names, err := os.ReadDir(w.attr("net"))
	if err != nil {
		return 0, err
	}
	if len(names) != 1 {
		return 0, fmt.Errorf("%s has %d netdevs", w.pf, len(names))
	}
	text, err := os.ReadFile(w.attr("net/" + names[0].Name() + "/ifindex"))
	if err != nil {
		return 0, err
	}
	var n int
	_, err = fmt.Sscan(string(text), &n)
	return n, err
}

// store writes one attribute of sysfs in one call.
func store(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

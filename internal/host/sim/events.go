// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/kubeovn/sriov-network-operator/internal/host"
)

// watcher is one reader of events, with all that it has not yet read.
type watcher struct {
	queue []host.Event
	wake  chan struct{} // holds one token when the queue has grown
	lose  int           // events to drop
}

// events is the door to events.
type events struct{ m *Machine }

var _ host.Watcher = events{}

// Watch implements host.Watcher.
func (e events) Watch(ctx context.Context) (<-chan []host.Event, error) {
	if err := e.m.lookCtx(ctx, "events"); err != nil {
		return nil, fmt.Errorf("watch the kernel's events: %w", err)
	}
	defer e.m.mu.Unlock()
	w := &watcher{wake: make(chan struct{}, 1)}
	e.m.watchers = append(e.m.watchers, w)
	out := make(chan []host.Event)
	go e.m.deliver(ctx, w, out, e.m.trouble.crashed)
	return out, nil
}

// deliver hands the events over in their order, as fast as the reader takes them.
func (m *Machine) deliver(ctx context.Context, w *watcher, out chan<- []host.Event, crashed <-chan struct{}) {
	defer close(out)
	defer m.forget(w)
	for {
		m.mu.Lock()
		batch := w.queue
		w.queue = nil
		m.mu.Unlock()
		if len(batch) > 0 {
			select {
			case out <- batch:
			case <-ctx.Done():
				return
			case <-crashed:
				return
			}
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return
		case <-crashed:
			return
		}
	}
}

func (m *Machine) forget(w *watcher) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, o := range m.watchers {
		if o == w {
			m.watchers = append(m.watchers[:i:i], m.watchers[i+1:]...)
			return
		}
	}
}

// LoseEvents makes every present watch lose its next n events and say so at
// once, as a netlink socket does that overflows (ENOBUFS).
func (m *Machine) LoseEvents(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.watchers {
		w.lose = n
		w.push(host.Event{Lost: true})
	}
}

func (w *watcher) push(e host.Event) {
	w.queue = append(w.queue, e)
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// udevQueue is what udev has still to do.
type udevQueue struct {
	work []uevent
	held bool
}

// uevent is an event of the kernel and the thing that it is about.
type uevent struct {
	event host.Event
	f     *function
	nd    *netdev
}

// emit tells all watchers, and puts the kernel's events on udev's list. m.mu is
// held.
func (m *Machine) emit(e host.Event, f *function, nd *netdev) {
	for _, w := range m.watchers {
		if w.lose > 0 {
			w.lose--
			continue
		}
		w.push(e)
	}
	if e.Source != host.FromKernel {
		return
	}
	m.udev.work = append(m.udev.work, uevent{event: e, f: f, nd: nd})
	if d := m.delays.Udev; d > 0 && !m.udev.held {
		time.AfterFunc(d, func() { m.udevStep() })
	}
}

// tellPCI is a uevent of a PCI function.
func (m *Machine) tellPCI(f *function, action string) {
	m.emit(host.Event{Source: host.FromKernel, Action: action, Subsystem: "pci", Path: f.dir}, f, nil)
}

// tell is a uevent of a netdev, and its message on the link group.
func (m *Machine) tell(nd *netdev, action string) {
	e := host.Event{Source: host.FromKernel, Action: action, Subsystem: "net", Path: nd.dir()}
	m.emit(e, nil, nd)
	e.Source = host.FromLinks
	if action != "remove" {
		e.Action = "change"
	}
	m.emit(e, nil, nd)
}

// tellLink is a change of a netdev that no uevent tells (RTM_NEWLINK).
func (m *Machine) tellLink(nd *netdev) {
	if nd != nil {
		m.emit(host.Event{Source: host.FromLinks, Action: "change", Subsystem: "net", Path: nd.dir()}, nil, nd)
	}
}

// HoldUdev stops udev: its work piles up until SettleUdev. The netdevs keep the
// kernel's names, and no driver is loaded for a new function.
func (m *Machine) HoldUdev() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.udev.held = true
}

// SettleUdev lets udev do all that has piled up, and go on.
func (m *Machine) SettleUdev() {
	m.mu.Lock()
	m.udev.held = false
	m.mu.Unlock()
	for m.udevStep() {
	}
}

// udevCatchUp does udev's work at once, on a machine where it takes no time.
func (m *Machine) udevCatchUp() {
	m.mu.Lock()
	now := m.delays.Udev <= 0 && !m.udev.held
	m.mu.Unlock()
	for now && m.udevStep() {
	}
}

// udevStep does the oldest piece of udev's work, and reports whether there was
// one.
func (m *Machine) udevStep() bool {
	m.mu.Lock()
	if len(m.udev.work) == 0 || m.udev.held {
		m.mu.Unlock()
		return false
	}
	u := m.udev.work[0]
	m.udev.work = m.udev.work[1:]
	module := m.modaliasOf(u)
	if u.nd != nil && u.event.Action == "add" {
		m.udevRename(u.nd)
		u.event.Path = u.nd.dir()
	}
	m.mu.Unlock()
	if module != "" {
		// A module that does not load is logged by udev and holds nothing up.
		_ = m.loadModule(startClock(), module)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	u.event.Source = host.FromUdev
	m.emit(u.event, u.f, u.nd)
	return true
}

// modaliasOf is the module that udev loads for a new function: the one whose
// driver has its ids, unless modprobe.d says no (rules.d/80-drivers.rules).
func (m *Machine) modaliasOf(u uevent) string {
	if u.f == nil || u.event.Action != "add" || u.f.gone || u.f.native == "" {
		return ""
	}
	if m.loaded[moduleName(u.f.native)] || m.modules[moduleName(u.f.native)] != moduleThere {
		return ""
	}
	return u.f.native
}

// udevRename gives a new netdev its predictable name; the kernel tells of it as
// a move.
func (m *Machine) udevRename(nd *netdev) {
	if nd.gone || nd.away || nd.Name != nd.kernelName {
		return
	}
	if name := m.udevName(nd); name != "" {
		m.hide(nd)
		nd.Name, m.byName.by[name] = name, nd
		m.tell(nd, "move")
	}
}

// udevControl is the door to udev.
type udevControl struct{ m *Machine }

var _ host.UdevControl = udevControl{}

// Reload implements host.UdevControl.
func (u udevControl) Reload(ctx context.Context) error {
	err := u.m.change(ctx, func(c *clock) error {
		c.pass(u.m.takes().UdevReload)
		return nil
	}, "udev:reload")
	if err != nil {
		return fmt.Errorf("reload udev's rules: %w", err)
	}
	return nil
}

// Settle implements host.UdevControl.
func (u udevControl) Settle(ctx context.Context) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	happened, err := events(u).Watch(watching)
	if err != nil {
		return fmt.Errorf("wait for udev: %w", err)
	}
	for !u.m.udevIdle() {
		select {
		case <-happened:
		case <-ctx.Done():
			return fmt.Errorf("wait for udev: %w", ctx.Err())
		}
	}
	return nil
}

func (m *Machine) udevIdle() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.udev.work) == 0
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"errors"
	"sync"
)

// ErrCrashed is the answer of every door after CrashAfter's last change: the
// process is dead and only thinks that it still asks.
var ErrCrashed = errors.New("the simulated process was killed")

// trouble is what goes wrong on purpose, and the account of changes.
type trouble struct {
	faults  map[string]fault
	writes  int
	budget  int // changes until the crash; negative for no crash
	crashed chan struct{}
	down    bool
	busy    int        // changes that the kernel works on
	idle    *sync.Cond // told when busy falls
}

type fault struct {
	err  error // nil: the change is accepted and nothing happens
	once bool
}

// Fail makes the kernel refuse what has this address, until Heal. Addresses of
// changes:
//
//	sys/bus/pci/devices/0000:d8:00.0/sriov_numvfs   an attribute, as WriteAttr names it
//	sys/bus/pci/drivers_probe=0000:d8:00.2          the same, for one value only
//	etc/udev/rules.d/x.rules                        Replace and Remove
//	link:0000:d8:00.0/mtu  …/up  …/tcoffload        a netdev by its PCI function, or by its name
//	vf:0000:d8:00.0#3/mac  …/guid                   a VF through its PF
//	devlink:0000:d8:00.0/eswitch  …/param/NAME
//	vdpa:0000:d8:00.2/create  …/delete              by the VF's address
//	module:vfio-pci
//	udev:reload
//	boot:args  power:reboot  rdma:mode
//
// Addresses of looks begin with "read:": read:sys/… for a file, a folder or a
// link, read:links, read:vfs:0000:d8:00.0, read:routes, read:route:ADDRESS, read:tcoffload:NAME,
// read:devlink:0000:d8:00.0/eswitch (…/param/NAME), read:rdma, read:events,
// read:namespaces, read:boot, read:boot:next.
func (m *Machine) Fail(addr string, err error) { m.addFault(addr, fault{err: err}) }

// FailOnce is Fail for the next time only.
func (m *Machine) FailOnce(addr string, err error) { m.addFault(addr, fault{err: err, once: true}) }

// Ignore makes the kernel say yes and do nothing, until Heal.
func (m *Machine) Ignore(addr string) { m.addFault(addr, fault{}) }

func (m *Machine) addFault(addr string, f fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trouble.faults[addr] = f
}

// Heal removes all faults.
func (m *Machine) Heal() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.trouble.faults)
}

// Writes is how many changes were asked for since the machine was made, refused
// ones included. A plan with nothing to do leaves it alone.
func (m *Machine) Writes() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.trouble.writes
}

// CrashAfter kills the process that uses the doors after n more changes: the nth
// is still answered, and from then on every door answers ErrCrashed and all
// watches end. What the kernel had begun it finishes.
func (m *Machine) CrashAfter(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trouble.budget = n
	m.crashIfSpent()
}

// Revive starts a new process: it waits until the kernel has finished what the
// killed one had asked for, except what waits for FreeVF, and opens the doors.
func (m *Machine) Revive() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.trouble.busy > 0 {
		m.trouble.idle.Wait()
	}
	m.trouble.budget = -1
	if m.trouble.down {
		m.trouble.down = false
		m.trouble.crashed = make(chan struct{})
	}
}

func (m *Machine) crashIfSpent() {
	if m.trouble.budget == 0 && !m.trouble.down {
		m.trouble.down = true
		close(m.trouble.crashed)
	}
}

// fault finds and, if it is for once, spends a fault.
func (m *Machine) fault(addrs ...string) (fault, bool) {
	for _, addr := range addrs {
		f, ok := m.trouble.faults[addr]
		if ok && f.once {
			delete(m.trouble.faults, addr)
		}
		if ok {
			return f, true
		}
	}
	return fault{}, false
}

// looks is asked before every answer of a door that only looks. m.mu is held.
func (m *Machine) looks(addr string) error {
	if m.trouble.down {
		return ErrCrashed
	}
	if len(m.trouble.faults) == 0 {
		return nil
	}
	f, _ := m.fault("read:" + addr)
	return f.err
}

// lookCtx is looks for doors with a context; it takes m.mu, and keeps it when
// the error is nil.
func (m *Machine) lookCtx(ctx context.Context, addr string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	if err := m.looks(addr); err != nil {
		m.mu.Unlock()
		return err
	}
	return nil
}

// change runs one change through all the rules of this file. The work goes on
// when ctx ends first, as a system call in the kernel does.
func (m *Machine) change(ctx context.Context, work func(*clock) error, addrs ...string) error {
	begun := startClock()
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	m.crashIfSpent()
	if m.trouble.down {
		m.mu.Unlock()
		return ErrCrashed
	}
	crashed := m.trouble.crashed
	m.trouble.writes++
	if m.trouble.budget > 0 {
		m.trouble.budget--
	}
	last := m.trouble.budget == 0
	if f, ok := m.fault(addrs...); ok {
		work = func(*clock) error { return f.err }
	}
	m.trouble.busy++
	m.mu.Unlock()

	done := make(chan error, 1)
	go func() {
		err := work(begun)
		m.udevCatchUp()
		done <- err
		m.busy(-1)
	}()
	err := outcome(ctx, done, crashed)
	if last {
		m.mu.Lock()
		m.crashIfSpent()
		m.mu.Unlock()
	}
	return err
}

// outcome is the work's error if it is there, whatever else is true.
func outcome(ctx context.Context, done <-chan error, crashed <-chan struct{}) error {
	var other error
	select {
	case err := <-done:
		return err
	case <-crashed:
		other = ErrCrashed
	case <-ctx.Done():
		other = ctx.Err()
	}
	select {
	case err := <-done:
		return err
	default:
		return other
	}
}

// busy counts the kernel's work: -1 when it ends or begins to wait for a
// program, 1 when such a wait ends.
func (m *Machine) busy(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trouble.busy += n
	m.trouble.idle.Broadcast()
}

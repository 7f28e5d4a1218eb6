// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package ledger keeps what was configured last, one small file per PF. It knows
// nothing but files.
package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"reflect"
	"sync"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
)

// Dir is where the files are: the folder, and the files' names, are those of the
// operator before this one, so that an upgrade in place finds its PFs again.
const Dir = "etc/sriov-operator/pci"

// maxRecord bounds what is read of one file.
const maxRecord = 64 << 10

// Files is where the ledger reads.
type Files interface {
	fs.ReadDirFS
	fs.ReadFileFS
}

// Writer is where the ledger writes: whole files or nothing.
type Writer interface {
	Replace(ctx context.Context, name string, data []byte, mode fs.FileMode) error
	Remove(ctx context.Context, name string) error
}

// Ledger is what is remembered of a machine's PFs.
type Ledger struct {
	writer Writer

	mu      sync.Mutex
	records plan.Memory
	torn    []Torn
}

// Torn is a file that cannot be read. Its PF is ours, since the file is there,
// and what it was like before is not known any more.
type Torn struct {
	PF  hw.PCIAddr
	Err error
}

// Open reads the ledger of a machine. The writer may be nil when nothing will be
// written.
func Open(files fs.FS, w Writer) (*Ledger, error) {
	l := &Ledger{writer: w, records: plan.Memory{}}
	entries, err := fs.ReadDir(files, Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	for _, e := range entries {
		pf, err := hw.ParsePCIAddr(e.Name())
		if err != nil || e.IsDir() {
			continue // not a file of ours: those are named by address alone
		}
		rec, err := read(files, pf)
		if err != nil {
			l.torn = append(l.torn, Torn{PF: pf, Err: err})
			rec = plan.Record{PF: pf, MadeVFs: true}
		}
		l.records[pf] = rec
	}
	return l, nil
}

func read(files fs.FS, pf hw.PCIAddr) (plan.Record, error) {
	data, err := fs.ReadFile(files, path.Join(Dir, pf.String()))
	if err != nil {
		return plan.Record{}, err
	}
	if len(data) > maxRecord {
		return plan.Record{}, fmt.Errorf("the record of %s has %d bytes, more than the %d that one can have", pf, len(data), maxRecord)
	}
	var rec plan.Record
	if err := json.Unmarshal(data, &rec); err != nil {
		return plan.Record{}, fmt.Errorf("the record of %s is torn: %w", pf, err)
	}
	if rec.PF != pf {
		return plan.Record{}, fmt.Errorf("the record of %s speaks of %s", pf, rec.PF)
	}
	return rec, nil
}

// Memory is a copy of everything that is remembered.
func (l *Ledger) Memory() plan.Memory {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.records)
}

// Torn are the files that could not be read, in the order of the folder.
func (l *Ledger) Torn() []Torn { return l.torn }

// Holds reports whether exactly this record is kept.
func (l *Ledger) Holds(r plan.Record) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	have, ok := l.records[r.PF]
	return ok && reflect.DeepEqual(have, r)
}

// fileMode keeps the records from other users of the machine.
const fileMode = 0o600

// Claim writes a PF's record down; it is durable when Claim returns.
func (l *Ledger) Claim(ctx context.Context, r plan.Record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode the record of %s: %w", r.PF, err)
	}
	if err := l.writer.Replace(ctx, path.Join(Dir, r.PF.String()), append(data, '\n'), fileMode); err != nil {
		return fmt.Errorf("write the record of %s: %w", r.PF, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records[r.PF] = r
	return nil
}

// Release forgets a PF's record.
func (l *Ledger) Release(ctx context.Context, pf hw.PCIAddr) error {
	if err := l.writer.Remove(ctx, path.Join(Dir, pf.String())); err != nil {
		return fmt.Errorf("remove the record of %s: %w", pf, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.records, pf)
	return nil
}

// Complete names the devices of a virtual machine that userspace has: they have
// no netdev to be named after, and the policy that gave them away may know them
// by the name that they had.
func (l *Ledger) Complete(inv hw.Inventory) hw.Inventory {
	memory := l.Memory()
	pfs := make([]hw.PF, len(inv.PFs))
	for i, pf := range inv.PFs {
		if rec, ok := memory[pf.Addr]; ok && pf.Virtual && pf.Netdev == "" {
			pf.Netdev = rec.Name
		}
		pfs[i] = pf
	}
	inv.PFs = pfs
	return inv
}

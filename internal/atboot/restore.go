// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package atboot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"sigs.k8s.io/yaml"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/catalog"
	"github.com/kubeovn/sriov-network-operator/internal/converge"
	"github.com/kubeovn/sriov-network-operator/internal/decide"
	"github.com/kubeovn/sriov-network-operator/internal/desired"
	"github.com/kubeovn/sriov-network-operator/internal/execute"
	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
	"github.com/kubeovn/sriov-network-operator/internal/wire"
)

// Options are what Restore works with.
type Options struct {
	Host host.Host
	Now  func() time.Time
	Log  *slog.Logger
	// Patience is how long PFs are waited for that have not appeared.
	Patience time.Duration
	// Step is how long one step may take.
	Step time.Duration
}

// Restore makes the machine what it was asked for last, as far as nobody is disturbed, and
// writes down how it went. No pod may run. PFs that nobody asks for are left alone: giving
// them back is the daemon's business.
func Restore(ctx context.Context, o Options) error {
	c, is, failure := Read(o.Host.Files)
	if failure == nil && !is {
		return nil
	}
	var out converge.Outlook
	if failure == nil {
		out, failure = restore(ctx, o, c)
	}
	var result Result
	if failure != nil {
		result = Result{SyncStatus: sriovv1.SyncStatusFailed, LastSyncError: failure.Error()}
	} else {
		result.SyncStatus, result.LastSyncError = converge.Judge(out, nil)
	}
	running, err := o.Host.Boot.Running(ctx)
	if err != nil {
		return errors.Join(failure, fmt.Errorf("write down how it went: %w", err))
	}
	result.Boot = running.ID
	text, err := yaml.Marshal(result)
	if err != nil {
		return fmt.Errorf("marshal how it went: %w", err)
	}
	if err := o.Host.Conf.Replace(ctx, resultFile, text, 0o644); err != nil {
		return errors.Join(failure, fmt.Errorf("write down how it went: %w", err))
	}
	return failure
}

// rounds is how often the machine is looked at anew at most: what is shown after one round
// may let more be done.
const rounds = 5

func restore(ctx context.Context, o Options, c Config) (converge.Outlook, error) {
	nics := catalog.Default()
	if c.NICs != nil {
		nics, _ = catalog.Parse(c.NICs)
	}
	want, problems := wire.Desired(c.Spec)
	if err := await(ctx, o, want, nics); err != nil {
		return converge.Outlook{}, err
	}
	settle(ctx, o)
	spare := func(hw.PCIAddr) bool { return true }
	for range rounds {
		seen, err := converge.Look(ctx, o.Host.Reader, nics)
		if err != nil {
			return converge.Outlook{}, err
		}
		out := converge.Follow(want, seen, nics, spare)
		need, part := decide.Weigh(harmless(out.Plan), decide.View{Known: true, Guarded: true, Patient: true, Foreign: busy(seen.Inventory)})
		if need != decide.Quiet && need != decide.Free {
			o.Log.Info("restored", "left", need.String())
			return out, unread(problems)
		}
		o.Log.Info("carrying out", "disrupts", part.Class().String())
		if err := converge.Execute(ctx, o.Host, part, execute.Options{Now: o.Now, StepTimeout: o.Step, Observe: o.observe}); err != nil {
			return out, err
		}
	}
	return converge.Outlook{}, fmt.Errorf("the machine is not as desired after %d rounds; the daemon goes on", rounds)
}

// observe logs every step that ends.
func (o Options) observe(p execute.Progress) {
	switch p.State {
	case execute.Done:
		o.Log.Info("done", "pf", p.PF.String(), "step", p.Step.Do.Does(), "took", p.Took)
	case execute.Failed:
		o.Log.Error("failed", "err", p.Err, "took", p.Took)
	case execute.Started, execute.Skipped:
	}
}

// await waits until the PFs are there that are asked for, or have not come for long: the
// service starts while udev is still finding them.
func await(ctx context.Context, o Options, want desired.Node, nics catalog.Table) error {
	watch, stop := context.WithCancel(ctx)
	defer stop()
	events, err := o.Host.Events.Watch(watch)
	if err != nil {
		return fmt.Errorf("watch the machine: %w", err)
	}
	enough := time.NewTimer(o.Patience)
	defer enough.Stop()
	for {
		seen, err := converge.Look(ctx, o.Host.Reader, nics)
		if err != nil {
			return err
		}
		missing := slices.DeleteFunc(slices.Clone(want.PFs()), func(pf desired.PF) bool {
			_, there := seen.Inventory.PF(pf.Addr)
			return there
		})
		if len(missing) == 0 {
			return nil
		}
		select {
		case _, open := <-events:
			if !open {
				return errors.New("wait for the PFs: the watch on the machine ended")
			}
		case <-enough.C:
			o.Log.Warn("going on without a PF", "pf", missing[0].Addr.String(), "missing", len(missing))
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// settle waits until udev has named the PFs: before Linux 6.2 (commit bd039b5ea2a9) nobody
// may rename a netdev that is up.
func settle(ctx context.Context, o Options) {
	ctx, stop := context.WithTimeout(ctx, o.Patience)
	defer stop()
	if err := o.Host.Udev.Settle(ctx); err != nil {
		o.Log.Warn("going on before udev is done", "err", err)
	}
}

// unread is what of the wish could not be read; the rest was carried out.
func unread(problems []wire.Problem) error {
	var out []error
	for _, p := range problems {
		out = append(out, fmt.Errorf("read what is asked for: %s", p))
	}
	return errors.Join(out...)
}

// harmless leaves out what only the daemon may do: it coordinates restarts with others.
func harmless(p plan.Plan) plan.Plan {
	p.Reboot = nil
	p.Before = slices.DeleteFunc(slices.Clone(p.Before), func(s plan.Step) bool {
		switch s.Do.(type) {
		case plan.SetKernelArgs, plan.RecordBoot:
			return true
		default:
			return false
		}
	})
	return p
}

// busy are the VFs that the machine shows to be in use.
func busy(inv hw.Inventory) map[hw.VFRef]bool {
	out := map[hw.VFRef]bool{}
	for i := range inv.PFs {
		for j := range inv.PFs[i].VFs {
			if vf := &inv.PFs[i].VFs[j]; vf.Busy() {
				out[hw.VFRef{PF: inv.PFs[i].Addr, Index: vf.Index}] = true
			}
		}
	}
	return out
}

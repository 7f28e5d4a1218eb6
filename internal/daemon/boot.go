// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/atboot"
)

// booting is what the machine restores at its next boot.
type booting struct {
	// kept is for what the files were written last; empty before.
	kept string
	// again is when to try again after a failure.
	again time.Time
	// told is whether it was told how it went at the last boot.
	told bool
}

// keepBoot makes the machine restore at boot what is asked for now, or nothing. A spec
// that may not be rendered yet, or that cannot be read, changes nothing.
func (d *daemon) keepBoot(ctx context.Context, v *view, now time.Time) {
	about := "nothing"
	if d.o.AtBoot {
		d.tellBoot(ctx, now)
		if v.unrendered || len(v.problems) > 0 {
			return
		}
		about = fmt.Sprint(d.state.UID, " ", v.generation, " ", d.nicData)
	}
	if d.boot.kept == about {
		return
	}
	if now.Before(d.boot.again) {
		d.wakeAt(d.boot.again)
		return
	}
	var err error
	if d.o.AtBoot {
		err = atboot.Keep(ctx, d.o.Host, atboot.Config{Spec: d.state.Spec, NICs: d.nicData})
	} else {
		err = atboot.Drop(ctx, d.o.Host)
	}
	if err != nil {
		d.boot.again = now.Add(retryLook)
		d.log.Error("what the machine restores at boot cannot be changed", "err", err, "after", retryLook)
		d.wakeAt(d.boot.again)
		return
	}
	d.boot.kept = about
}

// tellBoot tells once if the machine could not be restored at its last boot. The daemon
// mends that; somebody may have missed VFs meanwhile.
func (d *daemon) tellBoot(ctx context.Context, now time.Time) {
	if d.boot.told {
		return
	}
	d.boot.told = true
	last, _, err := atboot.Last(d.o.Host.Files)
	if err != nil {
		d.log.Warn("how it went at boot is not known", "err", err)
	}
	if last.SyncStatus == sriovv1.SyncStatusFailed {
		d.log.Warn("the machine was not restored at boot", "err", last.LastSyncError)
		d.announce(ctx, corev1.EventTypeWarning, "BootRestoreFailed", "The node was not restored at boot: "+last.LastSyncError, now)
	}
}

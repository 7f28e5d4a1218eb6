// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/atboot"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// booting is what the machine restores at its next boot.
type booting struct {
	// kept is for what the files were written last; empty before.
	kept string
	// again is when to try again after a failure.
	again time.Time
}

// keepBoot makes the machine restore at boot what is asked for now, or nothing. A spec
// that may not be rendered yet, or that cannot be read, changes nothing.
func (d *daemon) keepBoot(ctx context.Context, v *view, now time.Time) {
	about := "nothing"
	if d.o.AtBoot {
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

// sayBoot writes the condition RestoredAtBoot, which is about this boot until the next:
// the daemon mends what went wrong, but whoever started before it may have missed VFs.
func (d *daemon) sayBoot(to *[]metav1.Condition, v *view, now time.Time) {
	boot := v.Inventory.Boot.ID
	last, is, err := atboot.At(d.o.Host.Files, boot)
	if !d.o.AtBoot || !is && err == nil {
		meta.RemoveStatusCondition(to, sriovv1.ConditionRestoredAtBoot)
		return
	}
	word, cause := reason.BootRestored, ""
	switch {
	case err != nil:
		word, cause = reason.BootRestoreMissing, err.Error()
	case last.SyncStatus == sriovv1.SyncStatusFailed:
		word, cause = reason.BootRestoreFailed, last.LastSyncError
	case last.SyncStatus != sriovv1.SyncStatusSucceeded:
		word = reason.BootRestoreMissing
	}
	text := fmt.Sprintf("Boot %s: %s", boot, word.Sentence())
	if cause != "" {
		text += " Cause: " + cause
	}
	if fix := word.Fix(); fix != "" {
		text += "\n" + fix
	}
	set(to, sriovv1.ConditionRestoredAtBoot, word == reason.BootRestored, word, text, v.generation, now)
}

// tellBoot makes an event of a boot that went wrong, unless the condition tells of it
// already: also a daemon that starts anew then tells it no second time.
func (d *daemon) tellBoot(ctx context.Context, next []metav1.Condition) {
	now := meta.FindStatusCondition(next, sriovv1.ConditionRestoredAtBoot)
	if now == nil || now.Status == metav1.ConditionTrue {
		return
	}
	if was := meta.FindStatusCondition(d.before().Conditions, now.Type); was != nil && was.Message == now.Message {
		return
	}
	d.log.Warn("the machine was not restored at boot", "why", now.Message)
	d.announce(ctx, corev1.EventTypeWarning, now.Reason, now.Message, d.o.Now())
}

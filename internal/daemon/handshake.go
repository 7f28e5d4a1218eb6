// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"time"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/decide"
)

// handshake is what was asked for and granted.
type handshake struct {
	// asked is what the node's annotation says.
	asked decide.Request
	// spelled is whether both annotations spell it.
	spelled bool
	// heard is the grant and the mirror for which the node was read.
	heard struct{ grant, mirror string }
	// reading and writing say that a request is under way.
	reading, writing bool
}

// spell writes a request as the API has it.
func spell(r decide.Request) string {
	switch r {
	case decide.AskDrain:
		return sriovv1.DrainRequired
	case decide.AskReboot:
		return sriovv1.RebootRequired
	case decide.AskNothing:
	}
	return sriovv1.DrainIdle
}

// readRequest reads a request; what is not known asks for nothing.
func readRequest(text string) decide.Request {
	switch text {
	case sriovv1.DrainRequired:
		return decide.AskDrain
	case sriovv1.RebootRequired:
		return decide.AskReboot
	}
	return decide.AskNothing
}

// grant is what the node state says was granted.
func grant(s *sriovv1.SriovNetworkNodeState) decide.Grant {
	switch s.Annotations[sriovv1.AnnotationCurrentState] {
	case sriovv1.Draining:
		return decide.Draining
	case sriovv1.DrainComplete:
		return decide.Granted
	}
	return decide.NotGranted
}

// hearGrant reads the node when the handshake moved on: who edits the node's annotation
// moves the controller, and the controller the node state. So the node itself needs no
// watch, and an edit does not last.
func (d *daemon) hearGrant(ctx context.Context) {
	now := struct{ grant, mirror string }{
		d.state.Annotations[sriovv1.AnnotationCurrentState], d.state.Annotations[sriovv1.AnnotationDesiredState],
	}
	if d.drain.reading || d.drain.writing || (d.known.node && d.drain.heard == now) {
		return
	}
	if d.drain.heard.grant != now.grant {
		d.machine.look = d.o.Now() // who holds what is looked at again
	}
	d.drain.heard, d.drain.reading = now, true
	d.scribe.post(ctx, job{key: "read the node", run: func(ctx context.Context) error {
		have, err := d.api.nodeAnnotations(ctx)
		if err == nil {
			d.note(ctx, func() { d.heardNode(ctx, have) })
		}
		return err
	}, failed: func(error) { d.note(ctx, func() { d.drain.reading = false }) }})
}

func (d *daemon) heardNode(ctx context.Context, have map[string]string) {
	text := have[sriovv1.AnnotationNodeDrain]
	d.known.node = true
	d.drain.reading = false
	d.drain.asked = readRequest(text)
	d.drain.spelled = text == spell(d.drain.asked)
	if d.state != nil {
		d.hearGrant(ctx)
	}
}

// mirrored reports whether the node state repeats the request, and says rightly who
// drains.
func (d *daemon) mirrored() bool {
	change := d.mirror(d.drain.asked)
	for key, want := range change {
		have, is := d.state.Annotations[key]
		if is != (want != nil) || (want != nil && have != *want) {
			return false
		}
	}
	return true
}

// mirror is what the annotations of the node state should be for a request. Who drains
// changes only while nobody does (wire protocol of external drainers).
func (d *daemon) mirror(r decide.Request) map[string]*string {
	text := spell(r)
	out := map[string]*string{sriovv1.AnnotationDesiredState: &text}
	if r == decide.AskNothing && grant(d.state) == decide.NotGranted {
		out[sriovv1.AnnotationUseExternalDrainer] = nil
		if d.o.ExternalDrainer {
			yes := sriovv1.AnnotationTrue
			out[sriovv1.AnnotationUseExternalDrainer] = &yes
		}
	}
	return out
}

// ask writes what is asked for. It comes after the status in which the pods are named.
func (d *daemon) ask(ctx context.Context, r decide.Request) {
	d.drain.writing = true
	mirror := d.mirror(r)
	d.scribe.post(ctx, job{key: "ask for " + spell(r), run: func(ctx context.Context) error {
		err := d.api.ask(ctx, spell(r), mirror)
		if err == nil {
			d.note(ctx, func() {
				d.metrics.requested(r, d.drain.asked, d.o.Now())
				d.drain.writing, d.drain.asked, d.drain.spelled = false, r, true
				d.log.Info("asked", "request", spell(r))
				if d.state != nil {
					d.drain.heard.mirror = spell(r)
					d.mirrorWritten(mirror)
				}
			})
		}
		return err
	}, failed: func(error) { d.note(ctx, func() { d.drain.writing = false }) }})
}

// mirrorWritten notes what was written until the watch brings it.
func (d *daemon) mirrorWritten(mirror map[string]*string) {
	s := d.state.DeepCopy()
	if s.Annotations == nil {
		s.Annotations = map[string]string{}
	}
	for key, value := range mirror {
		if value == nil {
			delete(s.Annotations, key)
			continue
		}
		s.Annotations[key] = *value
	}
	d.state = s
}

// patience is whether those who hold VFs may still be leaving.
func (d *daemon) patience(needed bool, now time.Time) bool {
	if !needed {
		d.stayed = time.Time{}
		return true
	}
	if d.stayed.IsZero() {
		d.stayed = now
	}
	return now.Sub(d.stayed) < d.o.Pace.Patience
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// stream is an answer on its way to the client.
type stream struct {
	w      io.Writer
	flush  func() error
	hangUp func() // does not return
}

// send passes on what came, at once.
func (s stream) send(b []byte) error {
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.flush()
}

// copy passes an answer on as it comes.
func (s stream) copy(body io.Reader) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := body.Read(buffer)
		if n > 0 && s.send(buffer[:n]) != nil {
			return
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler) // the API server broke off, and so does the proxy
		}
	}
}

// cut passes on so many bytes and then breaks the answer off.
func (s stream) cut(body io.Reader, after int64) {
	if part, err := io.ReadAll(io.LimitReader(body, after)); err == nil {
		_ = s.send(part)
	}
	panic(http.ErrAbortHandler)
}

// event is one of a watch, as it came.
type event struct {
	raw     []byte
	kind    string
	arrived time.Time
}

// queue is how many events may wait for a delayed client before the API server
// is no longer listened to.
const queue = 10000

// events passes a watch on, event by event.
func (s stream) events(ctx context.Context, body io.Reader, fault Fault) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	arriving := make(chan event, queue)
	go func() {
		defer close(arriving)
		read(ctx, body, arriving)
	}()
	sent := 0
	for {
		// A fault that ends the watch does so when its number of events is
		// reached, not when the next one comes.
		if s.over(fault, sent) {
			return
		}
		e, more := <-arriving
		if !more || pause(ctx, since(fault, e.arrived)) != nil {
			return
		}
		if s.send(e.raw) != nil {
			return
		}
		object := e.kind == "ADDED" || e.kind == "MODIFIED" || e.kind == "DELETED"
		if object {
			sent++
		}
		if _, repeat := fault.(Repeat); repeat && object && s.send(e.raw) != nil {
			return
		}
	}
}

// over ends a watch that has had its number of events. It reports whether it is
// the end.
func (s stream) over(fault Fault, sent int) bool {
	switch f := fault.(type) {
	case Drop:
		if sent >= f.Events {
			s.hangUp()
		}
	case End:
		return sent >= f.Events
	case Expire:
		if sent >= f.Events {
			_ = s.send(expired())
			return true
		}
	case nil, Delay, Hold, Answer, Cut, Repeat:
	}
	return false
}

// read takes a watch apart. A watch in JSON is one value after the other.
func read(ctx context.Context, body io.Reader, to chan<- event) {
	for d := json.NewDecoder(body); ; {
		var raw json.RawMessage
		if d.Decode(&raw) != nil {
			return
		}
		var head struct {
			Type string `json:"type"`
		}
		if json.Unmarshal(raw, &head) != nil {
			return
		}
		e := event{raw: append(bytes.Clone(raw), '\n'), kind: head.Type, arrived: time.Now()}
		select {
		case to <- e:
		case <-ctx.Done():
			return
		}
	}
}

// since returns what is left of a delay for an event that arrived a while ago.
func since(fault Fault, arrived time.Time) Fault {
	if d, ok := fault.(Delay); ok {
		return Delay{By: time.Until(arrived.Add(d.By))}
	}
	return fault
}

// pause waits as a Delay or a Hold says; other faults do not wait. An error says
// that the client has gone.
func pause(ctx context.Context, fault Fault) error {
	switch f := fault.(type) {
	case Delay:
		timer := time.NewTimer(f.By)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	case Hold:
		select {
		case <-f.Until:
		case <-ctx.Done():
		}
	case nil, Answer, Cut, Drop, End, Expire, Repeat:
	}
	return ctx.Err()
}

// inJSON returns an Accept header that takes JSON alone, in the shape (objects,
// their metadata, tables) that the client prefers.
func inJSON(accept []string) string {
	for one := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		_, parameters, err := mime.ParseMediaType(one)
		if err != nil {
			continue
		}
		delete(parameters, "q")
		if json := mime.FormatMediaType("application/json", parameters); json != "" {
			return json
		}
	}
	return "application/json"
}

// refuse answers with a Status, as an API server does.
func refuse(w http.ResponseWriter, r Request, code int, retryAfter time.Duration) {
	seconds := int(retryAfter / time.Second)
	status := refusal(r, code, seconds)
	body, err := json.Marshal(status)
	if err != nil {
		panic(http.ErrAbortHandler) // a Status can always be marshalled
	}
	if seconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(body) // the client may have gone
}

func refusal(r Request, code, seconds int) metav1.Status {
	const cause = "the proxy before the API server says so"
	resource := schema.GroupResource{Group: r.Group, Resource: r.Resource}
	status := apierrors.NewGenericServerResponse(code, r.Verb, resource, r.Name, cause, seconds, true).Status()
	switch code {
	case http.StatusConflict:
		status = apierrors.NewConflict(resource, r.Name, errors.New(cause)).Status()
	case http.StatusGone:
		status = apierrors.NewResourceExpired(cause).Status()
	case http.StatusTooManyRequests:
		status = apierrors.NewTooManyRequests(cause, seconds).Status()
	case http.StatusInternalServerError:
		status = apierrors.NewInternalError(errors.New(cause)).Status()
	}
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	return status
}

// expired is the event with which an API server ends a watch from a version
// that it has forgotten.
func expired() []byte {
	object, err := json.Marshal(refusal(Request{}, http.StatusGone, 0))
	if err != nil {
		panic(http.ErrAbortHandler) // a Status can always be marshalled
	}
	return fmt.Appendf(nil, `{"type":"ERROR","object":%s}`+"\n", object)
}

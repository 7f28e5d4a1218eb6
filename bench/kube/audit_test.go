// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build kube

package kube_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"testing"
	"time"
)

// The user agents of the two that are compared begin so.
const (
	operatorAgent = "sriov-network-operator/"
	floorAgent    = "floor"
)

// request is one that the API server answered, as it wrote it down.
type request struct {
	Verb      string
	Stage     string
	UserAgent string
	ObjectRef struct{ Resource, Subresource, Namespace, Name string }
	Began     time.Time `json:"requestReceivedTimestamp"`
	Ended     time.Time `json:"stageTimestamp"`
	// ResponseStatus is that of the answer.
	ResponseStatus struct{ Code int }
}

// kind is the verb and the resource.
func (r request) kind() string {
	kind := r.Verb + " " + r.ObjectRef.Resource
	if r.ObjectRef.Subresource != "" {
		kind += "/" + r.ObjectRef.Subresource
	}
	return kind
}

// writesNodeState reports whether the request writes the spec of a node state. What the
// operator patches are annotations.
func (r request) writesNodeState() bool {
	return r.ObjectRef.Resource == "sriovnetworknodestates" && r.ObjectRef.Subresource == "" &&
		(r.Verb == "update" || r.Verb == "create") && r.ResponseStatus.Code < 300
}

// audit reads what the API server wrote down, from where it was opened on.
type audit struct {
	b     *testing.B
	fleet *fleet
	agent string
	file  *os.File
	lines *bufio.Reader
	half  string
}

// listen begins with the next request of a user agent.
func listen(f *fleet, agent string) *audit {
	b := f.b
	b.Helper()
	file, err := os.Open(f.cluster.Audit())
	if err != nil {
		b.Fatal(err)
	}
	if _, err := file.Seek(0, io.SeekEnd); err != nil {
		b.Fatal(err)
	}
	return &audit{b: b, fleet: f, agent: agent, file: file, lines: bufio.NewReaderSize(file, 1<<20)}
}

func (a *audit) close() { _ = a.file.Close() }

// more are the requests that were written down since the last call.
func (a *audit) more() []request {
	a.b.Helper()
	if a.fleet.ended != nil {
		a.fleet.alive()
	}
	var out []request
	for {
		text, err := a.lines.ReadString('\n')
		a.half += text
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			a.b.Fatal(err)
		}
		// What others asked for is not worth parsing.
		if line := a.half; strings.Contains(line, `"userAgent":"`+a.agent) {
			var r request
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				a.b.Fatalf("%v in %s", err, line)
			}
			out = append(out, r)
		}
		a.half = ""
	}
}

// look is how often the file is read.
const look = 50 * time.Millisecond

// states waits until so many node states were written, and returns when the last one was
// and how many writes that took.
func (a *audit) states(count int, patience time.Duration) (last time.Time, writes int) {
	a.b.Helper()
	written := map[string]bool{}
	for deadline := time.Now().Add(patience); len(written) < count; time.Sleep(look) {
		for _, r := range a.more() {
			if r.writesNodeState() {
				written[r.ObjectRef.Name], last = true, latest(last, r.Ended)
				writes++
			}
		}
		if time.Now().After(deadline) {
			a.b.Fatalf("%d of %d node states were written within %s", len(written), count, patience)
		}
	}
	return last, writes
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// rest waits until nothing but leases and watches was asked for over a while, and returns
// how many of each kind of request there were until then.
func (a *audit) rest(while time.Duration) map[string]int {
	a.b.Helper()
	seen := map[string]int{}
	for calm, deadline := time.Now(), time.Now().Add(5*time.Minute); time.Since(calm) < while; time.Sleep(look) {
		for _, r := range a.more() {
			if !upkeep(r) {
				seen[r.kind()]++
				calm = time.Now()
			}
		}
		if time.Now().After(deadline) {
			a.b.Fatalf("no rest: %v", seen)
		}
	}
	return seen
}

// upkeep reports whether a request is what an operator with nothing to do may ask for.
func upkeep(r request) bool {
	return r.Verb == "watch" || r.ObjectRef.Resource == "leases" && (r.Verb == "get" || r.Verb == "update")
}

// during returns what was asked for over a time, by kind.
func (a *audit) during(while time.Duration) map[string]int {
	seen := map[string]int{}
	for end := time.Now().Add(while); time.Now().Before(end); time.Sleep(look) {
		for _, r := range a.more() {
			seen[r.kind()]++
		}
	}
	return seen
}

// differ is what is not as it should be.
func differ(want, got map[string]int) error {
	if maps.Equal(want, got) {
		return nil
	}
	return fmt.Errorf("requests %v, want %v", got, want)
}

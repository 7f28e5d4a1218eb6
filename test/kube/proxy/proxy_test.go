// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseTellsWhatARequestAsksFor(t *testing.T) {
	const group = "sriovnetwork.openshift.io"
	const api = "/apis/" + group + "/v1/"
	cases := map[string]struct {
		method, url string
		want        Request
	}{
		"one object": {"GET", api + "namespaces/ns/sriovnetworknodestates/n1",
			Request{Verb: "get", Group: group, Resource: "sriovnetworknodestates", Namespace: "ns", Name: "n1"}},
		"a subresource": {"PATCH", api + "namespaces/ns/sriovnetworknodestates/n1/status?fieldManager=x",
			Request{Verb: "patch", Group: group, Resource: "sriovnetworknodestates", Subresource: "status", Namespace: "ns", Name: "n1"}},
		"a list of all namespaces":        {"GET", api + "sriovnetworknodepolicies", Request{Verb: "list", Group: group, Resource: "sriovnetworknodepolicies"}},
		"a watch":                         {"GET", "/api/v1/nodes?watch=true", Request{Verb: "watch", Resource: "nodes"}},
		"a watch of one":                  {"GET", "/api/v1/namespaces/ns/configmaps?watch=1&fieldSelector=metadata.name%3Dx", Request{Verb: "watch", Resource: "configmaps", Namespace: "ns"}},
		"a creation":                      {"POST", "/api/v1/namespaces/ns/pods", Request{Verb: "create", Resource: "pods", Namespace: "ns"}},
		"an eviction":                     {"POST", "/api/v1/namespaces/ns/pods/p/eviction", Request{Verb: "create", Resource: "pods", Subresource: "eviction", Namespace: "ns", Name: "p"}},
		"an update":                       {"PUT", "/apis/coordination.k8s.io/v1/namespaces/ns/leases/l", Request{Verb: "update", Group: "coordination.k8s.io", Resource: "leases", Namespace: "ns", Name: "l"}},
		"a deletion":                      {"DELETE", "/api/v1/nodes/n1", Request{Verb: "delete", Resource: "nodes", Name: "n1"}},
		"a deletion of many":              {"DELETE", "/api/v1/namespaces/ns/pods", Request{Verb: "deletecollection", Resource: "pods", Namespace: "ns"}},
		"a namespace":                     {"GET", "/api/v1/namespaces/ns", Request{Verb: "get", Resource: "namespaces", Name: "ns"}},
		"the status of a namespace":       {"PUT", "/api/v1/namespaces/ns/status", Request{Verb: "update", Resource: "namespaces", Subresource: "status", Name: "ns"}},
		"health":                          {"GET", "/readyz", Request{Verb: "get", Resource: "/readyz"}},
		"the kinds of a group":            {"GET", "/apis/" + group + "/v1", Request{Verb: "get", Resource: "/apis/" + group + "/v1"}},
		"the kinds of the core group":     {"GET", "/api/v1", Request{Verb: "get", Resource: "/api/v1"}},
		"a review that creates no object": {"POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", Request{Verb: "create", Group: "authorization.k8s.io", Resource: "selfsubjectaccessreviews"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), c.method, "https://127.0.0.1"+c.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("User-Agent", "test/1")
			c.want.UserAgent = "test/1"
			if diff := cmp.Diff(c.want, parse(r)); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryRequestIsOneOfAReadAWatchAWriteAndNoneOfTheAPI(t *testing.T) {
	for _, verb := range []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"} {
		kinds := 0
		for _, is := range []func(Request) bool{Reads, Watches, Writes} {
			if is(Request{Verb: verb, Resource: "pods"}) {
				kinds++
			}
		}
		if kinds != 1 {
			t.Errorf("%s is %d of read, watch and write", verb, kinds)
		}
	}
	if health := (Request{Verb: "get", Resource: "/readyz"}); Reads(health) || Writes(health) {
		t.Error("health is part of the API")
	}
}

func strikes(s *script, requests ...Request) []string {
	var got []string
	for _, r := range requests {
		name := "-"
		if f := s.strike(r); f != nil {
			name = f.String()
		}
		got = append(got, name)
	}
	return got
}

func TestTheFirstRuleThatStrikesDecides(t *testing.T) {
	s := newScript(1, []Rule{
		{Match: On("pods", "get"), After: 1, Times: 2, Fault: Answer{Code: 500}},
		{Match: On("pods"), Times: 2, Fault: Repeat{}},
	})
	pod, node := Request{Verb: "get", Resource: "pods"}, Request{Verb: "get", Resource: "nodes"}
	got := strikes(s, node, pod, pod, pod, pod, pod, node)
	want := []string{"-", "repeat", "answer 500", "answer 500", "repeat", "-", "-"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestLotsDependOnTheSeedAndNotOnOtherRequests(t *testing.T) {
	rule := []Rule{{Chance: 0.3, Fault: Cut{}}}
	mine, other := Request{Verb: "get", Resource: "pods", Name: "mine"}, Request{Verb: "get", Resource: "pods", Name: "other"}
	const draws = 1000
	draw := func(seed uint64, asked Request, before ...Request) (got []string, hits int) {
		s := newScript(seed, rule)
		for range draws {
			strikes(s, before...)
			one := strikes(s, asked)
			got = append(got, one...)
			if one[0] != "-" {
				hits++
			}
		}
		return got, hits
	}
	alone, hits := draw(7, mine)
	if hits < draws*25/100 || hits > draws*35/100 {
		t.Errorf("a chance of 0.3 struck %d of %d", hits, draws)
	}
	streak, longest := 0, 0
	for _, one := range alone {
		if streak++; one == "-" {
			streak = 0
		}
		longest = max(longest, streak)
	}
	// A thousand draws have one of nine now and then; ten in a row, time and again, is no chance.
	if longest > 9 {
		t.Errorf("a client that tries again is struck %d times in a row", longest)
	}
	if among, _ := draw(7, mine, other, other); !cmp.Equal(alone, among) {
		t.Error("another client's requests change the lots")
	}
	moved := mine
	moved.Namespace = "test-x7k2p"
	if there, _ := draw(7, moved); !cmp.Equal(alone, there) {
		t.Error("the name of a namespace changes the lots")
	}
	if elsewhere, _ := draw(8, mine); cmp.Equal(alone, elsewhere) {
		t.Error("another seed gives the same lots")
	}
}

func TestJSONKeepsTheShapeThatAClientAsksFor(t *testing.T) {
	cases := map[string]struct{ accept, want string }{
		"protobuf":           {"application/vnd.kubernetes.protobuf,application/json", "application/json"},
		"metadata":           {"application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json", "application/json; as=PartialObjectMetadata; g=meta.k8s.io; v=v1"},
		"a preference":       {"application/json;q=0.9", "application/json"},
		"nothing in special": {"", "application/json"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := inJSON([]string{c.accept}); got != c.want {
				t.Errorf("Accept is %q, want %q", got, c.want)
			}
		})
	}
}

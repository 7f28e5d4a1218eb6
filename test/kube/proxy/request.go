// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"net/http"
	"slices"
	"strings"
)

// Request is what an API server is asked for.
type Request struct {
	// Verb is get, list, watch, create, update, patch, delete or
	// deletecollection; for paths outside of the API it is the HTTP method in
	// small letters.
	Verb string
	// Group is empty for the core group.
	Group string
	// Resource is the plural, such as pods; for paths outside of the API it is
	// the path, such as /readyz.
	Resource    string
	Subresource string
	Namespace   string
	Name        string
	UserAgent   string
}

// parse reads a request as an API server's request handlers do.
func parse(r *http.Request) Request {
	outside := Request{Verb: strings.ToLower(r.Method), Resource: r.URL.Path, UserAgent: r.UserAgent()}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	q := Request{UserAgent: r.UserAgent()}
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		q.Group, parts = parts[1], parts[3:]
	default:
		return outside
	}
	// /namespaces/x and its status and finalize are of the namespace itself.
	if parts[0] == "namespaces" && len(parts) > 2 && parts[2] != "status" && parts[2] != "finalize" {
		q.Namespace, parts = parts[1], parts[2:]
	}
	q.Resource = parts[0]
	if len(parts) > 1 {
		q.Name = parts[1]
	}
	if len(parts) > 2 {
		q.Subresource = strings.Join(parts[2:], "/")
	}
	q.Verb = verb(r, q.Name)
	return q
}

func verb(r *http.Request, name string) string {
	watch := r.URL.Query().Get("watch")
	switch {
	case r.Method == http.MethodGet && (watch == "true" || watch == "1"):
		return "watch"
	case r.Method == http.MethodGet && name == "":
		return "list"
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		return "get"
	case r.Method == http.MethodPost:
		return "create"
	case r.Method == http.MethodPut:
		return "update"
	case r.Method == http.MethodDelete && name == "":
		return "deletecollection"
	}
	return strings.ToLower(r.Method)
}

// Watches reports whether a request is a watch. It is a Rule's Match.
func Watches(r Request) bool { return r.Verb == "watch" }

// Reads reports whether a request gets or lists objects. It is a Rule's Match.
func Reads(r Request) bool { return inAPI(r) && (r.Verb == "get" || r.Verb == "list") }

// Writes reports whether a request changes objects. It is a Rule's Match.
func Writes(r Request) bool { return inAPI(r) && !Reads(r) && !Watches(r) }

func inAPI(r Request) bool { return !strings.HasPrefix(r.Resource, "/") }

// On returns a Rule's Match for a resource, such as sriovnetworknodestates, and
// verbs; without verbs it is for all.
func On(resource string, verbs ...string) func(Request) bool {
	return func(r Request) bool {
		return r.Resource == resource && (len(verbs) == 0 || slices.Contains(verbs, r.Verb))
	}
}

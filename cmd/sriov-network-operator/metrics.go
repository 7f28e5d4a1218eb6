// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// authenticated lets those read metrics whose token the API server knows and who may get
// the path. The API server is asked each time, so that a right that was taken away is
// gone at once; metrics are read a few times a minute.
func authenticated(config *rest.Config, client *http.Client) (server.Filter, error) {
	api, err := kubernetes.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("make a client for access to metrics: %w", err)
	}
	return func(log logr.Logger, next http.Handler) (http.Handler, error) {
		return &guard{api: api, log: log, next: next}, nil
	}, nil
}

// guard stands before a handler.
type guard struct {
	api  kubernetes.Interface
	log  logr.Logger
	next http.Handler
}

// ServeHTTP answers 401 to who is not known, 403 to who has no right, and 500 when the
// API server does not answer.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		http.Error(w, "a bearer token is needed", http.StatusUnauthorized)
		return
	}
	review, err := g.api.AuthenticationV1().TokenReviews().Create(r.Context(),
		&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil {
		g.unanswered(w, err)
		return
	}
	if !review.Status.Authenticated {
		http.Error(w, "the token is not known", http.StatusUnauthorized)
		return
	}
	access, err := g.api.AuthorizationV1().SubjectAccessReviews().Create(r.Context(), question(review.Status.User, r), metav1.CreateOptions{})
	if err != nil {
		g.unanswered(w, err)
		return
	}
	if !access.Status.Allowed {
		http.Error(w, "no right to "+strings.ToLower(r.Method)+" "+r.URL.Path, http.StatusForbidden)
		return
	}
	g.next.ServeHTTP(w, r)
}

func (g *guard) unanswered(w http.ResponseWriter, err error) {
	g.log.Error(err, "who asks for metrics cannot be told")
	http.Error(w, "the API server does not answer", http.StatusInternalServerError)
}

// question asks whether the user may do what the request does.
func question(user authenticationv1.UserInfo, r *http.Request) *authorizationv1.SubjectAccessReview {
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for key, values := range user.Extra {
		extra[key] = authorizationv1.ExtraValue(values)
	}
	return &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: r.URL.Path, Verb: strings.ToLower(r.Method)},
	}}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package scrape lets those read metrics whose token the API server knows and who may get
// the path.
package scrape

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
)

// Guard stands before handlers. The API server is asked about each request, so that a
// right that was taken away is gone at once; metrics are read a few times a minute.
type Guard struct {
	api    rest.Interface
	failed func(err error)
}

// NewGuard makes a guard that asks the API server of config. What it cannot ask is told to
// failed.
func NewGuard(config *rest.Config, client *http.Client, failed func(err error)) (*Guard, error) {
	c := rest.CopyConfig(config)
	c.NegotiatedSerializer = serializer.NewCodecFactory(runtime.NewScheme()).WithoutConversion()
	c.ContentType, c.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	api, err := rest.UnversionedRESTClientForConfigAndClient(c, client)
	if err != nil {
		return nil, fmt.Errorf("make a client for access to metrics: %w", err)
	}
	return &Guard{api: api, failed: failed}, nil
}

// Before is the handler for those who may. Others are answered 401 when they are not
// known, 403 when they have no right, and 500 when the API server does not answer.
func (g *Guard) Before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if code, text := g.refusal(r); code != 0 {
			http.Error(w, text, code)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refusal is why a request is not answered; zero when it is.
func (g *Guard) refusal(r *http.Request) (code int, text string) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return http.StatusUnauthorized, "a bearer token is needed"
	}
	who := authenticationv1.TokenReview{
		TypeMeta: metav1.TypeMeta{APIVersion: authenticationv1.SchemeGroupVersion.String(), Kind: "TokenReview"},
		Spec:     authenticationv1.TokenReviewSpec{Token: token},
	}
	if err := g.ask(r.Context(), "/apis/authentication.k8s.io/v1/tokenreviews", &who); err != nil {
		return g.unanswered(err)
	}
	if !who.Status.Authenticated {
		return http.StatusUnauthorized, "the token is not known"
	}
	may := question(who.Status.User, r)
	if err := g.ask(r.Context(), "/apis/authorization.k8s.io/v1/subjectaccessreviews", may); err != nil {
		return g.unanswered(err)
	}
	if !may.Status.Allowed {
		return http.StatusForbidden, "no right to " + strings.ToLower(r.Method) + " " + r.URL.Path
	}
	return 0, ""
}

// ask has a review answered by the API server.
func (g *Guard) ask(ctx context.Context, path string, review any) error {
	text, err := json.Marshal(review)
	if err != nil {
		return fmt.Errorf("marshal a review: %w", err)
	}
	answer, err := g.api.Post().AbsPath(path).Body(text).SetHeader("Content-Type", runtime.ContentTypeJSON).DoRaw(ctx)
	if err != nil {
		return fmt.Errorf("ask %s: %w", path, err)
	}
	if err := json.Unmarshal(answer, review); err != nil {
		return fmt.Errorf("read the answer of %s: %w", path, err)
	}
	return nil
}

func (g *Guard) unanswered(err error) (code int, text string) {
	g.failed(err)
	return http.StatusInternalServerError, "the API server does not answer"
}

// question asks whether the user may do what the request does.
func question(user authenticationv1.UserInfo, r *http.Request) *authorizationv1.SubjectAccessReview {
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for key, values := range user.Extra {
		extra[key] = authorizationv1.ExtraValue(values)
	}
	return &authorizationv1.SubjectAccessReview{
		TypeMeta: metav1.TypeMeta{APIVersion: authorizationv1.SchemeGroupVersion.String(), Kind: "SubjectAccessReview"},
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
			NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: r.URL.Path, Verb: strings.ToLower(r.Method)},
		},
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"

	admissionv1 "k8s.io/api/admission/v1"
)

// The paths at which the API server asks.
const (
	PathMutate   = "/mutating-custom-resource"
	PathValidate = "/validating-custom-resource"
)

// mostBytes bounds a request. The API server takes objects of 3 MiB, and sends them as
// they were, too.
const mostBytes = 8 << 20

// Handler serves both paths. know says what is known at the time of a request; it must
// not wait, and may be called from several goroutines.
func Handler(know func() Knowledge, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST "+PathMutate, answerer{Mutate, log})
	mux.Handle("POST "+PathValidate, answerer{func(r *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		return Validate(r, know())
	}, log})
	return mux
}

// answerer answers reviews.
type answerer struct {
	answer func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse
	log    *slog.Logger
}

func (a answerer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	review, err := readReview(http.MaxBytesReader(w, r.Body, mostBytes))
	if err != nil {
		a.log.WarnContext(r.Context(), "request cannot be read", "path", r.URL.Path, "err", err)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	request := review.Request
	review.Response, review.Request = a.safely(request), nil
	if !review.Response.Allowed {
		a.log.InfoContext(r.Context(), "object refused", "kind", request.Kind.Kind, "namespace", request.Namespace,
			"name", request.Name, "user", request.UserInfo.Username, "cause", review.Response.Result.Message)
	}
	out, err := json.Marshal(review)
	if err != nil {
		a.log.ErrorContext(r.Context(), "answer cannot be written", "err", err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(out); err != nil {
		a.log.WarnContext(r.Context(), "answer was not sent", "err", err)
	}
}

// safely answers also where the webhook has a fault of its own. Nobody can mend that by
// changing the object, and the schema still protects.
func (a answerer) safely(r *admissionv1.AdmissionRequest) (out *admissionv1.AdmissionResponse) {
	defer func() {
		if fault := recover(); fault != nil {
			a.log.Error("object could not be checked", "kind", r.Kind.Kind, "namespace", r.Namespace, "name", r.Name,
				"fault", fmt.Sprint(fault), "stack", string(debug.Stack()))
			out = &admissionv1.AdmissionResponse{
				UID: r.UID, Allowed: true,
				Warnings: []string{fmt.Sprintf("the webhook failed and did not check the object: %v; please report it", fault)},
			}
		}
	}()
	return a.answer(r)
}

// readReview reads a request of the only version that is asked for.
func readReview(body io.Reader) (*admissionv1.AdmissionReview, error) {
	raw, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("read the review: %w", err)
	}
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(raw, &review); err != nil {
		return nil, fmt.Errorf("read the review: %w", err)
	}
	if got, want := review.GroupVersionKind(), admissionv1.SchemeGroupVersion.WithKind("AdmissionReview"); got != want {
		return nil, fmt.Errorf("read the review: it is %v, not %v", got, want)
	}
	if review.Request == nil {
		return nil, errors.New("read the review: it has no request")
	}
	return &review, nil
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
)

// The variables of the environment that are read.
const (
	envNamespace = "NAMESPACE"
	envDevMode   = "DEV_MODE"
)

// defaultPort can be bound by everybody.
const defaultPort = 6443

// options are all settings of the program.
type options struct {
	Namespace string `json:"namespace"`
	// DevMode lets NICs that are not in the NIC list be configured.
	DevMode   bool   `json:"devMode"`
	Port      int    `json:"port"`
	CertFile  string `json:"certFile"`
	KeyFile   string `json:"keyFile"`
	HTTP2     bool   `json:"http2"`
	Verbosity int    `json:"verbosity"`

	Suites     []uint16      `json:"cipherSuites,omitempty"`
	MinVersion uint16        `json:"minVersion"`
	Curves     []tls.CurveID `json:"curves,omitempty"`
}

// readOptions reads the command, its flags and the environment. Help and errors of flags
// go to the writer.
func readOptions(args []string, env func(string) string, out io.Writer) (options, error) {
	o := options{Namespace: env(envNamespace), DevMode: strings.EqualFold(env(envDevMode), "true")}
	if o.Namespace == "" {
		o.Namespace = sriovv1.DefaultNamespace
	}
	var suites, version, curves string
	set := flag.NewFlagSet("webhook start", flag.ContinueOnError)
	set.SetOutput(out)
	set.IntVar(&o.Port, "port", defaultPort, "where the API server asks, and where /healthz and /readyz are served")
	set.StringVar(&o.CertFile, "tls-cert-file", "", "certificate, in PEM; it may be replaced at any time")
	set.StringVar(&o.KeyFile, "tls-private-key-file", "", "its key, in PEM")
	set.StringVar(&suites, "tls-cipher-suites", "", "cipher suites of TLS 1.2 by their names of IANA, with commas; without any, those that Go calls secure")
	set.StringVar(&version, "tls-min-version", "VersionTLS12", "VersionTLS12 or VersionTLS13")
	set.StringVar(&curves, "tls-curve-preferences", "", "curves by their numbers, with commas; without any, those of Go")
	set.BoolVar(&o.HTTP2, "enable-http2", false, "speak HTTP/2, too")
	set.IntVar(&o.Verbosity, "v", 0, "how much is logged: 0 for refusals and errors, 4 for more")
	if len(args) == 0 || args[0] != "start" {
		set.Usage()
		if len(args) > 0 && slices.Contains([]string{"-h", "-help", "--help", "help"}, args[0]) {
			return o, flag.ErrHelp
		}
		return o, fmt.Errorf("there is one command, start; got %q", args)
	}
	if err := set.Parse(args[1:]); err != nil {
		return o, err
	}
	switch {
	case set.NArg() > 0:
		return o, fmt.Errorf("argument %q is not known; there are only flags", set.Arg(0))
	case len(validation.IsDNS1123Label(o.Namespace)) > 0:
		return o, fmt.Errorf("namespace %q is no name of a namespace", o.Namespace)
	case o.Port < 0 || o.Port > 65535:
		return o, fmt.Errorf("port %d: use 1 to 65535", o.Port)
	case o.CertFile == "" || o.KeyFile == "":
		return o, fmt.Errorf("--tls-cert-file and --tls-private-key-file are needed: the API server calls with TLS only")
	}
	return o, o.readTLS(suites, version, curves)
}

// readTLS reads what may be negotiated.
func (o *options) readTLS(suites, version, curves string) error {
	known := tls.CipherSuites()
	for _, name := range words(suites) {
		i := slices.IndexFunc(known, func(s *tls.CipherSuite) bool { return s.Name == name })
		if i < 0 {
			return fmt.Errorf("tls-cipher-suites: %q is not offered, or not secure", name)
		}
		o.Suites = append(o.Suites, known[i].ID)
	}
	switch version {
	case "", "VersionTLS12":
		o.MinVersion = tls.VersionTLS12
	case "VersionTLS13":
		o.MinVersion = tls.VersionTLS13
	default:
		return fmt.Errorf("tls-min-version: %q is neither VersionTLS12 nor VersionTLS13", version)
	}
	for _, number := range words(curves) {
		id, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return fmt.Errorf("tls-curve-preferences: %q is no number of a curve", number)
		}
		if !slices.Contains([]tls.CurveID{tls.CurveP256, tls.CurveP384, tls.CurveP521, tls.X25519, tls.X25519MLKEM768}, tls.CurveID(id)) {
			return fmt.Errorf("tls-curve-preferences: %d is not offered; use 23, 24, 25, 29 or 4588", id)
		}
		o.Curves = append(o.Curves, tls.CurveID(id))
	}
	return nil
}

// words are what stands between the commas, without blanks and empty ones.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

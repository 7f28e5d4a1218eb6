// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// TLS is what servers of operands may negotiate, as text of their administrator. Empty
// fields leave it to the server.
type TLS struct {
	// CipherSuites are names of OpenSSL or of IANA with commas between them. Suites
	// that are not secure are left out.
	CipherSuites string
	// MinVersion is VersionTLS12 or VersionTLS13; TLSv1.2 and 1.2 mean the same.
	MinVersion string
	// CurvePreferences are X25519, secp256r1, secp384r1, secp521r1 and X25519MLKEM768
	// with commas between them.
	CurvePreferences string
}

// tlsSettings are the settings as servers take them.
type tlsSettings struct{ suites, version, curves string }

// args are the settings as arguments.
func (t tlsSettings) args() []string {
	args := t.argsWithoutCurves()
	if t.curves != "" {
		args = append(args, "--tls-curve-preferences="+t.curves)
	}
	return args
}

// argsWithoutCurves are for servers that know no curve preferences.
func (t tlsSettings) argsWithoutCurves() []string {
	var args []string
	if t.suites != "" {
		args = append(args, "--tls-cipher-suites="+t.suites)
	}
	if t.version != "" {
		args = append(args, "--tls-min-version="+t.version)
	}
	return args
}

// finding is a Problem before it is known which groups it is about.
type finding struct {
	severity          Severity
	field, cause, fix string
}

// parse checks the settings and spells them as servers take them.
func (t TLS) parse() (out tlsSettings, found []finding) {
	var more []finding
	out.suites, found = parseSuites(t.CipherSuites)
	out.version, more = parseVersion(t.MinVersion)
	found = append(found, more...)
	out.curves, more = parseCurves(t.CurvePreferences)
	return out, append(found, more...)
}

// parseSuites keeps the suites that Go calls secure.
func parseSuites(text string) (string, []finding) {
	const field = "tls.cipherSuites"
	var suites []string
	var found []finding
	for _, name := range words(text) {
		iana, known := ianaName(name)
		switch {
		case offered(iana):
			if !slices.Contains(suites, iana) {
				suites = append(suites, iana)
			}
		case known:
			found = append(found, finding{Warning, field, fmt.Sprintf("%s is left out: it is not secure, or not offered", name), ""})
		default:
			found = append(found, finding{Refusal, field, fmt.Sprintf("%q is no cipher suite", name), "use names of OpenSSL or IANA, such as ECDHE-RSA-AES128-GCM-SHA256"})
		}
	}
	if len(suites) == 0 && len(words(text)) > 0 && !slices.ContainsFunc(found, func(f finding) bool { return f.severity == Refusal }) {
		found = append(found, finding{Refusal, field, "none of the cipher suites is secure", "add one, such as ECDHE-RSA-AES128-GCM-SHA256, or leave it empty"})
	}
	return strings.Join(suites, ","), found
}

// offered reports whether Go has the suite and calls it secure.
func offered(iana string) bool {
	return slices.ContainsFunc(tls.CipherSuites(), func(s *tls.CipherSuite) bool { return s.Name == iana })
}

// ianaName is IANA's name of a suite, and whether there is such a suite. TLS 1.3 has
// one name for each suite everywhere.
func ianaName(name string) (iana string, known bool) {
	iana, known = openSSLNames()[name]
	if known {
		return iana, true
	}
	same := func(s *tls.CipherSuite) bool { return s.Name == name }
	if slices.ContainsFunc(tls.CipherSuites(), same) || slices.ContainsFunc(tls.InsecureCipherSuites(), same) {
		return name, true
	}
	for _, iana := range openSSLNames() {
		if iana == name {
			return name, true
		}
	}
	return name, false
}

// openSSLNames are IANA's names by those of OpenSSL, for suites of TLS 1.2 and before
// (openssl-ciphers(1), "CIPHER SUITE NAMES").
func openSSLNames() map[string]string {
	return map[string]string{
		"ECDHE-ECDSA-AES128-GCM-SHA256": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
		"ECDHE-RSA-AES128-GCM-SHA256":   "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
		"ECDHE-ECDSA-AES256-GCM-SHA384": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
		"ECDHE-RSA-AES256-GCM-SHA384":   "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
		"ECDHE-ECDSA-CHACHA20-POLY1305": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
		"ECDHE-RSA-CHACHA20-POLY1305":   "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
		"DHE-RSA-AES128-GCM-SHA256":     "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
		"DHE-RSA-AES256-GCM-SHA384":     "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
		"DHE-RSA-CHACHA20-POLY1305":     "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
		"DHE-RSA-AES128-SHA256":         "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256",
		"DHE-RSA-AES256-SHA256":         "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256",
		"ECDHE-ECDSA-AES128-SHA256":     "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
		"ECDHE-RSA-AES128-SHA256":       "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
		"ECDHE-ECDSA-AES256-SHA384":     "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384",
		"ECDHE-RSA-AES256-SHA384":       "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",
		"ECDHE-ECDSA-AES128-SHA":        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
		"ECDHE-RSA-AES128-SHA":          "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
		"ECDHE-ECDSA-AES256-SHA":        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
		"ECDHE-RSA-AES256-SHA":          "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
		"AES128-GCM-SHA256":             "TLS_RSA_WITH_AES_128_GCM_SHA256",
		"AES256-GCM-SHA384":             "TLS_RSA_WITH_AES_256_GCM_SHA384",
		"AES128-SHA256":                 "TLS_RSA_WITH_AES_128_CBC_SHA256",
		"AES256-SHA256":                 "TLS_RSA_WITH_AES_256_CBC_SHA256",
		"AES128-SHA":                    "TLS_RSA_WITH_AES_128_CBC_SHA",
		"AES256-SHA":                    "TLS_RSA_WITH_AES_256_CBC_SHA",
		"DES-CBC3-SHA":                  "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
		"ECDHE-RSA-DES-CBC3-SHA":        "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
	}
}

// parseVersion spells the version as Go names the constant.
func parseVersion(text string) (string, []finding) {
	const field = "tls.minVersion"
	switch strings.TrimSpace(text) {
	case "":
		return "", nil
	case "VersionTLS12", "TLSv1.2", "1.2":
		return "VersionTLS12", nil
	case "VersionTLS13", "TLSv1.3", "1.3":
		return "VersionTLS13", nil
	case "VersionTLS10", "TLSv1.0", "TLSv1", "1.0", "VersionTLS11", "TLSv1.1", "1.1":
		return "", []finding{{Refusal, field, fmt.Sprintf("%s is not secure", strings.TrimSpace(text)), "use VersionTLS12 or VersionTLS13"}}
	}
	return "", []finding{{Refusal, field, fmt.Sprintf("%q is no version of TLS", strings.TrimSpace(text)), "use VersionTLS12 or VersionTLS13"}}
}

// parseCurves spells the curves as their numbers.
func parseCurves(text string) (string, []finding) {
	var ids []string
	var found []finding
	for _, name := range words(text) {
		id, ok := map[string]tls.CurveID{
			"X25519": tls.X25519, "secp256r1": tls.CurveP256, "secp384r1": tls.CurveP384,
			"secp521r1": tls.CurveP521, "X25519MLKEM768": tls.X25519MLKEM768,
		}[name]
		number := strconv.Itoa(int(id))
		switch {
		case !ok:
			found = append(found, finding{Refusal, "tls.curvePreferences", fmt.Sprintf("%q is no curve", name), "use X25519, secp256r1, secp384r1, secp521r1 or X25519MLKEM768"})
		case !slices.Contains(ids, number):
			ids = append(ids, number)
		}
	}
	return strings.Join(ids, ","), found
}

// words are what stands between the commas, without blanks and empty ones.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' })
}

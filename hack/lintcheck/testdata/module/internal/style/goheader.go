// Copyright somebody.

package style

// Headless says nothing about its licence.
const Headless = 1

// want goheader: Expected:SPDX

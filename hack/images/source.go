// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// source is what is built.
type source struct {
	// version is a tag of git, or what can be told from the last one, or the commit.
	version, revision string
	// time is the commit's. Every time in an image is this one, so that whoever builds the
	// commit again gets the same bytes.
	time time.Time
}

func readSource(ctx context.Context, root string) (source, error) {
	git := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = root
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("git %s: %w; images are built from a clone, whose history says what is in them", args[0], err)
		}
		return strings.TrimSpace(string(out)), nil
	}
	version, err := git("describe", "--tags", "--always", "--abbrev=12", "--dirty")
	if err != nil {
		return source{}, err
	}
	revision, err := git("rev-parse", "HEAD")
	if err != nil {
		return source{}, err
	}
	seconds, err := git("log", "-1", "--format=%ct")
	if err != nil {
		return source{}, err
	}
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return source{}, fmt.Errorf("time of the commit: %w", err)
	}
	return source{version: version, revision: revision, time: time.Unix(unix, 0).UTC()}, nil
}

// compile builds a program for a processor into the folder. The bytes depend on the source
// and on the version of Go, and not on where and by whom it is built.
func compile(ctx context.Context, root, folder, program, arch, version string) (string, error) {
	file, err := filepath.Abs(filepath.Join(folder, program+"-"+arch))
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags=-s -X main.version="+version, "-o", file, "./cmd/"+program)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOEXPERIMENT=")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go build ./cmd/%s for %s: %w", program, arch, err)
	}
	return file, nil
}

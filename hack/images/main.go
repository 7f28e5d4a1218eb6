// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Command images builds the container images of the operator, the config daemon and the
// webhook, and writes what installs them. It needs Go and nothing that runs containers. It
// is a module of its own, so that nothing else depends on its libraries.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

type options struct {
	root, out     string
	registry, tag string
	arches        []string
	push          bool
}

func readOptions(args []string, errs io.Writer) (options, error) {
	var o options
	var arches string
	set := flag.NewFlagSet("images", flag.ContinueOnError)
	set.SetOutput(errs)
	set.StringVar(&o.root, "root", "../..", "root of the repository")
	set.StringVar(&o.out, "out", "../../dist/images", "folder to write to")
	set.StringVar(&o.registry, "registry", "localhost", "what goes before the images' names")
	set.StringVar(&o.tag, "tag", "", "the images' tag; without any, what git says of the commit")
	set.StringVar(&arches, "arch", "amd64,arm64", "processors to build for, with commas")
	set.BoolVar(&o.push, "push", false, "push the images to the registry, with the credentials of docker login or podman login")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	if set.NArg() > 0 {
		return o, fmt.Errorf("argument %q is not known; there are only flags", set.Arg(0))
	}
	if o.push && o.registry == "localhost" {
		return o, errors.New("-push needs -registry, which says where to")
	}
	o.arches = strings.Split(arches, ",")
	return o, nil
}

// run builds every image, then writes what installs them: no file names an image that
// could not be built or pushed.
func run(ctx context.Context, args []string, out, errs io.Writer) error {
	o, err := readOptions(args, errs)
	if err != nil {
		return err
	}
	from, err := readSource(ctx, o.root)
	if err != nil {
		return err
	}
	if o.tag == "" {
		o.tag = from.version
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	built := map[string]string{}
	for _, w := range wanted() {
		name, err := makeImage(ctx, o, from, w)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		built[w.name] = name
		if _, err := fmt.Fprintln(out, name); err != nil {
			return err
		}
	}
	return writeInstallation(o.out, built)
}

// makeImage builds one image, stores it and pushes it if that is asked for. It answers with
// the name to run it by: once it is in a registry, that has the digest.
func makeImage(ctx context.Context, o options, from source, w want) (string, error) {
	ref, err := reference(o.registry, w.name, o.tag)
	if err != nil {
		return "", err
	}
	index, err := build(ctx, o, from, w)
	if err != nil {
		return "", err
	}
	if err := writeArchive(filepath.Join(o.out, w.name+".tar"), ref.Name(), index, from.time); err != nil {
		return "", err
	}
	if !o.push {
		return ref.Name(), nil
	}
	digest, err := index.Digest()
	if err != nil {
		return "", err
	}
	return ref.Name() + "@" + digest.String(), push(ctx, ref, index)
}

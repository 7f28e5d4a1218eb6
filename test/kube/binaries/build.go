// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package binaries

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kubeovn/sriov-network-operator/test/vm/image"
)

// Builder builds programs into a cache.
type Builder struct {
	Repository string    // root of the repository, whose modules pin the versions
	Cache      string    // folder; each set of programs is a subfolder
	Log        io.Writer // nil is silence
}

// module is one whose dependencies are the programs.
type module struct {
	Folder   string   // in test/kube/binaries
	Pins     string   // the dependency whose version names the set
	Packages []string // main packages
}

func modules() []module {
	return []module{
		{"kubernetes", "k8s.io/kubernetes", []string{
			"go.etcd.io/etcd/server/v3",
			"k8s.io/kubernetes/cmd/kube-apiserver",
			"k8s.io/kubernetes/cmd/kube-controller-manager",
			"k8s.io/kubernetes/cmd/kube-scheduler",
			"k8s.io/kubernetes/cmd/kubectl",
		}},
		{"kwok", "sigs.k8s.io/kwok", []string{"sigs.k8s.io/kwok/cmd/kwok"}},
	}
}

// recipe is part of the cache's key: a change of how things are built that the
// modules do not show has to change it.
const recipe = "1: -trimpath, notest, grpcnotrace, stripped; stages fast"

func (b Builder) module(m module) string {
	return filepath.Join(b.Repository, "test", "kube", "binaries", m.Folder)
}

func (b Builder) say(format string, args ...any) {
	if b.Log != nil {
		_, _ = fmt.Fprintf(b.Log, "kuberig: "+format+"\n", args...) // what cannot be told changes nothing
	}
}

// Build returns the programs. It builds them if the cache lacks them, for which
// it needs a Go module proxy, 6 GB for Go's build cache, 3 GB of memory and six
// to ten minutes on two cores; it waits while another process does. An
// interrupted build leaves nothing, but what Go has compiled stays in its cache.
func (b Builder) Build(ctx context.Context) (Set, error) {
	s, err := b.place()
	if err != nil {
		return Set{}, err
	}
	if touch(s.Dir) == nil {
		return s, nil
	}
	if err := os.MkdirAll(b.Cache, 0o755); err != nil {
		return Set{}, fmt.Errorf("make the cache: %w: set SRIOV_CACHE to a folder that can be written", err)
	}
	unlock, err := image.Lock(filepath.Join(b.Cache, "lock"))
	if err != nil {
		return Set{}, err
	}
	defer unlock()
	if touch(s.Dir) == nil {
		return s, nil
	}
	started := time.Now()
	b.say("building into %s; a cold build takes 6 to 10 minutes of two cores", s.Dir)
	part := Set{s.Dir + ".part"}
	// The lock makes what is there the remains of an interrupted build.
	if err := os.RemoveAll(part.Dir); err != nil {
		return Set{}, fmt.Errorf("remove the remains of a build: %w", err)
	}
	if err := b.fill(ctx, part); err != nil {
		return Set{}, errors.Join(err, os.RemoveAll(part.Dir))
	}
	if err := os.Rename(part.Dir, s.Dir); err != nil {
		return Set{}, fmt.Errorf("keep what was built: %w", err)
	}
	b.say("built in %.0f s", time.Since(started).Seconds())
	return s, b.prune(started.Add(-keepUnused))
}

// fill builds everything into a new folder.
func (b Builder) fill(ctx context.Context, s Set) error {
	if err := os.MkdirAll(s.Bin(), 0o755); err != nil {
		return fmt.Errorf("make a folder to build into: %w", err)
	}
	for _, m := range modules() {
		if err := b.compile(ctx, m, s); err != nil {
			return err
		}
	}
	// etcd's main package is its module's root, whose folder is called server.
	if err := os.Rename(s.Program("server"), s.Program("etcd")); err != nil {
		return fmt.Errorf("name etcd: %w", err)
	}
	return b.stages(ctx, s)
}

func (b Builder) compile(ctx context.Context, m module, s Set) error {
	text, err := os.ReadFile(filepath.Join(b.module(m), "go.mod"))
	if err != nil {
		return fmt.Errorf("read the version of %s: %w", m.Pins, err)
	}
	version, err := required(string(text), m.Pins)
	if err != nil {
		return err
	}
	args := []string{
		"build", "-v", "-mod=readonly", "-buildvcs=false", "-trimpath", "-tags=notest,grpcnotrace",
		"-ldflags=" + linkerFlags(version), "-o", s.Bin() + string(filepath.Separator),
	}
	cmd := b.goCommand(ctx, m, append(args, m.Packages...)...)
	return b.watched(cmd, fmt.Sprintf("%s %s", m.Pins, version))
}

// goCommand prepares a command of the Go that this program was built with.
func (b Builder) goCommand(ctx context.Context, m module, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = b.module(m)
	// Nothing of the caller's workspace or target may leak into the programs.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	// Compilers that outlive a cancelled go command would go on for minutes.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = stopTime
	return cmd
}

const (
	stopTime      = 10 * time.Second // for a command to end that was cancelled
	progressEvery = 15 * time.Second
	errorLines    = 30
)

// watched runs `go build -v` and tells how far it is.
func (b Builder) watched(cmd *exec.Cmd, what string) error {
	output, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("build %s: %w", what, err)
	}
	started := time.Now()
	b.say("%s: building", what)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("build %s: %w: put go into PATH", what, err)
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(output); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	said := b.follow(lines, what, started)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("build %s: %w%s\n%s", what, err, remedy(said), strings.Join(said[max(0, len(said)-errorLines):], "\n"))
	}
	b.say("%s: done in %.0f s", what, time.Since(started).Seconds())
	return nil
}

// follow counts the packages that go names, and returns the other lines.
func (b Builder) follow(lines <-chan string, what string, started time.Time) []string {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	var said []string
	packages := 0
	for {
		select {
		case line, more := <-lines:
			switch {
			case !more:
				return said
			case strings.HasPrefix(line, "#") || strings.ContainsAny(line, " \t"):
				said = append(said, line)
			default:
				packages++
			}
		case <-tick.C:
			b.say("%s: %d packages compiled after %.0f s", what, packages, time.Since(started).Seconds())
		}
	}
}

// remedy returns what to do about a failure that go described, or nothing.
func remedy(said []string) string {
	text := strings.Join(said, "\n")
	for _, known := range []struct{ sign, cure string }{
		{"no space left on device", ": the build needs 6 GB in Go's build cache and 2 GB in /tmp: free some, or set GOCACHE and GOTMPDIR to folders of a larger disk"},
		{"signal: killed", ": a compiler was killed, mostly for want of memory: it needs 3 GB; GOMAXPROCS=1 compiles one package at a time"},
		{"dial tcp", ": a module could not be fetched: set GOPROXY to a Go module proxy that can be reached"},
		{"missing go.sum entry", ": the module's go.sum is incomplete: run `go mod tidy` in its folder"},
		{"requires go >=", ": install the Go version that is named, or allow Go to fetch it with GOTOOLCHAIN=auto"},
	} {
		if strings.Contains(text, known.sign) {
			return known.cure
		}
	}
	return ""
}

// stages writes what kwok is told, from the files that its module brings.
func (b Builder) stages(ctx context.Context, s Set) error {
	kwok := modules()[1]
	cmd := b.goCommand(ctx, kwok, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", kwok.Pins)
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("find kwok's module: %w", err)
	}
	var text []string
	for _, name := range []string{
		"node/fast/node-initialize", "node/heartbeat-with-lease/node-heartbeat-with-lease",
		"pod/fast/pod-ready", "pod/fast/pod-complete", "pod/fast/pod-delete",
	} {
		stage, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "kustomize", "stage", name+".yaml"))
		if err != nil {
			return fmt.Errorf("read kwok's stage %s: %w", name, err)
		}
		text = append(text, string(stage))
	}
	if err := os.WriteFile(s.Stages(), []byte(strings.Join(text, "\n---\n")), 0o644); err != nil {
		return fmt.Errorf("write kwok's stages: %w", err)
	}
	return nil
}

// required returns the version at which a go.mod requires a module.
func required(goMod, path string) (string, error) {
	for line := range strings.Lines(goMod) {
		words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(words) >= 2 && words[0] == path && !slices.Contains(words, "=>") {
			return words[1], nil
		}
	}
	return "", fmt.Errorf("go.mod does not require %s", path)
}

// linkerFlags gives a program the version that it tells. Without it an API
// server says v0.0.0, and clients that compare versions refuse it. A fixed date
// keeps the programs the same, byte for byte.
func linkerFlags(version string) string {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	flags := []string{"-s", "-w"}
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, set := range []string{
			"gitVersion=" + version, "gitMajor=" + major, "gitMinor=" + minor,
			"gitTreeState=clean", "buildDate=2026-01-01T00:00:00Z",
		} {
			flags = append(flags, "-X", pkg+"."+set)
		}
	}
	return strings.Join(flags, " ")
}

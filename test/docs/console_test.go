// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeovn/sriov-network-operator/internal/cli"
	"github.com/kubeovn/sriov-network-operator/internal/host"
	"github.com/kubeovn/sriov-network-operator/internal/host/sim"
)

var update = flag.Bool("update", false, "write what is printed and generated now into the pages")

// reader is somebody who follows a page from top to bottom: in a folder with
// the page's files, at the page's machine.
type reader struct {
	t    *testing.T
	page page
	this *sim.Machine
	// offers are what the blocks so far offer to pods.
	offers offers
	// code is the exit code of the last command.
	code int
}

func newReader(t *testing.T, p page) *reader {
	t.Helper()
	r := &reader{t: t, page: p}
	repository, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	if p.this != "" {
		r.this = machine(t, filepath.Join(repository, "test/machines", p.this+".yaml"))
	}
	t.Chdir(t.TempDir())
	for _, name := range []string{"examples", "test"} {
		if err := os.Symlink(filepath.Join(repository, name), name); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func machine(t *testing.T, name string) *sim.Machine {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	m, err := sim.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

// TestPages follows every page: objects are checked where they stand, commands
// are run in their order.
func TestPages(t *testing.T) {
	for _, p := range pages(t) {
		t.Run(p.path, func(t *testing.T) {
			file, err := filepath.Abs(filepath.Join(root, p.path))
			if err != nil {
				t.Fatal(err)
			}
			r := newReader(t, p)
			replaced := map[int]string{}
			for i, b := range p.blocks {
				if printed := r.block(b); printed != p.text(b) {
					replaced[i] = printed
				}
			}
			if *update && len(replaced) > 0 {
				rewrite(t, file, p, replaced)
			}
		})
	}
}

// rewrite puts new text into a page's blocks.
func rewrite(t *testing.T, file string, p page, replaced map[int]string) {
	t.Helper()
	lines := slices.Clone(p.lines)
	for i, b := range slices.Backward(p.blocks) {
		if text, ok := replaced[i]; ok {
			lines = slices.Replace(lines, b.first, b.last, strings.Split(strings.TrimSuffix(text, "\n"), "\n")...)
		}
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
}

// block follows one block and returns what should stand there.
func (r *reader) block(b block) string {
	r.t.Helper()
	text := r.page.text(b)
	if name, ok := b.tells["file"]; ok {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			r.t.Fatal(err)
		}
	}
	switch _, untested := b.tells["not tested"]; {
	case untested:
	case b.lang == "yaml":
		r.objects(b, text)
	case b.lang == "console":
		return r.console(b, text)
	case slices.Contains([]string{"sh", "text", "json", "go", "udev", ""}, b.lang):
	default:
		r.t.Errorf("%s:%d: a block of the language %q is not tested; is it yaml, console, sh or text?", r.page.path, b.first, b.lang)
	}
	return text
}

// console runs the commands of a block and compares what they print.
func (r *reader) console(b block, text string) string {
	r.t.Helper()
	var out strings.Builder
	for _, s := range sessions(text) {
		fmt.Fprintf(&out, "$ %s\n", s.command)
		got, err := r.run(strings.ReplaceAll(s.command, "\\\n", " "))
		if err != nil {
			r.t.Errorf("%s:%d: %s: %v", r.page.path, b.first, s.command, err)
			return text
		}
		if matches(lines(s.output), lines(got)) {
			out.WriteString(s.output)
			continue
		}
		out.WriteString(got)
		if !*update {
			r.t.Errorf("%s:%d: %s prints something else (-page +now):\n%s", r.page.path, b.first, s.command, cmp.Diff(lines(s.output), lines(got)))
		}
	}
	return out.String()
}

// session is a command and what it prints.
type session struct{ command, output string }

func sessions(text string) []session {
	var out []session
	rest := strings.SplitAfter(text, "\n")
	for i := 0; i < len(rest); i++ {
		command, ok := strings.CutPrefix(rest[i], "$ ")
		switch {
		case ok:
			for strings.HasSuffix(command, "\\\n") && i+1 < len(rest) {
				i++
				command += rest[i]
			}
			out = append(out, session{command: strings.TrimSuffix(command, "\n")})
		case len(out) == 0:
			out = append(out, session{command: "# no command: " + strings.TrimSpace(rest[i])})
		default:
			out[len(out)-1].output += rest[i]
		}
	}
	return out
}

// duration is what differs from run to run.
var duration = regexp.MustCompile(`\b[0-9]+(\.[0-9]+)?(ns|µs|ms|s)\b`)

// lines are the lines of a text, without what differs from run to run.
func lines(text string) []string {
	all := strings.Split(strings.TrimRight(duration.ReplaceAllString(text, "0s"), "\n"), "\n")
	for i := range all {
		all[i] = strings.TrimRight(all[i], " ")
	}
	sortLanes(all)
	return all
}

// progress is a step that is done: its lane, which step it is of how many, and what
// it did.
var progress = regexp.MustCompile(`^(\S.*?)  \d+/\d+  `)

// sortLanes sorts each run of progress lines by lane: lanes go on side by side, and
// only the order within one is given.
func sortLanes(all []string) {
	for first := 0; first < len(all); first++ {
		last := first
		for last < len(all) && progress.MatchString(all[last]) {
			last++
		}
		slices.SortStableFunc(all[first:last], func(a, b string) int {
			return strings.Compare(lane(a), lane(b))
		})
		first = max(first, last)
	}
}

// lane is what a progress line is about; the node comes before all PFs.
func lane(line string) string {
	name := progress.FindStringSubmatch(line)[1]
	if name == "the node" {
		return ""
	}
	return name
}

// matches reports whether the lines are those of the page, in which "..." stands
// for any number of lines.
func matches(want, got []string) bool {
	switch {
	case len(want) == 0:
		return len(got) == 0
	case want[0] == "...":
		for i := range len(got) + 1 {
			if matches(want[1:], got[i:]) {
				return true
			}
		}
		return false
	}
	return len(got) > 0 && want[0] == got[0] && matches(want[1:], got[1:])
}

// run runs one command of a page and returns what a person sees.
func (r *reader) run(command string) (string, error) {
	command, target, redirected := strings.Cut(command, " > ")
	words := strings.Fields(command)
	if len(words) > 0 && words[0] == "sudo" {
		words = words[1:]
	}
	var seen, out buffer
	to := io.Writer(&seen)
	if redirected {
		to = &out
	}
	if err := r.program(words, to, &seen); err != nil {
		return "", err
	}
	if redirected {
		if err := os.WriteFile(strings.TrimSpace(target), out.Bytes(), 0o644); err != nil {
			return "", err
		}
	}
	return seen.String(), nil
}

// program runs one of the few programs that pages use.
func (r *reader) program(words []string, out, errs io.Writer) error {
	switch {
	case len(words) >= 2 && words[0] == "kubectl" && words[1] == "sriov":
		return r.tool("kubectl sriov", words[2:], out, errs)
	case len(words) >= 1 && filepath.Base(words[0]) == "kubectl-sriov":
		return r.tool("kubectl-sriov", words[1:], out, errs)
	case len(words) == 2 && words[0] == "echo" && words[1] == "$?":
		_, err := fmt.Fprintln(out, r.code)
		return err
	case len(words) == 2 && words[0] == "cat":
		text, err := r.file(words[1])
		if err == nil {
			_, err = out.Write(text)
		}
		return err
	case len(words) == 2 && words[0] == "ls":
		return r.list(words[1], out)
	}
	return fmt.Errorf("the tests run kubectl sriov, echo $?, cat and ls")
}

// file is a file of the machine, or of the page.
func (r *reader) file(name string) ([]byte, error) {
	if below, ok := strings.CutPrefix(name, "/"); ok && r.this != nil {
		return fs.ReadFile(r.this.Host().Files, below)
	}
	return os.ReadFile(name)
}

func (r *reader) list(name string, out io.Writer) error {
	below, ok := strings.CutPrefix(name, "/")
	if !ok || r.this == nil {
		return errors.New("only folders of the page's machine are listed")
	}
	entries, err := fs.ReadDir(r.this.Host().Files, strings.TrimSuffix(below, "/"))
	for _, e := range entries {
		if _, err := fmt.Fprintln(out, e.Name()); err != nil {
			return err
		}
	}
	return err
}

func (r *reader) tool(name string, args []string, out, errs io.Writer) error {
	hostname := "this-host"
	if r.this != nil {
		hostname = r.this.NodeName()
	}
	for i, a := range args {
		args[i] = strings.Trim(a, "'")
	}
	r.code = cli.Run(r.t.Context(), cli.Env{
		In: strings.NewReader(""), Out: out, Err: errs,
		Now:  func() time.Time { return time.Time{} },
		Name: name, Version: "v0.1.0", Hostname: hostname,
		This: func(string) (host.Host, error) {
			if r.this == nil {
				return host.Host{}, errors.New("the page names no machine")
			}
			return r.this.Host(), nil
		},
	}, args)
	return nil
}

// buffer is a buffer that several goroutines write.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string { return b.b.String() }
func (b *buffer) Bytes() []byte  { return b.b.Bytes() }

func TestThreeDotsStandForAnyLines(t *testing.T) {
	for name, c := range map[string]struct {
		want, got string
		match     bool
	}{
		"the same":                  {"a\nb\n", "a\nb\n", true},
		"another line":              {"a\nb\n", "a\nc\n", false},
		"dots for no line":          {"a\n...\nb\n", "a\nb\n", true},
		"dots for two lines":        {"a\n...\nb\n", "a\nx\ny\nb\n", true},
		"dots hide no missing line": {"a\n...\nb\n", "a\nx\n", false},
		"durations differ":          {"done in 2.7ms\n", "done in 0s\n", true},
		"lanes go side by side":     {"a  1/2  x\nb  1/1  y\na  2/2  z\n", "b  1/1  y\na  1/2  x\na  2/2  z\n", true},
		"a lane has an order":       {"a  1/2  x\na  2/2  z\n", "a  2/2  z\na  1/2  x\n", false},
	} {
		if matches(lines(c.want), lines(c.got)) != c.match {
			t.Errorf("%s: it is not %v", name, c.match)
		}
	}
}

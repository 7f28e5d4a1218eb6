// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// link is a link in Markdown; code is text that holds none.
var (
	link = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	code = regexp.MustCompile("`[^`]*`")
)

// targets are the links of a page, with the number of their line from 0.
func (p page) targets() map[string]int {
	out := map[string]int{}
	for i, line := range p.prose {
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(line, ""), -1) {
			out[m[1]] = i
		}
	}
	return out
}

// anchors are the headings of a page as links name them.
func (p page) anchors() map[string]bool {
	out := map[string]bool{}
	for _, line := range p.prose {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			out[anchor(title)] = true
		}
	}
	return out
}

// anchor is what GitHub makes of a heading.
func anchor(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		case r == ' ':
			return '-'
		}
		return -1
	}, strings.TrimSpace(title))
}

func external(target string) bool {
	return strings.HasPrefix(target, "https://") || strings.HasPrefix(target, "http://") || strings.HasPrefix(target, "mailto:")
}

// resolve is the file that a link of a page leads to, below the repository, and
// the place in it.
func (p page) resolve(target string) (file, place string) {
	file, place, _ = strings.Cut(target, "#")
	if file == "" {
		return p.path, place
	}
	return path.Join(path.Dir(p.path), file), place
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	all := pages(t)
	anchors := map[string]map[string]bool{}
	for _, p := range all {
		anchors[p.path] = p.anchors()
	}
	for _, p := range all {
		for target, line := range p.targets() {
			if external(target) {
				continue
			}
			file, place := p.resolve(target)
			if _, err := os.Stat(filepath.Join(root, file)); err != nil {
				t.Errorf("%s:%d: %s leads nowhere: %v", p.path, line+1, target, err)
				continue
			}
			if place != "" && !anchors[file][place] {
				t.Errorf("%s:%d: %s has no heading %s", p.path, line+1, file, place)
			}
		}
	}
}

func TestEveryPageIsFoundFromTheREADME(t *testing.T) {
	byPath := map[string]page{}
	for _, p := range pages(t) {
		byPath[p.path] = p
	}
	found := map[string]bool{}
	var follow func(string)
	follow = func(name string) {
		p, ok := byPath[name]
		if !ok || found[name] {
			return
		}
		found[name] = true
		for target := range p.targets() {
			if !external(target) {
				file, _ := p.resolve(target)
				follow(file)
			}
		}
	}
	follow("README.md")
	for name := range byPath {
		// The pages of the commands link to each other from the first of them.
		if strings.HasPrefix(name, "docs/") && !strings.HasPrefix(name, "docs/reference/cli/") && !found[name] {
			t.Errorf("no links lead from README.md to %s", name)
		}
	}
}

// Who opens the folder of the documentation sees all of it: its README lists every page.
func TestTheListOfPagesHasThemAll(t *testing.T) {
	const list = "docs/README.md"
	all := pages(t)
	listed := map[string]bool{}
	for _, p := range all {
		if p.path != list {
			continue
		}
		for target := range p.targets() {
			file, _ := p.resolve(target)
			listed[file] = true
		}
	}
	for _, p := range all {
		// The pages of the commands are listed by the first of them.
		if p.path == list || !strings.HasPrefix(p.path, "docs/") || strings.HasPrefix(p.path, "docs/reference/cli/kubectl-sriov_") {
			continue
		}
		if !listed[p.path] {
			t.Errorf("%s does not list %s", list, p.path)
		}
	}
}

func TestEveryPageHasOneTitle(t *testing.T) {
	for _, p := range pages(t) {
		titles := 0
		for _, line := range p.prose {
			if strings.HasPrefix(line, "# ") {
				titles++
			}
		}
		if titles != 1 {
			t.Errorf("%s has %d titles", p.path, titles)
		}
	}
}

func TestAHeadingBecomesAnAnchor(t *testing.T) {
	for title, want := range map[string]string{
		"What is it?":          "what-is-it",
		"`plan -o json`":       "plan--o-json",
		"D7: equal priority":   "d7-equal-priority",
		"MACs, GUIDs & others": "macs-guids--others",
	} {
		if got := anchor(title); got != want {
			t.Errorf("%q gives %q, not %q", title, got, want)
		}
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the repository, seen from this package.
const root = "../.."

// page is one file in Markdown.
type page struct {
	// path is below the repository.
	path   string
	lines  []string
	blocks []block
	// prose are the lines outside of blocks, by their number from 0.
	prose map[int]string
	// this is the machine that the page's commands run on.
	this string
}

// block is a fenced block of a page.
type block struct {
	lang string
	// first is the number from 0 of the line after the fence, last that of the
	// closing fence.
	first, last int
	// tells are the comments before the block, by their keys.
	tells map[string]string
}

func (p page) text(b block) string {
	if b.first == b.last {
		return ""
	}
	return strings.Join(p.lines[b.first:b.last], "\n") + "\n"
}

// comment is what a page tells its tests.
var comment = regexp.MustCompile(`^<!-- (this machine|file|machine|error|not tested): (.*) -->$`)

func parse(path, text string) page {
	p := page{path: path, lines: strings.Split(text, "\n"), prose: map[int]string{}}
	tells := map[string]string{}
	for i := 0; i < len(p.lines); i++ {
		line := strings.TrimSpace(p.lines[i])
		fence, fenced := strings.CutPrefix(line, "```")
		if !fenced {
			if m := comment.FindStringSubmatch(line); m == nil {
				p.prose[i] = p.lines[i]
				if line != "" {
					tells = map[string]string{}
				}
			} else if m[1] == "this machine" {
				p.this = m[2]
			} else {
				tells[m[1]] = m[2]
			}
			continue
		}
		b := block{lang: fence, first: i + 1, tells: tells}
		for i++; i < len(p.lines) && strings.TrimSpace(p.lines[i]) != "```"; i++ {
		}
		b.last = i
		p.blocks = append(p.blocks, b)
		tells = map[string]string{}
	}
	return p
}

// pages are all pages of the repository, sorted.
func pages(t *testing.T) []page {
	t.Helper()
	var out []page
	for _, pattern := range []string{"*.md", "bench/*.md", "examples/*.md", "test/*.md", "test/*/*.md"} {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			out = append(out, read(t, name))
		}
	}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(name string, _ os.DirEntry, err error) error {
		if err == nil && filepath.Ext(name) == ".md" {
			out = append(out, read(t, name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(out, func(a, b page) int { return strings.Compare(a.path, b.path) })
	return out
}

func read(t *testing.T, name string) page {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	path, err := filepath.Rel(root, name)
	if err != nil {
		t.Fatal(err)
	}
	return parse(filepath.ToSlash(path), string(text))
}

func TestAPageIsCutIntoItsBlocks(t *testing.T) {
	p := parse("p.md", "<!-- this machine: m -->\n# A\n\n<!-- file: a.yaml -->\n<!-- error: no -->\n```yaml\nx: 1\n```\ntext\n```sh\nls\n```\n")
	if p.this != "m" || len(p.blocks) != 2 {
		t.Fatalf("got machine %q and %d blocks", p.this, len(p.blocks))
	}
	a, b := p.blocks[0], p.blocks[1]
	if a.lang != "yaml" || p.text(a) != "x: 1\n" || a.tells["file"] != "a.yaml" || a.tells["error"] != "no" {
		t.Errorf("got %+v with %q", a, p.text(a))
	}
	if b.lang != "sh" || p.text(b) != "ls\n" || len(b.tells) != 0 {
		t.Errorf("got %+v with %q", b, p.text(b))
	}
}

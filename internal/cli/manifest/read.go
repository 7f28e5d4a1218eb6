// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Stdin is the name that stands for standard input.
const Stdin = "-"

// Read reads files, the YAML and JSON files of folders in the order of their
// names, and standard input where a name is Stdin. It never fails as a whole.
func Read(names []string, stdin io.Reader) Set {
	var s Set
	for i, name := range names {
		switch {
		case name == "":
			s.fault(Source{File: `""`}, "the name is empty", "name a file, a folder, or - for standard input")
		case name == Stdin && slices.Contains(names[:i], Stdin):
			s.fault(Source{File: name}, "it is given twice, and standard input can be read only once", "give - once")
		default:
			s.read(name, stdin)
		}
	}
	return s
}

func (s *Set) read(name string, stdin io.Reader) {
	if name == Stdin {
		text, err := io.ReadAll(stdin)
		if err != nil {
			s.fault(Source{File: name}, fmt.Sprintf("read: %v", err), "")
			return
		}
		s.text(name, text)
		return
	}
	files, err := expand(name)
	if err != nil {
		s.fault(Source{File: name}, plain(err), "")
		return
	}
	if len(files) == 0 {
		s.fault(Source{File: name}, "the folder has no file that ends in .yaml, .yml or .json", "")
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			s.fault(Source{File: file}, plain(err), "")
			continue
		}
		s.text(file, text)
	}
}

// plain is the cause without the file's name, which stands before it already.
func plain(err error) string {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		return at.Err.Error()
	}
	return err.Error()
}

// expand is the file itself, or the files of a folder.
func expand(name string) ([]string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{name}, nil
	}
	entries, err := os.ReadDir(name) // sorted by name
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		ext := strings.ToLower(filepath.Ext(e.Name()))
		if !e.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, ext) {
			out = append(out, filepath.Join(name, e.Name()))
		}
	}
	return out, nil
}

// text reads the documents of one file.
func (s *Set) text(file string, text []byte) {
	before := len(s.Objects) + len(s.Problems) + len(s.Notes)
	for i, part := range split(text) {
		at := Source{File: file, Document: i + 1, Line: part.line}
		var doc yaml.Node
		err := yaml.Unmarshal(part.text, &doc)
		if err != nil {
			cause, line := syntax(err)
			at.Line = part.line + max(line-1, 0)
			s.fault(at, cause, "")
			continue
		}
		if len(doc.Content) == 0 {
			continue // nothing but comments
		}
		shift(&doc, part.line-1, map[*yaml.Node]bool{})
		at.Line = doc.Content[0].Line
		s.object(at, doc.Content[0])
	}
	if len(s.Objects)+len(s.Problems)+len(s.Notes) == before {
		s.fault(Source{File: file}, "there is no object in it", "")
	}
}

// document is the text of one document and the line that it begins on.
type document struct {
	line int
	text []byte
}

// split cuts a file at the lines that begin with "---". Each document is read by
// itself, so that one that is no YAML hides no other.
func split(text []byte) []document {
	var out []document
	now := document{line: 1}
	line := 0
	for chunk := range bytes.Lines(text) {
		line++
		if rest, ok := bytes.CutPrefix(chunk, []byte("---")); ok && (len(bytes.TrimSpace(rest)) == 0 || rest[0] == ' ' || rest[0] == '\t') {
			if len(bytes.TrimSpace(now.text)) > 0 {
				out = append(out, now)
			}
			now = document{line: line}
		}
		now.text = append(now.text, chunk...)
	}
	if len(bytes.TrimSpace(now.text)) > 0 {
		out = append(out, now)
	}
	return slices.DeleteFunc(out, func(d document) bool { return blank(d.text) })
}

// blank reports whether a document has nothing but marks and comments.
func blank(text []byte) bool {
	for chunk := range bytes.Lines(text) {
		chunk = bytes.TrimSpace(chunk)
		if len(chunk) > 0 && !bytes.HasPrefix(chunk, []byte("---")) && !bytes.HasPrefix(chunk, []byte("#")) {
			return false
		}
		if rest := bytes.TrimSpace(bytes.TrimPrefix(chunk, []byte("---"))); len(rest) > 0 && rest[0] != '#' {
			return false
		}
	}
	return true
}

// shift moves the lines of a document to where it stands in its file.
func shift(n *yaml.Node, by int, seen map[*yaml.Node]bool) {
	if n == nil || by == 0 || seen[n] {
		return
	}
	seen[n] = true
	n.Line += by
	for _, c := range n.Content {
		shift(c, by, seen)
	}
}

// yamlLine is how the YAML package begins its messages.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// syntax is the cause of a syntax error and its line in the document.
func syntax(err error) (cause string, line int) {
	text := err.Error()
	m := yamlLine.FindStringSubmatch(text)
	if m == nil {
		return text, 0
	}
	line, _ = strconv.Atoi(m[1]) // empty when the message has no line
	return "not valid YAML: " + strings.TrimPrefix(text, m[0]), line
}

func (s *Set) fault(at Source, cause, fix string) {
	s.Problems = append(s.Problems, Problem{Source: at, Cause: cause, Fix: fix})
}

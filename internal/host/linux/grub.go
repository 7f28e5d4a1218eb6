// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// errNoEntry says that no entry was found that boots Linux.
var errNoEntry = errors.New("no entry boots Linux")

// grubLines are the command lines of the kernels that GRUB may boot next: one, if it
// can be told which, else all.
func grubLines(files fs.ReadLinkFS) ([]string, error) {
	for _, dir := range []string{"boot/grub", "boot/grub2"} {
		text, err := fs.ReadFile(files, path.Join(dir, "grub.cfg"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		env := grubEnv(files, dir)
		lines := grubMenu(string(text)).chosen(env)
		if len(lines) == 0 || strings.Contains(string(text), "blscfg") {
			return blsLines(files, env)
		}
		return lines, nil
	}
	return blsLines(files, nil)
}

// grubEnv is GRUB's environment block: what the menu remembers over boots.
func grubEnv(files fs.ReadLinkFS, dir string) map[string]string {
	env := map[string]string{}
	text, err := fs.ReadFile(files, path.Join(dir, "grubenv"))
	if err != nil {
		return env // GRUB takes a block that it cannot read for an empty one
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok && !strings.HasPrefix(key, "#") {
			env[key] = value
		}
	}
	return env
}

// menuEntry is an entry of GRUB's menu, or a submenu.
type menuEntry struct {
	title, id string
	linux     string       // the command line of what it boots; empty for none
	entries   []*menuEntry // of a submenu
}

// menu is what grub-mkconfig has written of a grub.cfg.
type menu struct {
	top    menuEntry
	choice string // of the default entry; empty for the first
	// open are the blocks that a line stands in; nil for one that is no entry.
	open []*menuEntry
}

// grubMenu reads the menu as far as grub-mkconfig writes it: a statement a line, and
// braces that open at the end of one and close on their own.
func grubMenu(text string) *menu {
	m := &menu{}
	m.open = []*menuEntry{&m.top}
	for line := range strings.Lines(text) {
		if words := grubWords(line); len(words) > 0 {
			m.statement(words)
		}
	}
	return m
}

func (m *menu) statement(words []string) {
	opens := words[len(words)-1] == "{"
	switch words[0] {
	case "menuentry", "submenu":
		if opens && len(words) > 2 {
			e := &menuEntry{title: words[1], id: entryID(words)}
			above := m.enclosing()
			above.entries = append(above.entries, e)
			m.open = append(m.open, e)
			return
		}
	case "}":
		if len(m.open) > 1 {
			m.open = m.open[:len(m.open)-1]
		}
	case "linux", "linuxefi", "linux16":
		if e := m.enclosing(); e != &m.top && e.linux == "" && len(words) > 2 {
			e.linux = strings.Join(words[2:], " ")
		}
	case "set":
		if value, ok := strings.CutPrefix(strings.Join(words[1:], " "), "default="); ok {
			m.choice = value
		}
	}
	if opens {
		m.open = append(m.open, nil)
	}
}

// enclosing is the innermost entry that is open.
func (m *menu) enclosing() *menuEntry {
	for _, e := range slices.Backward(m.open) {
		if e != nil {
			return e
		}
	}
	return &m.top
}

func entryID(words []string) string {
	for i, word := range words[:len(words)-1] {
		if word == "$menuentry_id_option" || word == "--id" {
			return words[i+1]
		}
	}
	return ""
}

// grubWords splits a line of GRUB's shell into words, without quotes and comments.
func grubWords(line string) []string {
	var out []string
	var word strings.Builder
	quote, begun := rune(0), false
	end := func() {
		if begun {
			out = append(out, word.String())
		}
		word.Reset()
		begun = false
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, begun = r, true
		case r == '#' && !begun:
			end()
			return out
		case strings.ContainsRune(" \t\n\r;", r):
			end()
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	end()
	return out
}

// chosen are the command lines of what is booted next: of the entry that the menu's
// default names, or of all entries when it cannot be told which.
func (m *menu) chosen(env map[string]string) []string {
	choice := m.choice
	if next := env["next_entry"]; next != "" {
		choice = next
	}
	choice = strings.NewReplacer("${saved_entry}", env["saved_entry"], "$saved_entry", env["saved_entry"]).Replace(choice)
	if choice == "" {
		choice = "0"
	}
	if e := m.top.find(strings.Split(choice, ">")); e != nil {
		if line := e.first(); line != "" {
			return []string{line}
		}
	}
	return m.top.all()
}

// find follows a path of numbers, titles or ids.
func (e *menuEntry) find(names []string) *menuEntry {
	for _, name := range names {
		n, err := strconv.Atoi(name)
		i := slices.IndexFunc(e.entries, func(c *menuEntry) bool { return c.title == name || c.id != "" && c.id == name })
		switch {
		case i >= 0:
			e = e.entries[i]
		case err == nil && n >= 0 && n < len(e.entries):
			e = e.entries[n]
		default:
			return nil
		}
	}
	return e
}

// first is what an entry boots; of a submenu, what its first entry does.
func (e *menuEntry) first() string {
	if e.linux != "" || len(e.entries) == 0 {
		return e.linux
	}
	return e.entries[0].first()
}

// all are the command lines of all entries that boot Linux.
func (e *menuEntry) all() []string {
	var out []string
	if e.linux != "" {
		out = append(out, e.linux)
	}
	for _, child := range e.entries {
		out = append(out, child.all()...)
	}
	return out
}

// blsEntries are the entries of the Boot Loader Specification, type 1.
const blsEntries = "boot/loader/entries"

// blsLines are the command lines of the entries that the boot loader may boot next.
func blsLines(files fs.ReadLinkFS, env map[string]string) ([]string, error) {
	entries, err := fs.ReadDir(files, blsEntries)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		id, conf := strings.CutSuffix(e.Name(), ".conf")
		if !conf {
			continue
		}
		text, err := fs.ReadFile(files, path.Join(blsEntries, e.Name()))
		if err != nil {
			return nil, err
		}
		line, linux := blsOptions(string(text), env)
		if linux && id == env["saved_entry"] && env["next_entry"] == "" {
			return []string{line}, nil
		}
		if linux {
			out = append(out, line)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("/%s: %w", blsEntries, errNoEntry)
	}
	return out, nil
}

// blsOptions is the command line of an entry, with GRUB's variables in it, and
// whether the entry boots a kernel with options.
func blsOptions(text string, env map[string]string) (string, bool) {
	var options []string
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && key == "options" {
			options = append(options, strings.TrimSpace(value))
		}
	}
	line := strings.Join(options, " ")
	for key, value := range env {
		line = strings.ReplaceAll(line, "$"+key, value)
	}
	return line, len(options) > 0
}

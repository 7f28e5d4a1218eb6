// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"strings"
	"unicode/utf8"
)

// gap is what stands between columns.
const gap = 2

// table is rows of cells. A row may have fewer cells than others, and then it has
// no say in the width of the columns that it lacks.
type table struct {
	rows [][]string
	// indent goes before every row.
	indent int
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// widths are those of the columns; the last cell of a row counts for nothing.
func (t *table) widths() []int {
	var out []int
	for _, cells := range t.rows {
		for i, cell := range cells[:max(len(cells)-1, 0)] {
			if i == len(out) {
				out = append(out, 0)
			}
			out[i] = max(out[i], utf8.RuneCountInString(cell))
		}
	}
	return out
}

// String is the table with its columns in line and no blank at any line's end.
func (t *table) String() string {
	var b strings.Builder
	widths := t.widths()
	for _, cells := range t.rows {
		var line strings.Builder
		line.WriteString(strings.Repeat(" ", t.indent))
		for i, cell := range cells {
			line.WriteString(cell)
			if i < len(cells)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+gap))
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " "))
		b.WriteByte('\n')
	}
	return b.String()
}

// dash stands for nothing in a column.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

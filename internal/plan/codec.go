// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"

	"github.com/kubeovn/sriov-network-operator/internal/disruption"
	"github.com/kubeovn/sriov-network-operator/internal/reason"
)

// stepJSON is a step on the wire: the action's name beside its operands.
type stepJSON struct {
	Do        string           `json:"do"`
	With      json.RawMessage  `json:"with"`
	Why       reason.Why       `json:"why"`
	Class     disruption.Class `json:"class"`
	Takes     []int            `json:"takes,omitempty"`
	CutsLink  bool             `json:"cutsLink,omitempty"`
	AfterNode bool             `json:"afterNode,omitempty"`
}

// MarshalJSON writes {"do": "SetNumVFs", "with": {…}, …}.
func (s Step) MarshalJSON() ([]byte, error) {
	with, err := json.Marshal(s.Do)
	if err != nil {
		return nil, fmt.Errorf("encode the action %s: %w", s.Do.Does(), err)
	}
	return json.Marshal(stepJSON{
		Do: s.Do.Does(), With: with, Why: s.Why, Class: s.Class, Takes: s.Takes, CutsLink: s.CutsLink, AfterNode: s.AfterNode,
	})
}

// UnmarshalJSON reads what MarshalJSON writes; an unknown action or operand is an
// error that names it.
func (s *Step) UnmarshalJSON(data []byte) error {
	var raw stepJSON
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	decode, ok := decoders()[raw.Do]
	if !ok {
		return fmt.Errorf("step: unknown action %q", raw.Do)
	}
	do, err := decode(raw.With)
	if err != nil {
		return fmt.Errorf("step %s: %w", raw.Do, err)
	}
	*s = Step{Do: do, Why: raw.Why, Class: raw.Class, Takes: raw.Takes, CutsLink: raw.CutsLink, AfterNode: raw.AfterNode}
	return nil
}

type decoder func(json.RawMessage) (Action, error)

// Actions are the names of all actions, sorted.
func Actions() []string { return slices.Sorted(maps.Keys(decoders())) }

// decoders has one entry per action.
func decoders() map[string]decoder {
	out := map[string]decoder{}
	for _, d := range []struct {
		name   string
		decode decoder
	}{
		entry[LoadModule](), entry[WriteFile](), entry[RemoveFile](), entry[ReloadUdev](),
		entry[SetRDMAMode](), entry[SetKernelArgs](), entry[RecordBoot](),
		entry[Claim](), entry[Release](), entry[SetLinkUp](), entry[SetMTU](),
		entry[EnableTCOffload](), entry[SetSteering](), entry[SetEswitchMode](),
		entry[SetAutoprobe](), entry[SetNumVFs](), entry[SetAdminMACs](), entry[SetGUIDs](),
		entry[UnbindVFs](), entry[BindVFs](), entry[SetVFMTU](), entry[CreateVDPA](), entry[DeleteVDPA](),
	} {
		out[d.name] = d.decode
	}
	return out
}

func entry[A Action]() struct {
	name   string
	decode decoder
} {
	var zero A
	return struct {
		name   string
		decode decoder
	}{zero.Does(), func(raw json.RawMessage) (Action, error) {
		var a A
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		if err := d.Decode(&a); err != nil {
			return nil, err
		}
		return a, nil
	}}
}

// FileMode is the permissions of a file, on the wire as chmod takes them: "0644".
type FileMode fs.FileMode

// MarshalText writes octal digits.
func (m FileMode) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%04o", fs.FileMode(m).Perm()), nil
}

// UnmarshalJSON reads what MarshalText writes, and the number that was written before it.
func (m *FileMode) UnmarshalJSON(data []byte) error {
	digits, base := string(data), 10
	if text, err := strconv.Unquote(digits); err == nil {
		digits, base = text, 8
	}
	n, err := strconv.ParseUint(digits, base, 9)
	if err != nil {
		return fmt.Errorf("file mode %s: %w", data, err)
	}
	*m = FileMode(n)
	return nil
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"

	"sigs.k8s.io/yaml"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/show"
)

// print writes text as it is.
func (a *app) print(text string) error {
	if _, err := a.Out.Write([]byte(text)); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}

// object writes an object as YAML or JSON.
func (a *app) object(v any) error {
	text, err := encode(v, a.global.output)
	if err != nil {
		return err
	}
	return a.print(text)
}

func encode(v any, as output) (string, error) {
	if as != asJSON {
		text, err := yaml.Marshal(v)
		if err != nil {
			return "", fmt.Errorf("encode the object: %w", err)
		}
		return string(text), nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return "", fmt.Errorf("encode the object: %w", err)
	}
	return b.String(), nil
}

// nodeState writes a node state in any of its formats.
func (a *app) nodeState(state sriovv1.SriovNetworkNodeState) error {
	if a.global.output == asTable {
		return a.print(show.NodeState(&state))
	}
	if a.global.output == asWide {
		return a.print(show.NodeStateWide(&state))
	}
	return a.object(state)
}

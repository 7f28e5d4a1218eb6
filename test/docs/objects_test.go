// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/cli/manifest"
	"github.com/kubeovn/sriov-network-operator/internal/host/sim"
)

// defaultMachine is what policies are planned on when a page names no machine.
const defaultMachine = "two-port-connectx5"

// objects checks a block in YAML as its content asks for: the project's objects
// as the command does, a described machine by making it, a Node as --node does.
func (r *reader) objects(b block, text string) {
	r.t.Helper()
	kinds, err := kindsOf(text)
	if err != nil {
		r.t.Errorf("%s:%d: %v", r.page.path, b.first, err)
		return
	}
	switch {
	case kinds["machine"]:
		if _, err := sim.Parse([]byte(text)); err != nil {
			r.t.Errorf("%s:%d: %v", r.page.path, b.first, err)
		}
	case kinds["Node"]:
		if _, err := manifest.Meta(r.written(text), "v1", "Node"); err != nil {
			r.t.Errorf("%s:%d: %v", r.page.path, b.first, err)
		}
	case kinds["Pod"]:
		for _, wrong := range r.offers.wrong(text) {
			r.t.Errorf("%s:%d: %s", r.page.path, b.first, wrong)
		}
	case kinds["other"]:
		r.t.Errorf("%s:%d: the block is neither an object of the project, a Node, a Pod nor a described machine", r.page.path, b.first)
	default:
		if err := r.offers.note(text); err != nil {
			r.t.Errorf("%s:%d: %v", r.page.path, b.first, err)
		}
		r.accepted(b, r.written(text), kinds)
	}
}

// written puts the text into a file of its own.
func (r *reader) written(text string) string {
	r.t.Helper()
	name := filepath.Join(r.t.TempDir(), "block.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return name
}

// accepted runs the commands that read such objects.
func (r *reader) accepted(b block, file string, kinds map[string]bool) {
	r.t.Helper()
	commands := [][]string{{"validate", "-f", file}}
	if kinds[sriovv1.KindSriovNetworkNodePolicy] || kinds[manifest.KindConfigMap] {
		name := defaultMachine
		if r.page.this != "" {
			name = r.page.this
		}
		if named, ok := b.tells["machine"]; ok {
			name = named
		}
		commands = append(commands, []string{"plan", "--detailed-exitcode", "-f", file, "--machine", "test/machines/" + name + ".yaml"})
	}
	if kinds[sriovv1.KindSriovNetwork] || kinds[sriovv1.KindSriovIBNetwork] || kinds[sriovv1.KindOVSNetwork] {
		commands = append(commands, []string{"render", "network", "-f", file})
	}
	refused := false
	for _, command := range commands {
		var out, errs buffer
		if err := r.tool("kubectl sriov", command, &out, &errs); err != nil {
			r.t.Fatal(err)
		}
		said := out.String() + errs.String()
		want, expected := b.tells["error"]
		switch {
		case r.code == 1 && expected && strings.Contains(said, want):
			refused = true
		case r.code == 1:
			r.t.Errorf("%s:%d: %s refuses it, and not with %q:\n%s", r.page.path, b.first, command[0], want, said)
		case command[0] == "plan" && r.code == 0 && !expected:
			r.t.Errorf("%s:%d: the policy changes nothing on its machine, so that nothing is proven:\n%s", r.page.path, b.first, said)
		}
	}
	if want, ok := b.tells["error"]; ok && !refused {
		r.t.Errorf("%s:%d: it is not refused with %q", r.page.path, b.first, want)
	}
}

// kindsOf are the kinds of the documents in a text: those of the project by
// their names, "Node", "ConfigMap", "machine" or "other".
func kindsOf(text string) (map[string]bool, error) {
	out := map[string]bool{}
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	for {
		var doc struct {
			APIVersion string    `yaml:"apiVersion"`
			Kind       string    `yaml:"kind"`
			NodeName   string    `yaml:"nodeName"`
			PFs        yaml.Node `yaml:"pfs"`
		}
		if err := decoder.Decode(&doc); err != nil {
			return out, endOf(err)
		}
		switch {
		case strings.HasPrefix(doc.APIVersion, sriovv1.GroupName+"/"):
			out[doc.Kind] = true
		case doc.APIVersion == "v1" && (doc.Kind == "Node" || doc.Kind == "Pod" || doc.Kind == manifest.KindConfigMap):
			out[doc.Kind] = true
		case doc.NodeName != "" || !doc.PFs.IsZero():
			out["machine"] = true
		default:
			out["other"] = true
		}
	}
}

// endOf is the error of a decoder, unless it has read everything.
func endOf(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

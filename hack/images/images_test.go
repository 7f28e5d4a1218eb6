// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/yaml"

	sriovv1 "github.com/kubeovn/sriov-network-operator/api/v1"
	"github.com/kubeovn/sriov-network-operator/internal/render/install"
	"github.com/kubeovn/sriov-network-operator/internal/render/operand"
)

var committed = source{version: "v9.9.9", revision: "0123", time: time.Unix(1_000_000_000, 0).UTC()}

// unpack is the layout in an archive.
func unpack(t *testing.T, archive string) v1.ImageIndex {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	folder := t.TempDir()
	if err := extract(f, folder); err != nil {
		t.Fatal(err)
	}
	index, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

func extract(from io.Reader, folder string) error {
	for r := tar.NewReader(from); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		target := filepath.Join(folder, h.Name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if err := os.WriteFile(target, content, h.FileInfo().Mode()); err != nil {
			return err
		}
	}
}

// inside is the image that an archive has under a name, for each processor.
func inside(t *testing.T, archive, ref string) map[string]v1.Image {
	t.Helper()
	outer := unpack(t, archive)
	if err := validate.Index(outer); err != nil {
		t.Errorf("%s: %v", archive, err)
	}
	m, err := outer.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	// podman takes an archive without being told which image only if it holds one.
	if len(m.Manifests) != 1 || m.Manifests[0].Annotations[annotationName] != ref {
		t.Fatalf("%s holds %+v, and should hold %s alone", archive, m.Manifests, ref)
	}
	index, err := outer.ImageIndex(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return perProcessor(t, index)
}

func perProcessor(t *testing.T, index v1.ImageIndex) map[string]v1.Image {
	t.Helper()
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]v1.Image{}
	for _, d := range m.Manifests {
		if out[d.Platform.Architecture], err = index.Image(d.Digest); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// containers are those of the operator and of all that it can be asked to deploy whose
// images are ours, by image. The pod's security context is merged into theirs.
func containers(t *testing.T) map[string][]corev1.Container {
	t.Helper()
	config := sriovv1.SriovOperatorConfig{Spec: sriovv1.SriovOperatorConfigSpec{
		EnableOperatorWebhook: true, ConfigurationMode: sriovv1.ConfigurationModeSystemd,
		FeatureGates: map[string]bool{sriovv1.FeatureBlockDevicePluginUntilConfigured: true},
	}}
	rendered, _ := operand.Render(config, operand.Settings{
		Images: operand.Images{
			ConfigDaemon: "sriov-network-config-daemon", Webhook: "sriov-network-operator-webhook", DevicePlugin: "another",
		},
		Certificates: operand.Certificates{WebhookCA: []byte("a certificate")},
	})
	objects := install.Workload()
	for _, g := range operand.Groups() {
		objects = append(objects, rendered.Of(g).Apply...)
	}
	out := map[string][]corev1.Container{}
	for _, o := range objects {
		var pod corev1.PodSpec
		switch o := o.(type) {
		case *appsv1.Deployment:
			pod = o.Spec.Template.Spec
		case *appsv1.DaemonSet:
			pod = o.Spec.Template.Spec
		}
		for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
			if c.SecurityContext.RunAsNonRoot == nil && pod.SecurityContext != nil {
				c.SecurityContext.RunAsNonRoot = pod.SecurityContext.RunAsNonRoot
			}
			out[c.Image] = append(out[c.Image], c)
		}
	}
	return out
}

// files are what is in an image.
func files(t *testing.T, image v1.Image) map[string][]byte {
	t.Helper()
	stream := mutate.Extract(image)
	defer func() { _ = stream.Close() }()
	out := map[string][]byte{}
	for r := tar.NewReader(stream); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || !h.ModTime.Equal(committed.time) {
			t.Errorf("%s is %d:%d's, of %s: that depends on who builds", h.Name, h.Uid, h.Gid, h.ModTime)
		}
		if out[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// The images are those that workloads ask for: the program that a container names is
// in its image, and no container is refused for its user.
func TestWorkloadsFindTheirProgramsInTheImages(t *testing.T) {
	asked := containers(t)
	for _, w := range wanted() {
		image, err := assemble(w, committed, "amd64", []byte("program"), []byte("license"))
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		folder, _ := strings.CutPrefix(config.Config.Env[0], "PATH=/")
		has := files(t, image)
		if len(asked[w.name]) == 0 {
			t.Errorf("no container runs %s", w.name)
		}
		for _, c := range asked[w.name] {
			if string(has[path.Join(folder, c.Command[0])]) != "program" {
				t.Errorf("container %s runs %s, and image %s has %q", c.Name, c.Command[0], w.name, slices.Sorted(maps.Keys(has)))
			}
			if needs := c.SecurityContext.RunAsNonRoot; needs != nil && *needs && strings.HasPrefix(config.Config.User, "0") {
				t.Errorf("container %s must not be root, and image %s is", c.Name, w.name)
			}
			if p := c.SecurityContext.Privileged; p != nil && *p && config.Config.User != root {
				t.Errorf("container %s changes the host, and image %s runs as %s", c.Name, w.name, config.Config.User)
			}
		}
	}
}

func TestAnArchiveHoldsOneImageForEachProcessor(t *testing.T) {
	w := wanted()[0]
	archives := make([][]byte, 2)
	for i := range archives {
		var images []mutate.IndexAddendum
		for _, arch := range []string{"amd64", "arm64"} {
			image, err := assemble(w, committed, arch, []byte("program for "+arch), []byte("license"))
			if err != nil {
				t.Fatal(err)
			}
			images = append(images, addendum(image, arch))
		}
		file := filepath.Join(t.TempDir(), "archive.tar")
		if err := writeArchive(file, "registry.example/a:1", join(images), committed.time); err != nil {
			t.Fatal(err)
		}
		for arch, image := range inside(t, file, "registry.example/a:1") {
			if got := string(files(t, image)["usr/bin/"+w.program]); got != "program for "+arch {
				t.Errorf("the image for %s has the %s", arch, got)
			}
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		archives[i] = content
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("the same source made two different archives")
	}
}

// The whole way, with this machine's processor alone: build, push, and run what was pushed.
func TestWhatIsPushedIsWhatIsInstalled(t *testing.T) {
	server := httptest.NewServer(registry.New())
	defer server.Close()
	at := strings.TrimPrefix(server.URL, "http://") + "/team"
	folder := t.TempDir()
	var out bytes.Buffer
	args := []string{"-out", folder, "-registry", at, "-tag", "1", "-arch", runtime.GOARCH, "-push"}
	if err := run(t.Context(), args, &out, os.Stderr); err != nil {
		t.Fatal(err)
	}
	var v values
	readYAML(t, filepath.Join(folder, "values.yaml"), &v)
	names := []string{v.Images.Operator, v.Images.ConfigDaemon, v.Images.Webhook}
	if got := strings.Fields(out.String()); !slices.Equal(got, names) {
		t.Errorf("it said %q, and values.yaml has %q", got, names)
	}
	for i, w := range wanted() {
		ref, err := name.NewDigest(names[i])
		if err != nil {
			t.Fatalf("an image of a registry is not named by digest: %v", err)
		}
		index, err := remote.Index(ref)
		if err != nil {
			t.Fatal(err)
		}
		image := perProcessor(t, index)[runtime.GOARCH]
		runs(t, w, image)
		stored := inside(t, filepath.Join(folder, w.name+".tar"), at+"/"+w.name+":1")[runtime.GOARCH]
		if a, b := digest(t, image), digest(t, stored); a != b {
			t.Errorf("%s: %s was pushed, and %s is in the archive", w.name, a, b)
		}
	}
	installs(t, folder, v)
}

func digest(t *testing.T, image v1.Image) v1.Hash {
	t.Helper()
	h, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// runs proves that the program needs nothing of an image, and says what it is for.
func runs(t *testing.T, w want, image v1.Image) {
	t.Helper()
	stream := mutate.Extract(image)
	defer func() { _ = stream.Close() }()
	folder := t.TempDir()
	if err := extract(stream, folder); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(folder, programs, w.program)
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Errorf("%s is not static: an image without a base cannot run it", w.program)
		}
	}
	cmd := exec.CommandContext(t.Context(), program, "-h")
	cmd.Env = []string{}
	if text, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(text), "Usage") {
		t.Errorf("%s -h: %v\n%s", w.program, err, text)
	}
}

// installs proves that values.yaml has values of the chart, and that the kustomization's
// patch changes the images of the operator and nothing else.
func installs(t *testing.T, folder string, v values) {
	t.Helper()
	var chart struct {
		Images map[string]string `json:"images"`
	}
	readYAML(t, "../../charts/sriov-network-operator/values.yaml", &chart)
	var written struct {
		Images map[string]string `json:"images"`
	}
	readYAML(t, filepath.Join(folder, "values.yaml"), &written)
	for key := range written.Images {
		if chart.Images[key] == "" {
			t.Errorf("the chart has no value images.%s", key)
		}
	}
	var k kustomization
	readYAML(t, filepath.Join(folder, "kustomization.yaml"), &k)
	change, err := yaml.YAMLToJSON([]byte(k.Patches[0].Patch))
	if err != nil {
		t.Fatal(err)
	}
	want := operator(t)
	before, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	after, err := strategicpatch.StrategicMergePatch(before, change, appsv1.Deployment{})
	if err != nil {
		t.Fatal(err)
	}
	var got appsv1.Deployment
	if err := json.Unmarshal(after, &got); err != nil {
		t.Fatal(err)
	}
	c := &want.Spec.Template.Spec.Containers[0]
	c.Image = v.Images.Operator
	for i := range c.Env {
		switch c.Env[i].Name {
		case "SRIOV_NETWORK_CONFIG_DAEMON_IMAGE":
			c.Env[i].Value = v.Images.ConfigDaemon
		case "SRIOV_NETWORK_WEBHOOK_IMAGE":
			c.Env[i].Value = v.Images.Webhook
		}
	}
	byName := cmpopts.SortSlices(func(a, b corev1.EnvVar) bool { return a.Name < b.Name })
	if diff := cmp.Diff(want, &got, byName); diff != "" {
		t.Errorf("the patched operator (-want +got):\n%s", diff)
	}
}

func operator(t *testing.T) *appsv1.Deployment {
	t.Helper()
	for _, o := range install.Workload() {
		if d, ok := o.(*appsv1.Deployment); ok {
			return d
		}
	}
	t.Fatal("nothing runs the operator")
	return nil
}

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

func TestAPushNeedsARegistry(t *testing.T) {
	err := run(t.Context(), []string{"-push", "-out", t.TempDir()}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "-registry") {
		t.Errorf("it said: %v", err)
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// aptSource is the file that adds bookworm-backports, which has QEMU's igb.
const aptSource = "/etc/apt/sources.list.d/sriov-vm-rig.sources"

// debianPackage is a package that the rig needs on the host.
type debianPackage struct {
	Name    string
	AtLeast string // version; empty takes any
	Suite   string // to install from; empty is the system's own
}

// machinePackages run a machine: QEMU has had igb since 8.0, and the ARI option
// that shows a card's second port since 9.0; bookworm has 7.2.
func machinePackages() []debianPackage {
	return []debianPackage{
		{"qemu-system-x86", "1:9.0", "bookworm-backports"},
		{"qemu-utils", "1:9.0", "bookworm-backports"},
		{"ipxe-qemu", "", "bookworm-backports"},
	}
}

func plainPackages(names ...string) []debianPackage {
	var packages []debianPackage
	for _, name := range names {
		packages = append(packages, debianPackage{Name: name})
	}
	return packages
}

// require makes sure that packages are installed, and installs those that are not.
func (b Builder) require(ctx context.Context, packages []debianPackage) error {
	missing, err := missingPackages(ctx, packages)
	if err != nil || len(missing) == 0 {
		return err
	}
	var names []string
	for _, p := range missing {
		names = append(names, p.Name)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("the VM rig lacks the packages %s, and only root can install them: run `go run ./test/vm/cmd/vmrig build` once as root", strings.Join(names, " "))
	}
	b.say("install %s", strings.Join(names, " "))
	if err := addBackports(missing); err != nil {
		return err
	}
	if err := b.apt(ctx, "update", "-qq"); err != nil {
		return err
	}
	for _, suite := range []string{"", "bookworm-backports"} {
		args := []string{"install", "-y", "-qq", "--no-install-recommends"}
		if suite != "" {
			args = append(args, "-t", suite)
		}
		fixed := len(args)
		for _, p := range missing {
			if p.Suite == suite {
				args = append(args, p.Name)
			}
		}
		if len(args) == fixed {
			continue
		}
		if err := b.apt(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// checkSystem returns an error on a system that the rig's packages do not exist for.
func checkSystem() error {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return fmt.Errorf("the VM rig is made of packages of Debian 12 on amd64, and this is %s on %s: run it in a Debian 12 container or machine", runtime.GOOS, runtime.GOARCH)
	}
	b, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return fmt.Errorf("find out what system this is: %w", err)
	}
	if name := systemName(string(b)); name != "debian 12" {
		return fmt.Errorf("the VM rig is made of packages of Debian 12, and this is %s: run it in a Debian 12 container or machine", name)
	}
	return nil
}

// systemName returns the id and version that an os-release file tells.
func systemName(release string) string {
	values := map[string]string{}
	for line := range strings.Lines(release) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = strings.Trim(value, `"`)
	}
	return strings.TrimSpace(values["ID"] + " " + values["VERSION_ID"])
}

func missingPackages(ctx context.Context, packages []debianPackage) ([]debianPackage, error) {
	if err := checkSystem(); err != nil {
		return nil, err
	}
	var missing []debianPackage
	for _, p := range packages {
		out, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", p.Name).Output()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			return nil, fmt.Errorf("look for package %s: %w", p.Name, err)
		}
		version, installed := strings.CutPrefix(string(out), "installed ")
		if !installed || olderThan(ctx, version, p.AtLeast) {
			missing = append(missing, p)
		}
	}
	return missing, nil
}

func olderThan(ctx context.Context, version, limit string) bool {
	return limit != "" && exec.CommandContext(ctx, "dpkg", "--compare-versions", version, "lt", limit).Run() == nil
}

// addBackports adds bookworm-backports to apt's sources, from the mirror that
// the system uses, if a package asks for it and no source has it.
func addBackports(packages []debianPackage) error {
	if !slices.ContainsFunc(packages, func(p debianPackage) bool { return p.Suite != "" }) {
		return nil
	}
	sources, err := aptSources()
	if err != nil || strings.Contains(sources, "bookworm-backports") {
		return err
	}
	mirror, err := mirrorOf(sources)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	fmt.Fprintln(&text, "# For the VM rig of the SR-IOV Network Operator: QEMU with SR-IOV NICs.")
	fmt.Fprintf(&text, "Types: deb\nURIs: %s\nSuites: bookworm-backports\nComponents: main\n", mirror)
	fmt.Fprintln(&text, "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg")
	if err := os.WriteFile(aptSource, text.Bytes(), 0o644); err != nil {
		return fmt.Errorf("add bookworm-backports to apt's sources: %w", err)
	}
	return nil
}

// aptSources returns the text of apt's sources.
func aptSources() (string, error) {
	paths := []string{"/etc/apt/sources.list"}
	for _, pattern := range []string{"*.list", "*.sources"} {
		more, err := filepath.Glob("/etc/apt/sources.list.d/" + pattern)
		if err != nil {
			return "", fmt.Errorf("list apt's sources: %w", err)
		}
		paths = append(paths, more...)
	}
	var text strings.Builder
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("read apt's sources: %w", err)
		}
		text.Write(b)
		text.WriteString("\n\n")
	}
	return text.String(), nil
}

// mirrorOf returns the mirror that serves the suite bookworm, in either format
// of apt's sources.
func mirrorOf(sources string) (string, error) {
	uri := ""
	for line := range strings.Lines(sources) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
			uri = ""
		case fields[0] == "URIs:" && len(fields) > 1:
			uri = fields[1]
		case fields[0] == "Suites:" && slices.Contains(fields[1:], "bookworm") && uri != "":
			return uri, nil
		case fields[0] == "deb":
			fields = slices.DeleteFunc(fields, func(f string) bool { return strings.HasPrefix(f, "[") || strings.HasSuffix(f, "]") })
			if len(fields) > 2 && fields[2] == "bookworm" {
				return fields[1], nil
			}
		}
	}
	return "", errors.New("no apt source serves the suite bookworm: add Debian's main archive to /etc/apt/sources.list.d")
}

// apt runs apt-get; its error holds what apt-get said.
func (b Builder) apt(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-o", "DPkg::Lock::Timeout=300"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package hw_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
)

func TestParseKernelArgs(t *testing.T) {
	cases := map[string]struct {
		line string
		want []string
	}{
		"words":                           {"root=/dev/vda1 ro  quiet\n", []string{"root=/dev/vda1", "ro", "quiet"}},
		"quotes hold a word together":     {`a="b c" d`, []string{`a="b c"`, "d"}},
		"a quote that nobody closes":      {`a "b c`, []string{"a", `"b c`}},
		"what init gets is no argument":   {"quiet -- single iommu=pt", []string{"quiet"}},
		"dashes in a word are part of it": {"a--b --c", []string{"a--b", "--c"}},
		"nothing":                         {" \n", nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, hw.ParseKernelArgs(c.line)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestManagedArgsAreAllThatIsKept(t *testing.T) {
	got := hw.ManagedArgs("root=/dev/vda1 rd.iscsi.password=secret intel-iommu=on iommu=pt ib_core.netns_mode=0 iommu.strict=1 amd_iommu")
	if diff := cmp.Diff([]string{"intel-iommu=on", "iommu=pt", "ib_core.netns_mode=0", "amd_iommu"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

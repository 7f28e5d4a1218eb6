// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/kubeovn/sriov-network-operator/internal/hw"
	"github.com/kubeovn/sriov-network-operator/internal/plan"
)

func (h hands) setRDMAMode(ctx context.Context, a plan.SetRDMAMode) deed {
	return deed{
		look: func() (holds, error) {
			mode, err := h.host.RDMA.NetnsMode(ctx)
			return holds{yes: mode == a.Mode, view: "the RDMA namespace mode is " + string(mode)}, err
		},
		do: func(ctx context.Context) error { return h.host.RDMACtl.SetNetnsMode(ctx, a.Mode) },
	}
}

func (h hands) setKernelArgs(ctx context.Context, a plan.SetKernelArgs) deed {
	return deed{
		look: func() (holds, error) { return h.bootLoader(ctx, a.Add, a.Remove) },
		do: func(ctx context.Context) error {
			if err := h.host.BootCtl.SetArgs(ctx, a.Add, a.Remove); err != nil {
				return err
			}
			// What a boot loader holds changes by nothing but that, and tells nobody: to
			// wait for it would only be to wait.
			after, err := h.bootLoader(ctx, a.Add, a.Remove)
			if err == nil && !after.yes {
				return fmt.Errorf("the boot loader took the arguments, and then %s", after.view)
			}
			return err
		},
	}
}

// bootLoader sees whether the boot loader holds some arguments and lacks others.
func (h hands) bootLoader(ctx context.Context, holding, lacking []string) (holds, error) {
	next, err := h.host.Boot.Next(ctx)
	if err != nil {
		return holds{}, err
	}
	for _, arg := range holding {
		if !slices.Contains(next.Args, arg) {
			return holds{view: "the next boot has no " + arg}, nil
		}
	}
	for _, arg := range lacking {
		if slices.Contains(next.Args, arg) {
			return holds{view: "the next boot still has " + arg}, nil
		}
	}
	return holds{yes: true}, nil
}

func (h hands) recordBoot(a plan.RecordBoot) deed {
	content := a.Record.Content()
	return deed{
		look: func() (holds, error) {
			have, err := fs.ReadFile(h.host.Files, hw.BootRecord)
			if errors.Is(err, fs.ErrNotExist) {
				return holds{yes: content == "", view: "there is no record"}, nil
			}
			return holds{yes: string(have) == content && content != "", view: "the record is another one"}, err
		},
		do: func(ctx context.Context) error {
			if len(a.Holding)+len(a.Lacking) > 0 {
				if seen, err := h.bootLoader(ctx, a.Holding, a.Lacking); err != nil || !seen.yes {
					return errors.Join(err, unready(seen))
				}
			}
			if content == "" {
				return h.host.Conf.Remove(ctx, hw.BootRecord)
			}
			return h.host.Conf.Replace(ctx, hw.BootRecord, []byte(content), recordMode)
		},
	}
}

// recordMode keeps the record from other users of the machine.
const recordMode = 0o600

func unready(seen holds) error {
	if seen.view == "" {
		return nil
	}
	return errors.New(strings.TrimSpace("nothing is written down: " + seen.view))
}

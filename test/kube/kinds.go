// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/yaml"
)

//go:embed crds
var otherKinds embed.FS

// installKinds installs the CRDs and waits until they are served.
func (c *Cluster) installKinds(ctx context.Context) error {
	crds, err := readKinds(os.DirFS(c.crdFolder()))
	if err != nil {
		return err
	}
	if c.options.networkAttachments == present {
		others, err := readKinds(otherKinds)
		if err != nil {
			return err
		}
		crds = append(crds, others...)
	}
	return c.install(ctx, crds...)
}

// readKinds reads every CRD of a tree of files.
func readKinds(files fs.FS) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	var crds []*apiextensionsv1.CustomResourceDefinition
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(text, crd); err != nil {
			return fmt.Errorf("parse %s: %w", path, err)
		}
		crds = append(crds, crd)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read CRDs: %w", err)
	}
	if len(crds) == 0 {
		return nil, fmt.Errorf("read CRDs: there are none in %v", files)
	}
	return crds, nil
}

// install installs CRDs and waits until they are served.
func (c *Cluster) install(ctx context.Context, crds ...*apiextensionsv1.CustomResourceDefinition) error {
	group, groupCtx := errgroup.WithContext(ctx)
	for _, crd := range crds {
		group.Go(func() error {
			if err := c.client.Create(groupCtx, crd); err != nil {
				return fmt.Errorf("create the CRD %s: %w", crd.Name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	asker, err := discovery.NewDiscoveryClientForConfig(c.config)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	return await(ctx, "the kinds", []*process{c.server}, func(context.Context) error {
		for _, crd := range crds {
			if err := served(asker, crd); err != nil {
				return err
			}
		}
		return nil
	})
}

// served returns why the API server does not serve a kind.
func served(asker discovery.DiscoveryInterface, crd *apiextensionsv1.CustomResourceDefinition) error {
	for _, version := range crd.Spec.Versions {
		known, err := asker.ServerResourcesForGroupVersion(crd.Spec.Group + "/" + version.Name)
		if err != nil {
			return fmt.Errorf("list the kinds of %s: %w", crd.Spec.Group, err)
		}
		is := func(r metav1.APIResource) bool { return r.Name == crd.Spec.Names.Plural }
		if !slices.ContainsFunc(known.APIResources, is) {
			return fmt.Errorf("%s is not served", crd.Name)
		}
	}
	return nil
}

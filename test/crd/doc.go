// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package crd checks the generated CRDs the way an API server does: their rules compile within its cost budget,
// and example objects are pruned, defaulted, admitted or refused as documented.
//
// It is a module of its own because the API server's code brings dependencies
// that the operator has no use for.
package crd

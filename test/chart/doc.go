// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package chart proves that the Helm chart installs what deploy installs, with the
// templates' own engine. It is a module of its own, so that nothing else depends on Helm.
package chart

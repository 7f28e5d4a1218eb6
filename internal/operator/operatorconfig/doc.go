// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

// Package operatorconfig deploys what the operator configuration asks for, mends it when
// somebody changes it, and takes it away again.
//
// What is to be there is decided by render/operand. This package compares it with what
// is there and applies the difference, with one field manager. Fields that others added
// stay theirs. An object with a name that is needed and that somebody else made is
// neither changed nor deleted: the group that needs it waits, and a condition names it.
//
// Groups do not wait for each other, and a webhook is not called before a pod of it is
// ready. The operator configuration has a finalizer, so that objects without a
// namespace, which no owner can take with it, go before it does. Nothing happens to a
// webhook configuration when the operator ends: whether a webhook has to answer does not
// depend on whether the operator runs.
//
// Kinds that a cluster may lack are looked for by their definitions. Their watches begin
// and end as the kinds come and go.
package operatorconfig

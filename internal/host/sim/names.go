// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"strconv"
	"strings"
)

// names finds things by their names, and makes names with the lowest number that
// is free, as the kernel does (net/core/dev.c, __dev_alloc_name;
// drivers/infiniband/core/device.c, alloc_name).
type names[T any] struct {
	by map[string]T
	// free is, by prefix, a number below which all are taken.
	free map[string]int
}

func newNames[T any]() names[T] {
	return names[T]{by: map[string]T{}, free: map[string]int{}}
}

// fresh is a name that is free. It is not taken until something is put under it.
func (n names[T]) fresh(prefix string) string {
	for i := n.free[prefix]; ; i++ {
		name := prefix + strconv.Itoa(i)
		if _, taken := n.by[name]; !taken {
			n.free[prefix] = i
			return name
		}
	}
}

func (n names[T]) drop(name string) {
	delete(n.by, name)
	prefix := strings.TrimRight(name, "0123456789")
	if i, err := strconv.Atoi(name[len(prefix):]); err == nil && i < n.free[prefix] {
		n.free[prefix] = i
	}
}

// SPDX-FileCopyrightText: The SR-IOV Network Operator authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	_ "github.com/golang/mock/gomock"
	_ "github.com/onsi/ginkgo/v2"
	_ "github.com/onsi/gomega"
	_ "github.com/stretchr/testify/assert"
	_ "go.uber.org/mock/gomock"
)

// want depguard: not allowed from list 'tests'
// want depguard: not allowed from list 'tests'
// want depguard: not allowed from list 'tests'
// want depguard: not allowed from list 'tests'
// want depguard: not allowed from list 'tests'

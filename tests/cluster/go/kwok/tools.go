//go:build tools

// Package tools pins the program that is built.
package tools

import _ "sigs.k8s.io/kwok/cmd/kwok"

//go:build tools

// Package tools pins the program that is built.
package tools

import _ "github.com/versity/versitygw/cmd/versitygw"

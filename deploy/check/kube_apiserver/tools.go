//go:build tools

// Package tools names the one program that build.sh builds, so that go.mod and go.sum hold what it needs.
package tools

import _ "k8s.io/kubernetes/cmd/kube-apiserver"

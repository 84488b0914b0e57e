//go:build !linux

package s3bucket_test

import "syscall"

func dieWithParent() *syscall.SysProcAttr { return nil }

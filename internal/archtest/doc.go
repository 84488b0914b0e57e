// Package archtest has tests only: they read the source of this module and
// fail when a package imports what its level may not, touches files behind the
// back of vfs, or keeps state in package variables.
//
// The import table is data in table_test.go; docs/adr/0001-layers.md says why
// it is as it is.
package archtest

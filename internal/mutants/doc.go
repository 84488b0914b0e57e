// Package mutants proves that the crash campaigns can fail. Its tests hold a
// table of deliberate bugs, each of which breaks one promise: a sync that is
// skipped, an error that is ignored, a length that is trusted. One at a time
// they are put into the code by a build overlay, so that no file changes, and
// the campaign of that layer has to notice within a minute.
//
//	make mutants                                        all of them
//	go test ./internal/mutants -v -mutants 8            some, others for each commit
//	go test ./internal/mutants -v -mutants.only 'log/'  those whose LAYER/NAME matches
//
// A plain go test only looks whether the code that the bugs replace is still
// where the table says.
package mutants

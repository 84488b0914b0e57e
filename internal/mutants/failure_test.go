package mutants

import (
	"regexp"
	"strings"
)

// failure is what a test's output says of why it failed.
type failure struct {
	test string // that failed; of several, the innermost
	said string // first line of the message
	text string // all of a campaign's message, up to the ID
	id   string // that a campaign's failure is replayed by
	file string // that it was saved to
}

var (
	failed   = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+)`)
	logged   = regexp.MustCompile(`(?m)^ +\w+\.go:\d+: `)
	replayBy = regexp.MustCompile(`(?m)^ *replay with -crash\.replay (\S+)$`)
	savedTo  = regexp.MustCompile(`(?m)^ *or, with its history, with -crash\.replay (\S+)$`)
	panicked = regexp.MustCompile(`(?m)^(panic|fatal error): .*`)
)

// failure finds the message of the first failure: of the lines that the test
// logged the last one, or the one that ends with an ID.
func (o outcome) failure() (f failure) {
	end := len(o.out)
	if at := replayBy.FindStringSubmatchIndex(o.out); at != nil {
		f.id, end = o.out[at[2]:at[3]], at[1]
	}
	if saved := savedTo.FindStringSubmatch(o.out[end:]); saved != nil {
		f.file = saved[1]
	}
	for _, m := range failed.FindAllStringSubmatchIndex(o.out, -1) {
		name := o.out[m[2]:m[3]]
		if !strings.HasPrefix(name, f.test) {
			end = min(end, m[0])
			break
		}
		f.test = name
	}
	if heads := logged.FindAllStringIndex(o.out[:end], -1); f.test != "" && heads != nil {
		f.text = o.out[heads[len(heads)-1][1]:end]
	} else {
		f.text = panicked.FindString(o.out)
	}
	f.said, _, _ = strings.Cut(f.text, "\n")
	return f
}

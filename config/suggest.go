package config

import (
	"strconv"
	"strings"
)

// nearest returns the name that was most likely meant, "" if none is near.
func nearest(given string, names []string) string {
	if len(given) > 64 {
		return ""
	}
	given = strings.ToLower(strings.ReplaceAll(given, "-", "_"))
	best, least := "", 0
	for _, name := range names {
		// As many changes as a third of the word: more, and it is another one.
		n := distance(given, name)
		if n <= max(1, len(name)/3, len(given)/3) && (best == "" || n < least) {
			best, least = name, n
		}
	}
	return best
}

// distance counts the letters to insert, drop, replace or exchange with their
// neighbour to get from a to b.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// meant says which name was meant, or else the other thing.
func meant(given string, names []string, otherwise string) string {
	if name := nearest(given, names); name != "" {
		return "did you mean " + strconv.Quote(name) + "?"
	}
	return otherwise
}

// list is "a, b or c".
func list(names []string, word string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " " + word + " " + names[last]
}

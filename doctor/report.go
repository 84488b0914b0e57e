package doctor

// State says how a node is.
type State string

// From best to worst.
const (
	Sound      State = "sound"      // it opens as it is
	Recovers   State = "recovers"   // the next open puts right what a crash left
	Repairable State = "repairable" // damaged, and Apply mends it without a loss
	Beyond     State = "beyond"     // damaged, and nothing that is here can mend it
)

// Report is what Examine found.
type Report struct {
	State  State    `json:"state"`
	Parts  []Part   `json:"parts"`
	Checks []Check  `json:"checks"`
	Lost   []string `json:"lost"` // what cannot be read any more, and what that costs
	// Opening is what the next open would do, or why it would refuse.
	Opening []string `json:"opening"`
	// Repair is what Apply does; empty if nothing is to be done, or nothing can
	// be. Then Advice says what can, if anything is wrong.
	Repair []Step   `json:"repair"`
	Advice []string `json:"advice"`
	// Touched are the files that the repair changes or removes. It keeps them.
	Touched []string `json:"touched"`
	// After is what the node was like after the repair was rehearsed.
	After string `json:"after,omitempty"`
}

// Part is one of the three layers, in a few words.
type Part struct {
	Name string `json:"name"`
	Dir  string `json:"dir"`
	Is   string `json:"is"`
}

// Check is one invariant.
type Check struct {
	Rule  string  `json:"rule"`
	State Verdict `json:"state"`
	Found string  `json:"found,omitempty"`
}

// Verdict says whether an invariant holds.
type Verdict string

// What a Check may come to.
const (
	Holds   Verdict = "holds"
	Broken  Verdict = "broken"
	Pending Verdict = "pending" // the next open sees to it
	Unknown Verdict = "unknown" // what it is about cannot be read
)

// Step is one step of a repair.
type Step struct {
	Do  string `json:"do"` // what is done
	Why string `json:"why"`
	act action
}

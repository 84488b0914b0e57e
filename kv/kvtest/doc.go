// Package kvtest is the contract of a [kv.Driver] and of the [kv.Store] above
// it, as cases that run anywhere: in the tests of an engine through [Run], on
// an operator's disk through [Cases], and at random against a plain map
// through [Random]. [Crash] cuts the power under all of it, on a simulated
// disk. An engine is done when all of them pass.
package kvtest

// Package snaptest holds the rules for snapshot buckets, and for the store on
// top of one, as cases that anybody can run against their own bucket.
//
// A bucket is done when its test is this:
//
//	func TestContract(t *testing.T) {
//		snaptest.Run(t, func(t testing.TB) snaptest.Open {
//			dir := t.TempDir()
//			return func() (snapshot.Bucket, error) { return mybucket.Open(dir) }
//		})
//	}
//
// The cases return errors and need no testing package, so that a program can
// run them on an operator's own disk: see [Cases]. [Random] compares a store
// with a model in memory through random steps and replays a run by its seed.
//
// A bucket on files cuts its own power too: [Crash] plays scripts on a
// simulated disk, crashes after each operation, in recoveries and around calls
// that fail, and looks at what is left.
package snaptest

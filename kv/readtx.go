package kv

// ReadTx is a snapshot: every read sees what was committed before it began,
// by the clock of that moment. Several goroutines may use one. Close it: the
// engine keeps old versions for it.
type ReadTx struct{ txn }

// Close ends the transaction; calls and walks still inside it end first. It
// may be called twice.
func (t *ReadTx) Close() error { return wrap("close", t.close()) }

// Package httptransfer moves snapshots between nodes over HTTP, by manifest and
// chunks.
//
// A [Handler] serves what a store holds:
//
//	GET /snapshots                     the list, as JSON, newest first
//	GET /snapshots/{id}/manifest       what the snapshot consists of; {id} may be "latest"
//	GET /snapshots/{id}/chunks/{n}     one chunk, framed and checksummed; ranges are answered
//
// A [Client] fetches one into another store. It asks for the chunks that the
// store lacks only, several at a time, and goes on where a connection broke, the
// server was restarted, or this process was: what arrived is kept in the store's
// staging. Nothing is trusted before its checksum and digest were verified.
//
// Neither side knows who may ask. Wrap the Handler, and give the Client an
// http.Client that says who it is.
package httptransfer

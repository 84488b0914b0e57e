// Package command is the replicated half of the key-value node: what its log
// entries say and what they do to the data.
//
// A [Command] is one log entry. It carries the wall clock of the node that
// proposed it, the keys that must not have changed since the client looked
// ([Watch]), and a list of operations ([Op]). [Apply] moves the store's clock,
// checks the watched keys and runs the operations in order, inside the write
// transaction of the entry. Everything it does and answers follows from the
// command and the state before it, so equal logs give equal replicas: no clock
// is read, no limit is taken from a store's options, and no map is walked.
//
// A client's mistake, such as INCR of a text, is a [Reply] like any other. An
// error of Apply means that the engine failed or that the entry cannot be read,
// and the node must not go on.
//
// # Bytes of a command
//
// Numbers are varints of encoding/binary in their shortest form, signed where
// marked; a string is its length and its bytes. Frozen: format version 1.
//
//	version  1 byte, 1
//	clock    nanoseconds since 1970, 0 for none
//	watches  count, then for each: key string, fingerprint 16 bytes
//	ops      count, then for each:
//	           code   1 byte
//	           flags  1 byte
//	           n      signed: the delta of IncrBy, the deadline of Set and
//	                  ExpireAt in nanoseconds since 1970, otherwise 0
//	           args   count, then strings: keys, values, or a pattern
//
// Nothing follows. What [Decode] accepts encodes to the same bytes.
package command

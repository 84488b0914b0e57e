// Package dirbucket keeps snapshots as the files of one directory:
//
//	dir/
//	    <name>        a committed object, whole and durable
//	    .lock         locked while the bucket is open; says who holds it
//	    .pending-<n>  an object that is being written; removed at the next open
//	    .staging/     what [Bucket.Staging] opens
//
// Names of objects never begin with a dot, so they never meet the bucket's own.
// Other directories, and names that no object can have, are left alone.
//
// An object is written under a name that is not listed, synced, renamed, and
// the directory synced: it is there as a whole or not at all, whenever the
// process is killed or the power fails.
//
// A failed write or sync of an object costs that object only; its file is
// removed at once and with it what it took of a full disk. A failed sync of
// the directory is another matter: what is durable under which name is not
// known any more, so from then on changes are refused with fault.ErrPoisoned,
// while reads go on, until the bucket is opened anew.
package dirbucket

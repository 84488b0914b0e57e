// Package s3bucket keeps snapshots in a bucket of an S3 server:
//
//	b, err := s3bucket.Open(ctx, "https://s3.eu-west-1.amazonaws.com", "snapshots",
//		&s3bucket.Options{Prefix: "cluster-a/node-1"})
//
// An object <name> has the key <prefix>/<name>. What lies deeper below the
// prefix is left alone, so that several nodes can share a bucket, each with a
// prefix of its own. One store at a time may use a prefix: S3 has no lock that
// could enforce it. The identity that a store keeps tells nodes apart that were
// given the same prefix by mistake.
//
// # Writing
//
// An object that fits into one part is stored by one request. Of a longer one a
// few parts at a time are sent while it is written, and put together by the
// request that commits it: S3 shows it whole from then on, and
// nothing of it before. A commit whose answer was lost is not guessed at: the
// upload carries a random mark, which the object then has or has not.
//
// A process that is killed leaves parts behind. They are in no listing, but
// they take space, so Open looks for uploads below its prefix to which nothing
// was added for Options.LeftoverAge and aborts them; a later Create looks again
// after that time. The age is what protects the upload of a node that lives,
// when a tool opens its prefix beside it.
//
// # Reading
//
// A reader asks for the bytes from its offset on in ranges that begin small and
// grow, so that reading a few bytes moves a few, and reading all takes few
// requests. All ranges come from the same object: one that was replaced
// meanwhile is fault.ErrConflict. A connection that broke is taken up again
// where it stopped.
//
// # Failures
//
// Requests that may succeed later are tried again, with growing and random
// pauses; see Options.Attempts. Errors to test for: fault.ErrNotFound for an
// object, [ErrNoBucket], [ErrUnreachable], fs.ErrPermission, fault.ErrFull for
// a quota, fault.ErrConflict. None carries a credential.
//
// # What the server has to allow
//
// s3:ListBucket, s3:GetObject, s3:PutObject, s3:DeleteObject,
// s3:AbortMultipartUpload, and for the search of leftovers
// s3:ListBucketMultipartUploads and s3:ListMultipartUploadParts. The bucket has
// to exist. Where it keeps versions, what is removed or replaced stays behind
// as an old version until a rule of the bucket expires it.
package s3bucket

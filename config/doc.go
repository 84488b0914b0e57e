// Package config reads a node's configuration from YAML and opens what it says:
//
//	c, err := config.Load("node.yaml")
//	...
//	st, err := c.Open(ctx, dir)
//
// or, for a program that needs no file, config.OpenDir(dir, nil): a segment
// log, snapshots in a directory, and Pebble.
//
// # The file
//
//	raft_storage:
//	  health_check_interval_ms: 5000
//	  disk_soft_limit_mb: 40000         # above it old snapshots go
//	  disk_hard_limit_mb: 50000         # above it writes are refused
//	  snapshot_compression: zstd        # or in snapshot_storage, or the same in both
//	  log_storage:
//	    backend_type: append_log        # or memory_log
//	    path: log                       # below the directory given to Open, or absolute
//	    config:
//	      buffer_size: 10000            # entries that one commit takes along
//	      sync_policy: batch            # always, batch, interval or never
//	      flush_interval_ms: 100        # of sync_policy interval
//	      checksum_validation: true
//	  snapshot_storage:
//	    backend_type: compressed_file   # memory_snapshot or s3
//	    path: snapshots
//	    config:
//	      compression: zstd             # none, gzip, lz4 or zstd
//	      compression_level: 3
//	      max_snapshots: 8
//	      retention:
//	        strategy: keep_latest       # keep_by_age, combined or size_based_lru
//	        keep_count: 5
//	        max_age_hours: 168
//	        max_total_size_mb: 4096
//	  app_storage:
//	    backend_type: pebble            # rocksdb or memory
//	    path: data
//	    config:
//	      cache_size_mb: 1024
//	      write_buffer_size_mb: 64
//	      max_write_buffer_number: 3
//	      compaction_style: level
//	      sync_policy: never            # as that of the log
//	      flush_interval_ms: 100
//
// snapshot_storage s3 also has the keys of its bucket, of which the first two
// must be there; its path is where a transfer keeps what it has received:
//
//	endpoint: https://s3.eu-west-1.amazonaws.com
//	bucket: snapshots
//	prefix: cluster-a/node-1        # each node its own
//	region: eu-west-1               # or AWS_REGION, or what the server says
//	addressing: auto                # path or virtual_host
//	access_key_id: ...              # these two, or the next two, or none: then
//	secret_access_key: ...          # the environment or the standard files
//	credentials_file: /etc/trimaran/s3
//	profile: default
//	ca_file: /etc/trimaran/ca.pem   # trusted besides the system's
//	part_size_mb: 16                # memory for writing; 10,000 parts at most
//
// memory_log has max_entries and circular_buffer, app_storage memory has
// max_size_mb. A megabyte is 1024 * 1024 bytes. [Config.String] prints what a
// file means with every default filled in, in the same form; [Schema] is the
// JSON schema of what is read.
//
// The default of sync_policy is batch for the log and never for the data: the
// log brings back what the data loses in a power failure, and the data is
// synced before the log lets go of it.
//
// # Mistakes
//
// Reading is strict. A key that is not known, a value out of range, a
// combination that would lose data: all of them are found at once and returned
// as [Mistakes], each with its place and, where there is one, the name that was
// meant. What is accepted and yet worth knowing is in [Config.Notes].
//
// A file may have other sections beside raft_storage. Whoever owns one reads
// it with the same strictness through [Document] and [Section].
package config

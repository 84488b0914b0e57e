package config_test

import (
	"context"
	"fmt"

	"github.com/trimarandb/trimaran/config"
)

// Every mistake of a file is reported at once, with its place and with the name
// that was meant.
func ExampleParse() {
	_, err := config.Parse("node.yaml", []byte(`
raft_storage:
  log_storage:
    backend_type: append_log
    config:
      sync_polcy: batch
      flush_interval_ms: 0
  snapshot_storage:
    backend_type: compressed_file
    config:
      compression: ztsd
  app_storage:
    backend_type: pebble
`))
	fmt.Println(err)
	// Output:
	// node.yaml:6:7: raft_storage.log_storage.config.sync_polcy: unknown key; did you mean "sync_policy"?
	// node.yaml:7:26: raft_storage.log_storage.config.flush_interval_ms: want 1 to 3600000, not 0
	// node.yaml:11:20: raft_storage.snapshot_storage.config.compression: unknown value "ztsd"; did you mean "zstd"?
}

// A program reads a section of its own with the same strictness.
func ExampleDocument() {
	d := config.Read("node.yaml", []byte(`
node:
  addresss: 10.0.0.1
raft_storage:
  log_storage: {backend_type: memory_log}
  snapshot_storage: {backend_type: memory_snapshot}
  app_storage: {backend_type: memory}
`))
	_ = d.Root().Section("node").Text("address", "localhost")
	_ = d.Storage()
	fmt.Println(d.Finish())
	// Output: node.yaml:3:3: node.addresss: unknown key; did you mean "address"?
}

// A configuration is opened in a directory, below which each layer has its own.
func ExampleConfig_Open() {
	c, err := config.Load("../examples/memory-optimized.yaml")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, note := range c.Notes() {
		fmt.Println(note)
	}
	st, err := c.Open(context.Background(), "unused")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer st.Close()
	fmt.Println(st.Recovered().Log.Empty())
	// Output:
	// ../examples/memory-optimized.yaml:3:19: raft_storage.log_storage.backend_type: nothing survives a restart, votes included: for tests, and for a node that is the only voter of its group
	// true
}

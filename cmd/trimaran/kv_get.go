package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/trimarandb/trimaran/kv"
)

func newKVGet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get KEY",
		Short: "Print the value of a key",
		Long: `Prints the bytes of the value and nothing else. The exit code is 5 if the key has none.
With -o json, what is no text is in base64 under value_base64.`,
		Example: `  trimaran kv get user:17
  trimaran kv get --base64 AAH/
  trimaran kv get picture --data /var/lib/trimaran > picture.png`,
		Args: arguments(1, 1, "one key"),
	}
	f := addKVFlags(cmd)
	in := addBytesFlags(cmd, "KEY is")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		key, err := in.bytes(args[0])
		if err != nil {
			return err
		}
		return f.with(func(ctx context.Context, s *kv.Store) error {
			value, err := s.Get(ctx, key)
			if err != nil {
				return fmt.Errorf("key %q: %w", key, err)
			}
			if *f.out == "text" {
				_, err = cmd.OutOrStdout().Write(value)
				return err
			}
			return f.out.print(cmd.OutOrStdout(), lineOf(kv.Pair{Key: key, Value: value}, false), nil)
		})
	}
	return cmd
}

package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"github.com/trimarandb/trimaran/config"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Look into configuration files"}
	cmd.AddCommand(newConfigCheck(), newConfigShow(), newConfigSchema())
	return cmd
}

func newConfigCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Say whether a configuration file is right, and what it means",
		Long: `Reads a file as trimaran serve would and prints what it means, with every default
filled in, and what is worth knowing about it. All mistakes are reported at once,
each with its line and column. Nothing is opened or changed.`,
		Example: `  trimaran config check node.yaml
  trimaran config check node.yaml -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("config check: want one file, got %d\nTry: %s --help", len(args), cmd.CommandPath())}
			}
			return nil
		},
	}
	out := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return checkConfig(cmd.OutOrStdout(), out, args[0])
	}
	return cmd
}

// checked is what config check prints.
type checked struct {
	File      string   `json:"file"`
	Valid     bool     `json:"valid"`
	Mistakes  []string `json:"mistakes"`
	Notes     []string `json:"notes"`
	Effective string   `json:"effective,omitempty"`
}

func checkConfig(w io.Writer, out *output, file string) error {
	nc, err := loadNode(file)
	var mistakes config.Mistakes
	if err != nil && !errors.As(err, &mistakes) {
		return err
	}
	c := checked{File: file, Mistakes: []string{}, Notes: []string{}}
	for _, m := range mistakes {
		c.Mistakes = append(c.Mistakes, m.Error())
	}
	if err == nil {
		if err = nc.storage.Check(); err != nil {
			c.Mistakes = append(c.Mistakes, err.Error())
		}
		for _, n := range nc.notes {
			c.Notes = append(c.Notes, n.String())
		}
		c.Effective = nc.storage.String()
	}
	c.Valid = err == nil
	if perr := out.print(w, c, c.text); perr != nil || err == nil {
		return perr
	}
	return silent{err}
}

func (c checked) text(w io.Writer) {
	for _, m := range c.Mistakes {
		fmt.Fprintln(w, m)
	}
	for _, n := range c.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
	if !c.Valid {
		fmt.Fprintf(w, "%s: not valid\n", c.File)
		return
	}
	fmt.Fprintf(w, "%s: valid, and means\n\n%s", c.File, c.Effective)
}

func newConfigShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show [FILE]",
		Short: "Print the effective configuration: a file with every default filled in",
		Long: `Prints what trimaran serve would run with, as a file that says the same: all of it is
written out, and it can be read back. Without a file these are the defaults. Secrets
are left out. What is worth knowing about a file, config check says.`,
		Example: `  trimaran config show > node.yaml
  trimaran config show node.yaml
  trimaran config show node.yaml -o json`,
		Args: cobra.MaximumNArgs(1),
	}
	out := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n := defaultNode()
		if len(args) == 1 {
			var err error
			if n, err = loadNode(args[0]); err != nil {
				return err
			}
		}
		text := n.String()
		var v map[string]any
		if err := yaml.Unmarshal([]byte(text), &v); err != nil {
			return fmt.Errorf("config show: %w", err)
		}
		return out.print(cmd.OutOrStdout(), v, func(w io.Writer) { fmt.Fprint(w, text) })
	}
	return cmd
}

func newConfigSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of configuration files",
		Long: `Prints what a configuration file may say, for editors and other tools. It is made from
what this build reads. Where a file fits it, config check may still find values that
contradict each other.`,
		Example: `  trimaran config schema > trimaran.schema.json
  sed -i '1i # yaml-language-server: $schema=trimaran.schema.json' node.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(fileSchema())
			return err
		},
	}
}

func fileSchema() []byte {
	return config.Schema("Configuration of a Trimaran node", func(d *config.Document) { readNode(d) })
}

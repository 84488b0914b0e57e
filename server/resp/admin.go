package resp

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/redcon"

	"github.com/trimarandb/trimaran/server/command"
)

// info prints the sections asked for, all without arguments.
func (c *client) info(args [][]byte) {
	own := []InfoSection{
		{"Server", []InfoField{
			{"redis_version", redisVersion}, {"redis_mode", "standalone"}, {"server_name", "trimaran"}, {"trimaran_version", c.s.o.Version},
		}},
		{"Clients", []InfoField{
			{"connected_clients", strconv.Itoa(c.s.connected())}, {"maxclients", strconv.Itoa(c.s.o.MaxClients)},
		}},
	}
	var b strings.Builder
	for _, section := range slices.Concat(own, c.s.b.Info()) {
		if !wanted(section.Name, args[1:]) {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		fmt.Fprintf(&b, "# %s\r\n", section.Name)
		for _, f := range section.Fields {
			fmt.Fprintf(&b, "%s:%s\r\n", f.Name, f.Value)
		}
	}
	c.bulk(b.String())
}

func wanted(section string, names [][]byte) bool {
	return len(names) == 0 || slices.ContainsFunc(names, func(name []byte) bool {
		switch s := strings.ToLower(string(name)); s {
		case "all", "default", "everything":
			return true
		default:
			return s == strings.ToLower(section)
		}
	})
}

// configGet answers what clients and tools of Redis ask for.
func (c *client) configGet(args [][]byte) {
	settings := []InfoField{
		{"appendfsync", "always"},
		{"appendonly", "yes"},
		{"databases", "1"},
		{"maxclients", strconv.Itoa(c.s.o.MaxClients)},
		{"maxmemory", "0"},
		{"proto-max-bulk-len", strconv.Itoa(command.MaxValue)},
		{"save", ""},
		{"timeout", strconv.Itoa(int(c.s.o.IdleTimeout.Seconds()))},
	}
	matches := slices.DeleteFunc(settings, func(f InfoField) bool {
		return !slices.ContainsFunc(args[2:], func(p []byte) bool {
			return len(p) <= command.MaxMatch && command.Compile([]byte(strings.ToLower(string(p)))).Match([]byte(f.Name))
		})
	})
	c.array(2 * len(matches))
	for _, f := range matches {
		c.bulk(f.Name)
		c.bulk(f.Value)
	}
}

func (c *client) listCommands([][]byte) {
	c.array(len(c.s.commands))
	for _, name := range slices.Sorted(maps.Keys(c.s.commands)) {
		c.describe(c.s.commands[name])
	}
}

func (c *client) countCommands([][]byte) { c.number(int64(len(c.s.commands))) }

// commandDocs has no documentation to give; redis-cli then offers no hints.
func (c *client) commandDocs([][]byte) { c.array(0) }

func (c *client) commandInfo(args [][]byte) {
	if len(args) == 2 {
		c.listCommands(nil)
		return
	}
	c.array(len(args) - 2)
	for _, name := range args[2:] {
		if e := c.s.lookup(name); e != nil {
			c.describe(e)
		} else {
			c.out = append(c.out, "*-1\r\n"...)
		}
	}
}

// describe writes the ten fields that Redis 7 has for a command.
func (c *client) describe(e *entry) {
	c.spill()
	c.array(10)
	c.bulk(e.name)
	c.number(int64(e.arity))
	flags := strings.Fields(e.flags)
	c.array(len(flags))
	for _, flag := range flags {
		c.out = redcon.AppendString(c.out, flag)
	}
	for _, n := range []int{e.first, e.last, e.step} {
		c.number(int64(n))
	}
	for range 3 { // categories of access, tips, key specifications
		c.array(0)
	}
	c.array(len(e.subs))
	for _, sub := range e.subs {
		c.describe(sub)
	}
}

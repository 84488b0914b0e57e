package resp

import (
	"fmt"
	"strings"

	"github.com/tidwall/redcon"

	"github.com/trimarandb/trimaran/server/command"
)

func (c *client) leave([][]byte) {
	c.quit = true
	c.ok()
}

func (c *client) ping(args [][]byte) {
	switch len(args) {
	case 1:
		c.out = redcon.AppendString(c.out, "PONG")
	case 2:
		c.out = redcon.AppendBulk(c.out, args[1])
	default:
		c.fail(wrongNumber("ping"))
	}
}

func (c *client) echo(args [][]byte) { c.out = redcon.AppendBulk(c.out, args[1]) }

func (c *client) selectDB(args [][]byte) {
	n, ok := command.ParseInt(args[1])
	switch {
	case !ok:
		c.fail(command.ErrNotInteger)
	case n != 0:
		c.fail("ERR DB index is out of range")
	default:
		c.ok()
	}
}

// hello agrees on RESP2, the only version there is.
func (c *client) hello(args [][]byte) {
	name := c.name
	if len(args) > 1 {
		n, ok := command.ParseInt(args[1])
		switch {
		case !ok:
			c.fail("ERR Protocol version is not an integer or out of range")
			return
		case n != 2:
			c.fail("NOPROTO unsupported protocol version")
			return
		}
	}
	for i := 2; i < len(args); i++ {
		switch word := strings.ToUpper(string(clip(args[i], 16))); {
		case word == "SETNAME" && i+1 < len(args):
			i++
			if name = string(args[i]); !validName(name) {
				c.fail(errName)
				return
			}
		case word == "AUTH" && i+2 < len(args):
			c.fail("ERR AUTH is not supported, connect without a password")
			return
		default:
			c.fail(fmt.Sprintf("ERR Syntax error in HELLO option '%s'", clip(args[i], 128)))
			return
		}
	}
	c.name = name
	c.array(14)
	for _, pair := range [][2]string{{"server", "trimaran"}, {"version", redisVersion}} {
		c.bulk(pair[0])
		c.bulk(pair[1])
	}
	c.bulk("proto")
	c.number(2)
	c.bulk("id")
	c.number(c.id)
	for _, word := range []string{"mode", "standalone", "role", "master", "modules"} {
		c.bulk(word)
	}
	c.array(0)
}

const (
	errName       = "ERR Client names cannot contain spaces, newlines or special characters."
	maxClientName = 1 << 10
)

func validName(name string) bool {
	return len(name) <= maxClientName && !strings.ContainsFunc(name, func(r rune) bool { return r < '!' || r > '~' })
}

func (c *client) clientID([][]byte) { c.number(c.id) }

func (c *client) clientGetName([][]byte) {
	if c.name == "" {
		c.out = redcon.AppendNull(c.out)
		return
	}
	c.bulk(c.name)
}

func (c *client) clientSetName(args [][]byte) {
	name := string(args[2])
	if !validName(name) {
		c.fail(errName)
		return
	}
	c.name = name
	c.ok()
}

// clientSetInfo takes what a library says of itself, which nobody asks for.
func (c *client) clientSetInfo(args [][]byte) {
	switch strings.ToUpper(string(clip(args[2], 16))) {
	case "LIB-NAME", "LIB-VER":
		c.ok()
	default:
		c.fail(fmt.Sprintf("ERR Unrecognized option '%s'", clip(args[2], 128)))
	}
}

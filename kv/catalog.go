package kv

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trimarandb/trimaran/fault"
)

// catalog is the indexes of a store in the order of their names. It is never
// changed, only replaced.
type catalog []*definition

func (c catalog) find(name string) (int, bool) {
	return slices.BinarySearchFunc(c, name, func(x *definition, name string) int { return strings.Compare(x.Name, name) })
}

// with is c with x added, or put in the place of the one of that name.
func (c catalog) with(x *definition) catalog {
	i, found := c.find(x.Name)
	c = slices.Clone(c)
	if found {
		c[i] = x
		return c
	}
	return slices.Insert(c, i, x)
}

func (c catalog) without(name string) catalog {
	return slices.DeleteFunc(slices.Clone(c), func(x *definition) bool { return x.Name == name })
}

// freeID is the least id that no index has.
func (c catalog) freeID() uint32 {
	for id := uint32(1); ; id++ {
		if !slices.ContainsFunc(c, func(x *definition) bool { return x.id == id }) {
			return id
		}
	}
}

// readCatalog reads all definitions, unresolved.
func readCatalog(d DriverTx) (catalog, error) {
	var c catalog
	for p, err := range d.Scan(Range{Lo: []byte{spaceIndex}, Hi: []byte{spaceIndex + 1}}) {
		if err != nil {
			return nil, err
		}
		x, err := parseStoredDefinition(p.Value)
		if err != nil {
			return nil, err
		}
		if string(p.Key[1:]) != x.Name {
			return nil, damaged("definition of index %q in the place of another", x.Name)
		}
		c = append(c, x)
	}
	return c, nil
}

func (c catalog) resolve(list []Extractor) (err error) {
	for _, x := range c {
		if x.extract, err = x.resolve(list); err != nil {
			return err
		}
	}
	return nil
}

// latest is the highest registered version of a function.
func latest(list []Extractor, name string) (Extractor, bool) {
	var best Extractor
	found := false
	for _, e := range list {
		if e.Name == name && (!found || e.Version > best.Version) {
			best, found = e, true
		}
	}
	return best, found
}

// readDefinition reads one index that can be queried.
func readDefinition(d DriverTx, name string) (*definition, error) {
	b, err := d.Get(definitionKey(name))
	if err != nil {
		return nil, fmt.Errorf("index %q: %w", name, err)
	}
	x, err := parseStoredDefinition(b)
	if err != nil {
		return nil, err
	}
	if !x.ready {
		return nil, fmt.Errorf("index %q is not built yet: call BuildIndex until it is done: %w", name, fault.ErrInvalid)
	}
	return x, nil
}

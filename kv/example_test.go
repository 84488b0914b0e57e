package kv_test

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/memkv"
)

func ExampleStore() {
	ctx := context.Background()
	engine, err := memkv.New(nil)
	if err != nil {
		panic(err)
	}
	s, err := kv.New(engine, nil)
	if err != nil {
		panic(err)
	}
	defer s.Close()

	err = s.CreateIndex(ctx, kv.Index{Name: "city", JSONPath: "city"})
	if err != nil {
		panic(err)
	}
	err = s.Update(ctx, func(tx *kv.WriteTx) error {
		for key, value := range map[string]string{
			"user/1": `{"name":"Ada","city":"London"}`,
			"user/2": `{"name":"Kurt","city":"Brno"}`,
			"user/3": `{"name":"Alan","city":"London"}`,
		} {
			if err := tx.Put([]byte(key), []byte(value)); err != nil {
				return err
			}
		}
		_, err := tx.Increment([]byte("users"), 3)
		return err
	})
	if err != nil {
		panic(err)
	}
	page, err := s.Query(ctx, kv.Query{Index: "city", Exact: []byte("London")})
	if err != nil {
		panic(err)
	}
	for _, row := range page.Rows {
		fmt.Printf("%s %s\n", row.Key, row.Value)
	}
	// Output:
	// user/1 {"name":"Ada","city":"London"}
	// user/3 {"name":"Alan","city":"London"}
}

// A replica moves the clock with the commands it applies.
func ExampleWriteTx_Advance() {
	ctx := context.Background()
	engine, _ := memkv.New(nil)
	s, err := kv.New(engine, nil)
	if err != nil {
		panic(err)
	}
	defer s.Close()
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	_ = s.Update(ctx, func(tx *kv.WriteTx) error {
		_ = tx.Advance(noon)
		return tx.PutTTL([]byte("session"), []byte("ada"), time.Minute)
	})
	has, _ := s.Has(ctx, []byte("session"))
	fmt.Println("at noon:", has)
	_ = s.Update(ctx, func(tx *kv.WriteTx) error { return tx.Advance(noon.Add(time.Minute)) })
	has, _ = s.Has(ctx, []byte("session"))
	fmt.Println("a minute later:", has)
	// Output:
	// at noon: true
	// a minute later: false
}

func ExampleCapture() {
	ctx := context.Background()
	engine, _ := memkv.New(nil)
	s, err := kv.New(engine, nil)
	if err != nil {
		panic(err)
	}
	defer s.Close()
	_ = s.Put(ctx, []byte("a"), []byte("1"))
	c, err := s.Capture(ctx)
	if err != nil {
		panic(err)
	}
	defer c.Release()
	_ = s.Put(ctx, []byte("b"), []byte("2")) // not in the capture

	var export bytes.Buffer
	if _, err := c.WriteTo(&export); err != nil {
		panic(err)
	}
	sum, err := s.Import(ctx, &export, nil)
	if err != nil {
		panic(err)
	}
	n, _ := s.Count(ctx, kv.Range{})
	fmt.Println(sum.Rows, n)
	// Output: 1 1
}

# The checks themselves are in .ci/run, which CI runs without make.
.DEFAULT_GOAL := help
.PHONY: help check test race lint fuzz cover tidy crash mutants bench bench-kv bench-snapshot bench-node bench-adapters benchmarks ci

FUZZTIME ?= 10
BENCHFLAGS ?= -quick

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

check: ## what every commit passes: format, vet, lint, import table, tests, tidy
	@.ci/run format vet lint archtest tests tidy

test: ## the tests
	go test ./...

race: ## the tests under the race detector
	go test -race ./...

lint: ## golangci-lint at the pinned version
	@.ci/lint

fuzz: ## every fuzz target for FUZZTIME seconds
	@.ci/fuzz $(FUZZTIME)

crash: ## the crash campaigns at full size; failures are kept in crash.out
	@.ci/crash

mutants: ## deliberate bugs, one at a time, each of which a test has to catch
	@go test -count=1 -timeout 2h -v -run 'Test(Mutants|Replay)$$' ./internal/mutants -mutants.all

cover: ## statements covered, by function
	go test -coverprofile=cover.out ./... && go tool cover -func=cover.out

tidy: ## go mod tidy in every module: a new dependency of the root is one of bench, too
	@git ls-files go.mod '*/go.mod' | while read -r mod; do (cd "$$(dirname "$$mod")" && go mod tidy) || exit; done

bench: ## the log beside its peers and the device; all of it with BENCHFLAGS=
	@cd bench && go run ./log $(BENCHFLAGS)

bench-kv: ## the key-value store beside its engines and its peers; at its usual size with BENCHFLAGS=
	@cd bench && go run ./kv $(BENCHFLAGS)

bench-snapshot: ## snapshots beside other stores and encoders; all of it with BENCHFLAGS=
	@cd bench && go run ./snapshot $(BENCHFLAGS)

bench-node: ## a whole node beside two others and a ceiling; at its usual size with BENCHFLAGS=
	@cd bench && go run ./node $(BENCHFLAGS)

bench-adapters: ## a Raft library's cluster on several logs; at its usual size with BENCHFLAGS=
	@cd bench && go run ./adapters $(BENCHFLAGS)

benchmarks: ## the Go benchmarks
	go test -run '^$$' -bench . -benchmem ./...

ci: ## all that CI runs
	@bash .ci/run

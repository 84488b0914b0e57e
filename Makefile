# The checks themselves are in .ci/run, which CI runs without make.
.DEFAULT_GOAL := help
.PHONY: help check test race lint fuzz cover bench ci

FUZZTIME ?= 10

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

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

cover: ## statements covered, by function
	go test -coverprofile=cover.out ./... && go tool cover -func=cover.out

bench: ## the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

ci: ## all that CI runs
	@bash .ci/run

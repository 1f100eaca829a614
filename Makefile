# tincan. `make` alone lists the targets; .ci/run is what CI runs.
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FUZZTIME ?= 10s
COUNT    ?= 5
OFFLINE  ?= fail
GOBUILD   = CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-X github.com/tincan-ipc/tincan/internal/cli.version=$(VERSION)"
PLATFORMS = linux/amd64 linux/arm64 windows/amd64 darwin/arm64 freebsd/amd64
RACE      = $(shell .ci/deps check race && echo -race)
tool      = $$(go -C $(CURDIR)/tools tool -n $(1))
.DEFAULT_GOAL := help
.PHONY: help build test lint fmt fmt-check interop interop-full fuzz soak bench cross wine vuln repro docs deps ci clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
build: ## the static command, bin/tincan
	$(GOBUILD) -o bin/ ./cmd/tincan
test: ## every test of every module, with the race detector
	go test $(RACE) -shuffle=on ./...
	go test -run 'Idle|SlowReader|Allocat|ManyPeers' . ./pattern ./service ./internal/cli # at full size, which the race detector forbids
	cd bench && go vet ./... && go test ./...
	@if .ci/deps check interop; then $(MAKE) --no-print-directory interop; else echo 'interop: NOT RUN' >&2; test -z "$$CI"; fi
interop: ## peers in C, Java, Python and Node, ZeroMQ's among them, socat, ncat, curl, openssl
	cd interop && go vet ./... && go test -count=1 ./...
interop-full: ## every setting of the ZeroMQ matrix, not one a row: a quarter of an hour
	cd interop && TINCAN_MATRIX=full go test -count=1 -timeout=60m -run TestMatrix .
lint: ## golangci-lint on every module, shellcheck
	@set -e; for m in . interop bench; do (set -x; cd $$m && $(call tool,golangci-lint) run); done
	shellcheck .ci/*
fmt: ## format all Go files (gofumpt)
	$(call tool,gofumpt) -w .
fmt-check: ## fail if a Go file is not formatted
	@bad=$$($(call tool,gofumpt) -l .); test -z "$$bad" || { echo "$$bad"; echo 'hint: make fmt'; exit 1; } >&2
fuzz: ## every fuzz target for FUZZTIME (10s)
	.ci/fuzz $(FUZZTIME)
soak: ## the tests COUNT times (5) over
	go test -race -shuffle=on -count=$(COUNT) -timeout 60m ./...
bench: ## the comparison with rivals, as a table and JSON
	cd bench && go run .
cross: ## build, vet and staticcheck for every platform
	@set -e; check=$(call tool,staticcheck); for p in $(PLATFORMS); do export CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/}; \
	echo $$p; go build ./... && go vet ./... && $$check ./...; done
wine: ## the Windows build under wine
	go test -count=1 -tags wine ./internal/winetest
vuln: ## known vulnerabilities in what we call (needs vuln.go.dev)
	.ci/vuln --offline=$(OFFLINE)
repro: build ## build again in another folder, compare
	.ci/repro '$(GOBUILD)' bin/tincan
docs: ## man pages and completions, under dist/
	rm -rf dist/man dist/completions && mkdir -p dist/man dist/completions
	go run ./cmd/tincan man dist/man
	@set -ex; for s in bash zsh fish powershell; do go run ./cmd/tincan completion $$s >dist/completions/tincan.$$s; done
deps: ## install what the tests need beside Go (Debian's packages)
	.ci/deps install
ci: ## what CI runs: deps, and all checks
	.ci/run
clean: ## remove what was built
	rm -rf bin dist

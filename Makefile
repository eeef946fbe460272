# Everything one does with Doorward from a clone. `make` alone lists it; CONTRIBUTING.md tells more.
#
# Whatever builds depends on a `deps-…` target: .cargo/config.toml links with mold, which therefore has to be there
# before the first cargo command, and a fresh machine lacks a few more tools.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# rustup puts cargo here; a shell that was open before does not know yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

TARGET := $(or $(CARGO_TARGET_DIR),target)
CONFIG ?= doorward.toml
# What `make bench` measures: `release` is what ships, `quick` is built in a fraction of the time.
PROFILE ?= release
# Further words for demo, the benches and fuzz: make bench ARGS='--quick --assert 1.10'
ARGS ?=

.PHONY: help demo run test check faults browser bench bench-revocation bench-limits instructions fuzz deps deps-demo deps-test deps-browser deps-bench

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: deps-demo ## build the gate and open it in front of an echo backend
	cargo build --locked --bin doorward
	exec $(TARGET)/debug/doorward demo $(ARGS)

run: deps-demo ## run the gate with CONFIG=doorward.toml
	cargo build --locked --profile quick --bin doorward
	exec $(TARGET)/quick/doorward run --config $(CONFIG)

test: deps-test ## everything that must hold: format, lints, instruction count, all tests
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	benches/instructions.sh
	@if command -v cargo-nextest >/dev/null; then set -x; cargo nextest run --locked; else set -x; cargo test --locked; fi

check: deps-demo ## the quick inner loop: format, lints, unit tests
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo test --locked --lib

faults: deps-test ## the stories that take long: replicas killed a hundred times, failovers, a minute without a store, ten thousand days of renewals
	cargo test --locked --lib simulation -- --ignored
	cargo test --locked --test story -- --ignored --nocapture --test-threads 1

browser: deps-browser ## pages and provider in a real browser; with DOORWARD_BIN=PATH a whole gate too (ARGS='-g NAME')
	cargo build --locked --example pages
	$(TARGET)/debug/examples/pages $(TARGET)/pages
	cd tests/browser && npm ci --no-audit --no-fund
	cd tests/browser && DOORWARD_PAGES=$(abspath $(TARGET)/pages) npx playwright test $(ARGS)

bench: deps-bench ## what the gate costs, beside bare Pingora, nginx and HAProxy
	cargo build --locked --profile $(PROFILE) --bin doorward --example bare --example backend
	exec python3 benches/compare.py --bin-dir $(TARGET)/$(PROFILE) --json $(TARGET)/bench.json $(ARGS)

bench-revocation: deps-test deps-bench ## how fast revocations reach three replicas, and 10 000 open sockets (ARGS=--quick)
	cargo build --locked --profile $(PROFILE) --bin doorward --example backend
	ulimit -n $$(ulimit -Hn) && exec python3 benches/revocation.py --bin-dir $(TARGET)/$(PROFILE) \
		--json $(TARGET)/bench-revocation.json $(ARGS)

bench-limits: deps-test deps-bench ## what a limit costs a request, and whether it holds over three replicas (ARGS='--quick --no-assert')
	cargo build --locked --profile $(PROFILE) --bin doorward --example backend
	ulimit -n $$(ulimit -Hn) && exec python3 benches/limits.py --bin-dir $(TARGET)/$(PROFILE) \
		--json $(TARGET)/bench-limits.json --assert $(ARGS)

instructions: deps-test ## instructions of one admission, held to the recorded figure (UPDATE=1 records)
	benches/instructions.sh

fuzz: deps-demo ## throw bad input at every parser: SECONDS_EACH=60 a target
	scripts/fuzz.sh $(ARGS)

deps: ## install the tools that every target needs, where apt-get is
	@scripts/deps.sh demo test browser bench

deps-demo deps-test deps-browser deps-bench:
	@scripts/deps.sh $(subst deps-,,$@)

.DEFAULT_GOAL := help
.PHONY: help run test check fmt lint doc tidy peers bench torture soak fuzz

NEXTEST := $(shell command -v cargo-nextest 2>/dev/null)
FUZZ_SECONDS ?= 60
SOAK_MINUTES ?= 60

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: ## the server with its embedded default: SQLite and ./gantry-data, on loopback
	cargo run --release --bin gantry -- serve

test: peers check ## installs the test peers, then all checks and all tests
ifeq ($(NEXTEST),)
	GANTRY_PEERS=$(CURDIR)/.peers cargo test --workspace
else
	GANTRY_PEERS=$(CURDIR)/.peers cargo nextest run --workspace --no-fail-fast
	cargo test --workspace --doc
endif

check: fmt lint doc tidy ## what a commit must pass before any test runs

fmt:
	cargo fmt --all --check

lint:
	cargo clippy --workspace --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

tidy:
	cargo test --workspace --test it -- tidy::

peers: ## DCMTK, Orthanc, strace, SeaweedFS and the peers in Python, JavaScript and Rust that tests talk to
	@tests/peers.sh

bench: ## side by side with Orthanc and DCMTK; the report is target/bench/report.md
	cargo build --release --bin gantry
	cargo bench --bench side_by_side
	cargo bench --bench micro

torture: ## kills the server at random while it routes 20,000 instances to three destinations, some of which are down
	GANTRY_PEERS=$(CURDIR)/.peers GANTRY_TORTURE_KILLS=200 GANTRY_TORTURE_INSTANCES=20000 \
	  cargo test --workspace --test it torture:: -- --nocapture

soak: ## valid and hostile peers for SOAK_MINUTES, in the end of which the server must hold what it held before
	GANTRY_PEERS=$(CURDIR)/.peers GANTRY_SOAK_SECONDS=$$(($(SOAK_MINUTES) * 60)) \
	  cargo test --workspace --test it soak:: -- --nocapture

fuzz: ## each fuzz target for FUZZ_SECONDS (needs a nightly toolchain and cargo-fuzz)
	@for target in $$(cargo +nightly fuzz list --fuzz-dir tests/fuzz); do \
	  cargo +nightly fuzz run --fuzz-dir tests/fuzz $$target -- -max_total_time=$(FUZZ_SECONDS) || exit 1; done

# Two commands do everything: `make demo` and `make test`. The rest is for those who work on cutover.
.DEFAULT_GOAL := help
CARGO ?= cargo

.PHONY: help demo test lint soak bench postgres programs

help:
	@echo 'make demo   a sandbox with everything real, and the cockpit on it'
	@echo 'make test   everything that CI runs'
	@echo 'make soak   what takes longer: more seeds, more kills, more rows'
	@echo 'make bench  the figures that README and docs quote, measured here'

demo: postgres
	$(CARGO) build --release --locked
	./target/release/cutover demo --speed 10

# More threads than cores: most tests wait for a server. Whole nights are played two at a time and beside nothing else: their minutes last a second.
test: postgres programs lint
	$(CARGO) test --locked -- --skip night --test-threads=4
	$(CARGO) test --locked --test it night -- --test-threads=2

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

soak: postgres programs
	CUTOVER_SOAK=1 $(CARGO) test --locked --release -- --test-threads=1

bench: postgres
	benches/run.sh

# PostgreSQL's server programs, which the demo and the tests start throwaway servers from; installed where they are missing.
postgres:
	@scripts/postgres-programs.sh

# What the tests of the probes ask beside PostgreSQL: a Prometheus server and PgBouncer; installed where they are missing.
programs:
	@scripts/watch-programs.sh

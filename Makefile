# Two commands do everything: `make demo` and `make test`. The rest is for those who work on cutover.
.DEFAULT_GOAL := help
CARGO ?= cargo

.PHONY: help demo test lint soak versions bench postgres programs foreign

help:
	@echo 'make demo   a sandbox with everything real, and the cockpit on it'
	@echo 'make test   everything that CI runs'
	@echo 'make soak   what takes longer: more seeds, more kills, more rows; with MINUTES=n only the seeds that follow the last ones'
	@echo 'make versions  what meets the target, on the oldest and on the newest PostgreSQL'
	@echo 'make bench  the figures that README and docs quote, measured here'

demo: postgres
	$(CARGO) build --release --locked
	./target/release/cutover demo --speed 10

# Clippy's driver is a compiler: what it builds is tested as it is, where `cargo clippy` beside `cargo test` compiles every dependency twice.
LINTED = RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS=-Dwarnings__CLIPPY_HACKERY__ $(CARGO)

# More threads than cores: most tests wait for a server. Whole nights are played two at a time and beside nothing else: their minutes last a second.
test: postgres programs foreign
	$(CARGO) fmt --check
	$(LINTED) test --locked --no-run --all-targets
	$(LINTED) test --locked -- --skip night --test-threads=4
	$(LINTED) test --locked --test it night -- --test-threads=2

# The same lints while one works, without tests.
lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

# The properties that go on from the seed at which the last soak ended.
STOPS = transfer::stops
SEEDED ?= $(foreach n,1 2 3 4,$(STOPS)::the_end_is_that_of_a_run_that_nothing_stopped_$(n)_of_4) $(STOPS)::a_server_that_dies_in_between_changes_nothing

# With MINUTES=n, only those properties, for so long altogether; without, everything that takes longer.
soak: postgres programs foreign
ifdef MINUTES
	for property in $(SEEDED); do \
	  CUTOVER_SOAK=1 CUTOVER_SOAK_SECONDS=$$((60 * $(MINUTES) / $(words $(SEEDED)))) \
	    $(CARGO) test --locked --release --test it -- $$property --exact --nocapture || exit 1; \
	done
else
	CUTOVER_SOAK=1 $(CARGO) test --locked --release -- --test-threads=1
endif

# What reads and writes the target, on other servers than this machine's.
versions: postgres
	for folder in $$(scripts/postgres-versions.sh); do \
	  $$folder/postgres --version; \
	  CUTOVER_POSTGRES_BIN=$$folder $(CARGO) test --locked --test it -- reports:: promise:: transfer:: parity:: target:: salvage:: --test-threads=4 || exit 1; \
	done

bench: postgres
	benches/run.sh

# PostgreSQL's server programs, which the demo and the tests start throwaway servers from; installed where they are missing.
postgres:
	@scripts/postgres-programs.sh

# What the tests of the probes ask beside PostgreSQL: a Prometheus server and PgBouncer; installed where they are missing.
programs:
	@scripts/watch-programs.sh

# What the applications run on that are not ours: Python, with the packages that they pin. Into target/foreign; Python itself where it is missing.
foreign:
	@scripts/foreign-programs.sh

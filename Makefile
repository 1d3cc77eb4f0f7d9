# Two commands do everything: `make demo` and `make test`. The rest is for those who work on cutover.
.DEFAULT_GOAL := help
CARGO ?= cargo

.PHONY: help demo test lint soak fuzz mutants versions browser bench dist postgres programs foreign

help:
	@echo 'make demo   a sandbox with everything real, and the cockpit on it'
	@echo 'make test   everything that CI runs'
	@echo 'make soak   what takes longer: more seeds, more kills, more rows; with MINUTES=n only the seeds that follow the last ones'
	@echo 'make fuzz   every fuzzer for MINUTES each (3), with TARGET=name one of them'
	@echo 'make mutants  mutants of the rules and of what holds them; SHARD=0/40 only every fortieth'
	@echo 'make versions  what meets the target, on the oldest and on the newest PostgreSQL'
	@echo 'make browser  the page of `cutover watch` in a real browser, while a night runs'
	@echo 'make bench  the figures that README and docs quote, measured here'
	@echo 'make dist   what a release consists of, into target/packages; docs/install.md says what each file is'

# As soon as it can be there, by a profile of its own; each part says what it is and what comes next.
BUILT = $(or $(CARGO_TARGET_DIR),target)/demo/cutover
demo:
	@echo 'make demo, 1 of 3: PostgreSQL server programs, which are installed if they are missing; next it compiles'
	@scripts/postgres-programs.sh
	@if [ -x $(BUILT) ]; then \
	  echo 'make demo, 2 of 3: compiling what has changed since the last time; next the sandbox starts'; \
	else \
	  echo "make demo, 2 of 3: compiling $$($(CARGO) tree --locked --edges normal,build --prefix none --format '{p}' | \
	    sed 's/ (\*)$$//' | sort -u | wc -l | tr -d ' ') crates, this once: about ten minutes on two cores, fewer on more; next the sandbox starts"; \
	fi
	$(CARGO) build --profile demo --locked
	@echo 'make demo, 3 of 3: the sandbox (application, traffic, PostgreSQL) and a rehearsal in it; next the cockpit opens, where ? explains every key'
	$(BUILT) demo --speed 10

# Clippy's driver is a compiler: what it builds is tested as it is, where `cargo clippy` beside `cargo test` compiles every dependency twice.
LINTED = RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS=-Dwarnings__CLIPPY_HACKERY__ $(CARGO)

# More threads than cores: most tests wait for a server. Whole nights are played two at a time and beside nothing else: their minutes last a second.
# Properties play the same cases each time, as those that have seeds do; a soak plays others.
test: export PROPTEST_RNG_SEED = 1
test: postgres programs foreign
	$(CARGO) fmt --check
	$(LINTED) test --locked --no-run --all-targets
	$(LINTED) test --locked -- --skip night --test-threads=6
	$(LINTED) test --locked --test it night -- --test-threads=2

# The same lints while one works, without tests.
lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

# The properties that go on from the seed at which the last soak ended.
STOPS = transfer::stops
ROLLBACKS = feed::rollbacks
SEEDED ?= $(foreach n,1 2 3 4,$(STOPS)::the_end_is_that_of_a_run_that_nothing_stopped_$(n)_of_4) $(STOPS)::a_server_that_dies_in_between_changes_nothing \
  $(ROLLBACKS)::every_write_that_was_acknowledged_is_in_sqlite_once \
  $(ROLLBACKS)::of_a_server_that_dies_everything_is_there_until_the_moment_that_is_named \
  $(ROLLBACKS)::of_a_link_that_is_cut_everything_is_there_until_the_moment_that_is_named \
  $(ROLLBACKS)::a_disk_without_room_loses_nothing_and_leaves_nothing_half \
  delta::property::a_delta_is_what_brute_force_finds \
  delta::ways::pages_and_rows_come_to_the_same_delta

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

# What others write and we read, with the inputs that are kept in fuzz/seeds. No sanitizer: the compiler is the stable one, and there is no `unsafe`.
TARGET ?= $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
fuzz:
	@$(CARGO) fuzz --version >/dev/null 2>&1 || $(CARGO) install cargo-fuzz --locked
	cd fuzz && for target in $(TARGET); do \
	  mkdir -p corpus/$$target && \
	  $(CARGO) fuzz run --sanitizer none --codegen-units 16 $$target corpus/$$target seeds/$$target -- \
	    -max_total_time=$$((60 * $(or $(MINUTES),3))) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 || exit 1; \
	done

# Each mutant is built, and tested by the tests that its module needs. Survivors are told.
mutants:
	@$(CARGO) mutants --version >/dev/null 2>&1 || $(CARGO) install cargo-mutants --locked
	scripts/mutants.sh $(SHARD)

# What reads and writes the target, on other servers than this machine's.
versions: postgres
	for folder in $$(scripts/postgres-versions.sh); do \
	  $$folder/postgres --version; \
	  CUTOVER_POSTGRES_BIN=$$folder $(CARGO) test --locked --test it -- reports:: promise:: transfer:: parity:: postgres:: salvage:: --test-threads=4 || exit 1; \
	done

# At the size of a desk and of a phone, light and dark; pictures of it lie in target/browser/pictures then.
browser: postgres
	@scripts/browser-programs.sh
	$(CARGO) build --profile demo --locked
	target/browser/bin/python scripts/watch-browser.py $(BUILT) target/browser/pictures

bench: postgres
	benches/run.sh

# A stripped program for an old glibc, in a tarball and in a .deb, with an SBOM and sums; the same bytes each time.
dist:
	scripts/dist.sh

# PostgreSQL's server programs, which the demo and the tests start throwaway servers from; installed where they are missing.
postgres:
	@scripts/postgres-programs.sh

# What the tests of the probes ask beside PostgreSQL: a Prometheus server and PgBouncer; installed where they are missing.
programs:
	@scripts/watch-programs.sh

# What the applications run on that are not ours: Python, with the packages that they pin. Into target/foreign; Python itself where it is missing.
foreign:
	@scripts/foreign-programs.sh

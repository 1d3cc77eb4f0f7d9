#!/bin/sh
# Mutants of the modules on which a night rests, each tested by what its module needs. The argument is a shard, such as 0/40; without one all are
# tried, which takes many hours. What is left alive is in target/mutants/*/mutants.out/missed.txt.
#
# The rules (session, trigger) are tried as a package of their own, in seconds each (rules-crate.sh); the others with the whole crate and the tests
# of tests/mutants.rs (.cargo/mutants.toml).
set -eu
shard=${1:-}
failed=0
out=$PWD/target/mutants
mkdir -p "$out"

# A shard holds mutants of all files.
mutants() {
  name=$1
  shift
  cargo mutants --output "$out/$name" ${shard:+--sharding round-robin --shard "$shard"} --no-shuffle "$@" || failed=1
}

scripts/rules-crate.sh "$out/crate"
(
  cd "$out/crate"
  mutants rules --in-place --minimum-test-timeout 120 --exclude-re 'impl (fmt::)?(Display|Debug) for' \
    --file 'src/session*' --file 'src/session/**' --file 'src/trigger*' --file 'src/trigger/**' -- --lib --test rules
  exit $failed
) || failed=1

export CUTOVER_NIGHTS=100
mutants resume --file 'src/engine/{resume,take_up,astray}.rs' -- -- astray:: simulator:: engine::
mutants ledger --file src/engine/ledger.rs -- -- simulator:: engine::
mutants fence --file 'src/sqlite/{fence,fence/held}.rs' -- -- sqlite::
mutants config_file --file src/action/config_file.rs -- -- action::
exit $failed

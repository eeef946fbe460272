#!/usr/bin/env bash
# Throw bad input at every parser that reads what a stranger sends.
#
#   scripts/fuzz.sh [TARGET…]           all of fuzz/fuzz_targets, or those named
#   SECONDS_EACH=900 scripts/fuzz.sh    longer; four targets make an hour of it
#
# Coverage-guided where cargo-fuzz and a nightly compiler are here. Otherwise the property tests run, on as many cases
# (CASES, by default 200 000 a property): they know the same truths and find them the slower way.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${SECONDS_EACH:-60}
cases=${CASES:-200000}

if command -v cargo-fuzz >/dev/null && rustup toolchain list 2>/dev/null | grep -q '^nightly' && [[ -d fuzz/fuzz_targets ]]; then
    targets=("$@")
    if [[ ${#targets[@]} -eq 0 ]]; then
        mapfile -t targets < <(basename -s .rs fuzz/fuzz_targets/*.rs)
    fi
    for target in "${targets[@]}"; do
        cargo +nightly fuzz run "$target" -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048
    done
else
    echo "Without cargo-fuzz and a nightly compiler: property tests, $cases cases each." >&2
    PROPTEST_CASES=$cases cargo test --locked --profile quick --lib properties
fi

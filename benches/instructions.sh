#!/usr/bin/env bash
# How many instructions our own share of a request takes, held to the figures in benches/instructions.txt.
#
#   benches/instructions.sh             fail when a case takes over 5 % more than recorded
#   UPDATE=1 benches/instructions.sh    record what is measured
#
# Time on a shared machine is noise; instructions under callgrind are the same on every run. Each case is run twice,
# with few and with many repetitions: the difference is what the repetitions cost, without start-up.
set -euo pipefail
cd "$(dirname "$0")/.."

few=1000
many=11000
allowed_percent=5
recorded=benches/instructions.txt
program=${CARGO_TARGET_DIR:-target}/debug/examples/instructions

main() {
    # Our crate optimised, as one codegen unit and without increments: what is inlined must not depend on yesterday's
    # build. Dependencies are those of the tests, unoptimised: the figures are for comparing with themselves only.
    CARGO_INCREMENTAL=0 cargo build --locked --quiet --example instructions \
        --config profile.dev.package.doorward.codegen-units=1 --config profile.dev.package.doorward.opt-level=3

    local case count failed=0 lines=()
    for case in $("$program"); do
        count=$(per_repetition "$case")
        lines+=("$case $count")
        [[ -n ${UPDATE:-} ]] || judge "$case" "$count" || failed=1
    done
    if [[ -n ${UPDATE:-} ]]; then
        printf '%s\n' "${lines[@]}" | tee "$recorded"
    fi
    return $failed
}

per_repetition() {
    local low high
    low=$(instructions "$1" $few)
    high=$(instructions "$1" $many)
    echo $(((high - low) / (many - few)))
}

instructions() {
    local log
    log=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1) ||
        { echo "$log" >&2; return 1; }
    sed -n 's/.*Collected : \([0-9]*\).*/\1/p' <<<"$log" | grep . || { echo "$log" >&2; return 1; }
}

judge() {
    local case=$1 count=$2 known
    known=$(awk -v case="$case" '$1 == case { print $2 }' "$recorded")
    if [[ -z $known ]]; then
        echo "$case: $count instructions, and $recorded has no figure for it: UPDATE=1 $0 records one" >&2
        return 1
    fi
    echo "$case: $count instructions, recorded $known"
    if ((count * 100 > known * (100 + allowed_percent))); then
        echo "$case became more than $allowed_percent % dearer. If that is worth it: UPDATE=1 $0" >&2
        return 1
    fi
    if ((count * 100 < known * (100 - allowed_percent))); then
        echo "$case became cheaper: record it, so that it stays so: UPDATE=1 $0"
    fi
}

main

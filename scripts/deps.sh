#!/usr/bin/env bash
# Make sure that the tools for the named purposes are here, and install what is missing through apt-get.
#
#   scripts/deps.sh demo|test|browser|bench…
#
# With nothing missing this costs a few `command -v` and no process: it stands before every build. Purposes build on
# each other: `test` needs what `demo` needs, and so do `browser` and `bench`.
set -euo pipefail

# command=package, as Debian and Ubuntu name them.
demo=(cc=gcc cmake=cmake make=make mold=mold)
test=(redis-server=redis-server node=nodejs npm=npm valgrind=valgrind openssl=openssl curl=curl)
browser=(node=nodejs npm=npm chromium=chromium redis-server=redis-server)
bench=(wrk=wrk nginx=nginx haproxy=haproxy openssl=openssl python3=python3)

main() {
    local purpose wanted=("${demo[@]}") missing=()
    for purpose in "$@"; do
        case "$purpose" in
            demo) ;;
            test) wanted+=("${test[@]}") ;;
            browser) wanted+=("${browser[@]}") ;;
            bench) wanted+=("${bench[@]}") ;;
            *) fail "deps.sh: unknown purpose '$purpose'; there are demo, test, browser and bench" ;;
        esac
    done

    # Debian keeps servers in sbin, which is not on everybody's PATH.
    PATH="$PATH:/usr/sbin:/sbin"
    for pair in "${wanted[@]}"; do
        command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    # A compiler without the C library's headers fails late, and with a riddle.
    [[ ! -e /etc/debian_version || -e /usr/include/stdio.h ]] || missing+=(libc6-dev)

    [[ ${#missing[@]} -eq 0 ]] || install_packages "${missing[@]}"
    require_cargo
    [[ " $* " != *" browser "* ]] || require_node
}

install_packages() {
    command -v apt-get >/dev/null ||
        fail "These are missing, and there is no apt-get to install them with: $*" \
             "(Debian's names). Please install them with your system's package manager, then run this again."
    [[ $EUID -eq 0 ]] || command -v sudo >/dev/null ||
        fail "These are missing, and installing them takes root: $*" \
             "Please run as root: apt-get install $*"

    echo "Installing what is missing: $*"
    refuse_service_starts
    retried as_root apt-get update -q
    retried as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

# Debian starts a server as soon as its package is installed, and a redis, nginx or haproxy that nobody asked for would
# sit on this machine's ports. Packages ask /usr/sbin/policy-rc.d first; 101 means "do not start". Ours stays only
# while we install, and a policy that is already there is the administrator's and stays as it is.
policy=/usr/sbin/policy-rc.d
refuse_service_starts() {
    [[ ! -e $policy ]] || return 0
    trap 'as_root rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
}

# rust-toolchain.toml names the exact compiler; only rustup reads it.
require_cargo() {
    command -v cargo >/dev/null ||
        fail "Rust is missing: there is no cargo on the PATH, nor in ~/.cargo/bin. Please install it from" \
             "https://rustup.rs, that is: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y" \
             "Then run this again."
    command -v rustup >/dev/null || require_new_enough_cargo
}

require_new_enough_cargo() {
    local wanted found
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    found=$(cargo --version | cut -d ' ' -f 2)
    [[ $(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1) == "$wanted" ]] ||
        fail "Rust $wanted or newer is needed, and this cargo is $found (without rustup, which would fetch the right" \
             "one). Please install rustup from https://rustup.rs, then run this again."
}

# Debian 12 has Node 18; Playwright and the OpenID provider of the browser tests want more.
require_node() {
    local major
    major=$(node --version | sed 's/^v\([0-9]*\).*/\1/')
    [[ $major -ge 20 ]] ||
        fail "Node 20 or newer is needed for the browser tests, and this one is $(node --version). Please install it from" \
             "https://nodejs.org/en/download, then run this again."
}

as_root() { if [[ $EUID -eq 0 ]]; then "$@"; else sudo "$@"; fi; }
retried() { "$@" || { sleep 3; "$@"; }; }
fail() { printf '%s\n' "$@" >&2; exit 1; }

cd "$(dirname "$0")/.."
main "$@"

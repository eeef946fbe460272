#!/usr/bin/env python3
"""What the gate costs: CPU, latency and memory of Doorward beside proxies that check nothing, and others that do.

    make bench                          # builds, then runs this; seven rounds, five seconds of each for each contestant
    make bench ARGS='--quick'           # three rounds of two seconds
    make bench ARGS='--assert 1.10'     # fails when the bearer route costs more than that against bare Pingora
    make bench ARGS='--only Doorward --revocations 100000'   # the same routes with so much on the list of revocations

One machine is never the same for two seconds, so absolute figures of two runs must not be compared. What can be
compared is the ratio to bare Pingora *of the same second, forwarding the same request*: contestants take turns of a tenth
of a second, each turn yields one ratio, and the table shows their median and quartiles. Whoever is sent a token or cookies
is compared with bare Pingora that is sent them too; what the longer request costs alone, its row shows.

CPU per request is user plus system time of the whole process tree, as the kernel counts it, divided by the requests
answered meanwhile. Everybody forwards to the same backend with the same number of threads, keeps connections alive on
both sides, and, bare Pingora apart, writes one access log line a request to a pipe, as in a container. Requests a second
and latencies are those of one load before the rounds, under which a contestant has the machine to itself.
"""

import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import contestants
from load import Failure, Load, Machine, in_turns, middle, ratios, stolen

BEARER = "Doorward bearer"


def main():
    args = arguments()
    # An interrupted run unwinds like a failed one: every process we started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("interrupted"))
    try:
        with tempfile.TemporaryDirectory(prefix="doorward-bench-") as scratch:
            with Machine(pathlib.Path(scratch), pin=args.pin) as machine:
                report = compare(args, machine)
    except (Failure, OSError, subprocess.CalledProcessError, KeyboardInterrupt) as failure:
        sys.exit(f"bench: {failure or 'interrupted'}")

    print_table(report)
    save(report, args.json)
    judge(report, args.limit)


def compare(args, machine):
    field, backend, left_out = contestants.line_up(machine, args.bin_dir, args.threads, args.only, args.revocations)
    print(f"{args.rounds} rounds of {args.seconds} s each, {args.connections} connections, {args.threads} thread(s) "
          f"a proxy, {os.cpu_count()} CPUs, {'pinned' if machine.pinned else 'not pinned'}")
    for reason in left_out:
        print(f"left out: {reason}")

    for one in field:
        one.start()
        one.prove()
        time.sleep(1)
        one.idle_kib = one.process.memory_kib()
        one.alone = load(one, args, machine, args.alone).result()

    stolen_before, ticks_before = stolen()
    for number in range(args.rounds):
        print(f"round {number + 1} of {args.rounds}", file=sys.stderr, flush=True)
        loads = [(one.process, load(one, args, machine, args.seconds * len(field))) for one in field]
        for one, cost in zip(field, in_turns(loads, backend)):
            one.turns += cost["turns"]
    for one in field:
        one.loaded_kib = one.process.memory_kib()
    stolen_after, ticks_after = stolen()
    lost = (stolen_after - stolen_before) / max(ticks_after - ticks_before, 1)
    return summary(args, field, left_out) | {"stolen": lost}


def load(one, args, machine, seconds):
    return Load(machine, one.url, one.headers, args.connections, seconds)


def summary(args, field, left_out):
    by_name = {one.name: one for one in field}
    rows = []
    for one in field:
        baseline = by_name[one.baseline]
        ratio = middle(ratios(one.turns, baseline.turns))
        cpu_us = statistics.median(turn for turn in one.turns if turn is not None)
        row = {"name": one.name, "ratio": ratio, "cpu_us": cpu_us}
        row |= one.alone | {"start_ms": one.start_ms, "idle_mib": one.idle_kib / 1024, "loaded_mib": one.loaded_kib / 1024}
        rows.append(row | {"turns": one.turns})
    settings = {key: getattr(args, key) for key in ("rounds", "seconds", "alone", "connections", "threads", "pin")}
    return {"settings": settings, "profile": args.bin_dir.name, "left_out": left_out, "contestants": rows}


def print_table(report):
    print()
    wide = max(len(row["name"]) for row in report["contestants"])
    print(f"{'':{wide}} {'CPU/request':>11} {'ratio to bare (quartiles)':>26} {'req/s':>7} {'p50':>9} {'p99':>9} "
          f"{'idle':>9} {'loaded':>9} {'start':>7}")
    for row in report["contestants"]:
        ratio = "{median:.3f} ({first:.3f}..{third:.3f})".format(**row["ratio"])
        print(f"{row['name']:{wide}} {row['cpu_us']:8.2f} us {ratio:>26} "
              f"{row['requests_per_second']:7.0f} {row['p50_ms']:6.2f} ms {row['p99_ms']:6.2f} ms "
              f"{row['idle_mib']:5.1f} MiB {row['loaded_mib']:5.1f} MiB {row['start_ms']:4.0f} ms")
    print("\nCPU and ratio: medians over the turns. req/s, p50, p99: with the machine to itself. idle: resident memory before "
          "the first load;\nstart: spawned until the first answer arrived, median of three.")
    if report["stolen"] > 0.05:
        print(f"The hypervisor gave {report['stolen']:.0%} of this machine's time to others meanwhile: expect spread.")


def save(report, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written to {path}")


def judge(report, limit):
    if limit is None:
        return
    ratio = next((row["ratio"]["median"] for row in report["contestants"] if row["name"] == BEARER), None)
    if ratio is None:
        sys.exit(f"bench: --assert needs the contestant '{BEARER}'")
    if ratio > limit:
        sys.exit(f"bench: {BEARER} costs {ratio:.3f} times bare Pingora; at most {limit:.2f} is allowed")
    print(f"{BEARER} costs {ratio:.3f} times bare Pingora: within {limit:.2f}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin-dir", type=pathlib.Path, default=pathlib.Path("target/release"), metavar="DIR",
                        help="where doorward and examples/ were built (%(default)s)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=5, help="of load for each contestant in each round, in turns")
    parser.add_argument("--alone", type=int, default=5, metavar="SECONDS", help="of load for each before the rounds")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1, help="of every proxy")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="contestants whose name has one of these words")
    parser.add_argument("--revocations", type=int, default=0, metavar="COUNT",
                        help="two rows more: bearer and cookies while COUNT of others are revoked")
    parser.add_argument("--quick", action="store_true", help="three rounds of two seconds")
    parser.add_argument("--no-pin", dest="pin", action="store_false",
                        help="let proxies, backend and load generator share all CPUs")
    parser.add_argument("--assert", type=float, dest="limit", metavar="RATIO",
                        help="fail when the bearer route's ratio is above this")
    parser.add_argument("--json", type=pathlib.Path, default=pathlib.Path("target/bench.json"), metavar="FILE")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.seconds, args.alone = 3, 2, 2
    return args


if __name__ == "__main__":
    main()

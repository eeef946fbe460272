#!/usr/bin/env python3
"""What a limit costs a request, what it asks of Redis, and whether it holds over three replicas.

    make bench-limits                           # nine rounds, then five floods of 2000 requests; fails when a
                                                # limit costs more than 3 % of CPU or 0.02 scripts a request
    make bench-limits ARGS='--assert 1.05'      # the same with another ratio of CPU
    make bench-limits ARGS='--quick --no-assert'        # three short pairs, two floods: too few to judge by
    make bench-limits ARGS='--users 1000 --no-assert'   # the same load from more, so each of them comes less often

First part. Three hundred callers ask one replica after the other on a route with a limit that nobody reaches, and on the same
route without one, in turns of a tenth of a second. Each turn yields one ratio of CPU per request; the median counts.
Commands are all that Redis has counted meanwhile, what replicas ask of it for other reasons included. What is asserted is
scripts: each is one command that a replica sends, and several callers' questions share one. With what scripts call there
are more, which is printed beside it and asserted nowhere: it is work for Redis, and no round trip. How often the store is
asked depends on how often a caller comes, so that is printed, too. The bound is for 50 000 requests a second of 1000 callers,
fifty a second of each: on two virtual CPUs that are about three hundred callers, for a route is asked half of the time.

Second part. One user sends 2000 requests at once over 2000 open connections to three replicas. At most
`burst + time x rate + max(2, rate x 1 s)` may be let through, the time from the first request until the last answer;
more ends the bench with 1. So does any answer but 200 and 429, and a gate that lets nobody through.
"""

import argparse
import asyncio
import json
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from fleet import HOST, REPLICAS, Fleet, Line, command_counts, token
from load import Failure, Load, Machine, first_answer, free_port, in_turns, middle, ratios, stolen
from sockets import raise_limits

FREE, LIMITED, STRICT = "/free/item", "/limited/item", "/strict/item"
# The limit that holds, a second, and how many at once.
RATE, BURST = 100 / 60, 20
# Nobody reaches "plenty": a refusal is cheaper than an answer, and would be another measurement.
ROUTES = f"""
[[limit]]
name  = "plenty"
key   = ["user"]
rate  = "1000/s"
burst = 1000

[[limit]]
name  = "strict"
key   = ["user"]
rate  = "100/min"
burst = {BURST}

[[route]]
path   = "/free/**"
access = "authenticated"
accept = ["bearer"]

[[route]]
path   = "/limited/**"
access = "authenticated"
accept = ["bearer"]
limits = ["plenty"]

[[route]]
path   = "/strict/**"
access = "authenticated"
accept = ["bearer"]
limits = ["strict"]
"""
# What a limit may cost where --assert is given: CPU against the route without, and scripts that replicas have Redis run.
MOST_RATIO, MOST_SCRIPTS = 1.03, 0.02
# Connections being opened before a flood.
OPENING = 100


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("interrupted"))
    try:
        with tempfile.TemporaryDirectory(prefix="doorward-bench-") as scratch:
            with Machine(pathlib.Path(scratch), pin=args.pin) as machine:
                report = measured(args, machine)
    except (Failure, OSError, EOFError, subprocess.CalledProcessError, KeyboardInterrupt) as failure:
        sys.exit(f"bench: {failure or 'interrupted'}")
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nwritten to {args.json}")
    wrong = [why for flood in report["floods"] for why in flood["wrong"]]
    if args.limit is not None:
        wrong += too_dear(report["cost"], args.limit)
    if wrong:
        sys.exit("bench: " + "; ".join(wrong))


def too_dear(cost, most_ratio):
    """What of the first part is above what is allowed."""
    wrong = []
    if cost["ratio"]["median"] > most_ratio:
        wrong.append(f"a limited route costs {cost['ratio']['median']:.3f} times the CPU of one without; at most {most_ratio:.2f} is "
                     "allowed")
    if cost["scripts_per_request"] >= MOST_SCRIPTS:
        wrong.append(f"Redis ran {cost['scripts_per_request']:.4f} scripts a request; less than {MOST_SCRIPTS} is allowed "
                     f"(a caller came {cost['caller_requests_per_second']:.1f} times a second)")
    return wrong


def measured(args, machine):
    bin_dir = args.bin_dir.resolve()
    raise_limits(args.requests)
    backend = free_port()
    started = machine.start("backend", [bin_dir / "examples/backend", f"127.0.0.1:{backend}", 1], machine.load_cpus)
    first_answer(started, backend, "/", {})
    fleet = Fleet(machine, bin_dir, [backend], args.threads, routes=ROUTES)
    stolen_before, ticks_before = stolen()
    report = {"profile": bin_dir.name, "users": args.users, "cost": cost(args, machine, fleet, backend)}
    stolen_after, ticks_after = stolen()
    lost = (stolen_after - stolen_before) / max(ticks_after - ticks_before, 1)
    if lost > 0.05:
        print(f"The hypervisor gave {lost:.0%} of this machine's time to others meanwhile: expect spread.")
    return report | {"stolen": lost, "floods": [asyncio.run(flood(args, fleet, n)) for n in range(args.floods)]}


def cost(args, machine, fleet, backend):
    """CPU per request with a limit against without, and what the limit asked of Redis."""
    script = callers(machine, args.users)
    print(f"{args.rounds} rounds of {args.seconds} s for each route, {args.users} callers, {args.connections} connections, "
          f"{REPLICAS} replicas with {args.threads} thread(s), {'pinned' if machine.pinned else 'not pinned'}")
    for gate in fleet.gates:
        for path in (FREE, LIMITED):
            prove(gate, path)
            load(args, machine, gate, path, args.warm_up, script).result()
    rounds = []
    for number in range(args.rounds):
        print(f"round {number + 1} of {args.rounds}", file=sys.stderr, flush=True)
        gate = fleet.gates[number % REPLICAS]
        counted = asyncio.run(command_counts(fleet.redis))
        # Nobody is always first.
        paths = (FREE, LIMITED) if number % 2 == 0 else (LIMITED, FREE)
        loads = [(gate.process, load(args, machine, gate, path, 2 * args.seconds, script)) for path in paths]
        costs = dict(zip(paths, in_turns(loads, backend)))
        commands = asyncio.run(command_counts(fleet.redis))
        rounds.append(costs | {"commands": {name: count - counted.get(name, 0) for name, count in commands.items()}})
    return summary(args, rounds)


def load(args, machine, gate, path, seconds, script):
    return Load(machine, f"http://127.0.0.1:{gate.port}{path}", {"Host": HOST}, args.connections, seconds, script)


def callers(machine, users):
    """The word to wrk to be so many users in turn."""
    bearers, script = machine.scratch / "bearers", machine.scratch / "callers.lua"
    bearers.write_text("".join(token(f"caller-{n}")[0] + "\n" for n in range(users)))
    script.write_text(f"""
local requests, at = {{}}, 0
function init()
    for bearer in io.lines("{bearers}") do
        requests[#requests + 1] = wrk.format("GET", nil, {{ Authorization = "Bearer " .. bearer }})
    end
end
function request()
    at = at % #requests + 1
    return requests[at]
end
""")
    return script


def prove(gate, path):
    """Known callers pass, nobody else does, and the limit is there where it should be."""
    status, head = asyncio.run(ask_once(gate, path, f"Authorization: Bearer {token('prover')[0]}\r\n"))
    if status != 200 or ("\r\nratelimit:" in head) != (path == LIMITED):
        raise Failure(f"{gate.process.name} answered {path} with {status} and\n{head}")
    status, _ = asyncio.run(ask_once(gate, path, ""))
    if status != 401:
        raise Failure(f"{gate.process.name} answered {path} with {status} to a caller without a token")


async def ask_once(gate, path, headers):
    line = Line(gate.port)
    status, _ = await line.ask(f"GET {path} HTTP/1.1\r\n{headers}")
    line.close()
    return status, line.head


def summary(args, rounds):
    ratio = middle([ratio for each in rounds for ratio in ratios(each[LIMITED]["turns"], each[FREE]["turns"])])
    requests = sum(each[LIMITED]["requests"] for each in rounds)
    scripts = sum(each["commands"].get("evalsha", 0) for each in rounds)
    figures = {"ratio": ratio,
               "scripts_per_request": scripts / requests,
               "commands_per_request": sum(sum(each["commands"].values()) for each in rounds) / requests,
               # half of the time it is the turn of the other route
               "caller_requests_per_second": requests / (2 * len(rounds) * args.seconds) / args.users}
    for name, path in (("without a limit", FREE), ("with one", LIMITED)):
        figures[name] = statistics.median(turn for each in rounds for turn in each[path]["turns"] if turn is not None)
        print(f"{name:15} {figures[name]:8.2f} us of CPU a request")
    print(f"ratio {ratio['median']:.3f} ({ratio['first']:.3f}..{ratio['third']:.3f}); Redis ran "
          f"{figures['scripts_per_request']:.4f} scripts a request (less than {MOST_SCRIPTS} is asserted), counted with the "
          f"commands they call {figures['commands_per_request']:.4f}; a caller came "
          f"{figures['caller_requests_per_second']:.1f} times a second")
    return figures | {"rounds": rounds}


async def flood(args, fleet, number):
    """As many requests of one user as connections, all at once."""
    lines = [Line(fleet.gates[n % REPLICAS].port) for n in range(args.requests)]
    for begin in range(0, len(lines), OPENING):
        await asyncio.gather(*(line.open() for line in lines[begin:begin + OPENING]))
    head = f"GET {STRICT} HTTP/1.1\r\nAuthorization: Bearer {token(f'flood-{number}')[0]}\r\n"
    began = time.monotonic()
    answers = await asyncio.gather(*(line.ask(head) for line in lines))
    took = time.monotonic() - began
    for line in lines:
        line.close()
    statuses = {}
    for status, _ in answers:
        statuses[status] = statuses.get(status, 0) + 1
    passed = statuses.get(200, 0)
    most = BURST + took * RATE + max(2, RATE)
    print(f"flood {number + 1}: {args.requests} requests at once over {REPLICAS} replicas, answered within "
          f"{took:.2f} s; let through {passed}, at most {most:.1f}")
    wrong = []
    if passed > most:
        wrong.append(f"flood {number + 1}: {passed} requests were let through, {most:.1f} are allowed")
    if passed == 0:
        wrong.append(f"flood {number + 1}: nobody was let through")
    if odd := {status: count for status, count in statuses.items() if status not in (200, 429)}:
        wrong.append(f"flood {number + 1}: answers that were neither 200 nor 429: {odd}")
    return {"seconds": took, "passed": passed, "allowed": most, "wrong": wrong}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin-dir", type=pathlib.Path, default=pathlib.Path("target/release"), metavar="DIR",
                        help="where doorward and examples/ were built (%(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="each with and without a limit, in turns (%(default)s)")
    parser.add_argument("--seconds", type=int, default=5, help="of load on each route in a round (%(default)s)")
    parser.add_argument("--warm-up", type=int, default=2, metavar="SECONDS")
    parser.add_argument("--users", type=int, default=300, help="who ask in turn (%(default)s)")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1, help="of every gate")
    parser.add_argument("--floods", type=int, default=5, help="each of another user (%(default)s)")
    parser.add_argument("--requests", type=int, default=2000, help="of one flood (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="three rounds of two seconds, two floods")
    parser.add_argument("--no-pin", dest="pin", action="store_false",
                        help="let gates, Redis, backend and load generator share all CPUs")
    parser.add_argument("--assert", type=float, dest="limit", metavar="RATIO", nargs="?", const=MOST_RATIO,
                        help="fail when the ratio of CPU per request is above this (%(const)s), or Redis runs "
                             f"{MOST_SCRIPTS} scripts a request")
    parser.add_argument("--no-assert", dest="limit", action="store_const", const=None)
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", default=pathlib.Path("target/bench-limits.json"))
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.seconds, args.floods = 3, 2, 2
    return args


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""How long a revoked credential is still accepted somewhere, and whether a receipt is true.

    make bench-revocation                       # 1000 revocations on three replicas, then 10 000 open WebSockets
    make bench-revocation ARGS='--quick'        # sixty, and three hundred
    make bench-revocation ARGS='--sockets 0'    # the first part alone
    make bench-revocation ARGS='--only-sockets --sockets 15000 --users 3000'     # ulimit -Hn is the bound

First part. Tokens, sessions and users are revoked at random moments, each through one of three replicas that share a
Redis, while others keep them busy. Each of them is tried on every replica all the time, from before the order until
well after all of them refuse it. Measured is from sending the order to having read the last replica's first refusal, so
it holds the order's own way, and up to two milliseconds between two tries. A request sent after a receipt that named
every replica as enforcing must never be accepted, nor one sent after any receipt to the replica that gave it: either
ends the bench with 1.

Second part. Sockets are opened through the replicas, their users revoked in a row, and each Close frame is timed. Ends
with 1 when a socket of a revoked user stays open, another one closes, or one took longer than a second.
"""

import argparse
import asyncio
import concurrent.futures
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import browser
import sockets
from fleet import HOST, REPLICAS, Fleet, Lines, Operator, histogram, token
from load import Failure, Machine, first_answer, free_port

KINDS = ("jti", "session", "user")
# Between two tries of one credential on one replica, and how long it is tried on after the receipt, seconds.
PAUSE = 0.002
AFTERWARDS = 0.1
# A revocation that is not in force by then never will be.
PATIENCE = 10


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("interrupted"))
    report, wrong = {}, []
    try:
        with tempfile.TemporaryDirectory(prefix="doorward-bench-") as scratch:
            with Machine(pathlib.Path(scratch), pin=False) as machine:
                if not args.only_sockets:
                    report["revocations"], found = credentials(args, machine)
                    wrong += found
            with Machine(pathlib.Path(scratch), pin=False) as machine:
                if args.sockets:
                    report["sockets"], found = sockets.bench(args, machine)
                    wrong += found
    except (Failure, OSError, EOFError, subprocess.CalledProcessError, KeyboardInterrupt) as failure:
        sys.exit(f"bench: {failure or 'interrupted'}")
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nwritten to {args.json}")
    if wrong:
        sys.exit("bench: " + "; ".join(wrong))


def credentials(args, machine):
    bin_dir = args.bin_dir.resolve()
    backend = free_port()
    started = machine.start("backend", [bin_dir / "examples/backend", f"127.0.0.1:{backend}", 1])
    first_answer(started, backend, "/", {})
    people = [f"person-{number}" for number in range(args.revocations) if KINDS[number % len(KINDS)] == "session"]
    fleet = Fleet(machine, bin_dir, [backend], args.threads, people)
    print(f"{args.revocations} revocations, {args.rate} a second, on {REPLICAS} replicas under {args.load} requests a "
          "second")
    print(f"{len(people)} people sign in", file=sys.stderr, flush=True)
    ports = [gate.port for gate in fleet.gates]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        signed_in = pool.map(lambda at: browser.sign_in(ports[at[0] % REPLICAS], at[1], HOST), enumerate(people))
        trial = Trial(fleet, list(signed_in))
    asyncio.run(trial.run(args))
    return trial.report()


class Trial:
    """What was revoked, and what came of it."""

    def __init__(self, fleet, signed_in):
        self.signed_in = signed_in
        self.lines = [Lines(gate.port) for gate in fleet.gates]
        self.operators = [Operator(gate.admin) for gate in fleet.gates]
        self.took, self.receipts, self.incomplete = [], [], 0
        self.accepted_late, self.accepted_here, self.odd = 0, 0, {}
        self.tries, self.others, self.others_refused = 0, 0, 0

    async def run(self, args):
        load = [asyncio.create_task(self.keep_busy(at, args.load / REPLICAS)) for at in range(REPLICAS)]
        moments = sorted(random.uniform(0, args.revocations / args.rate) for _ in range(args.revocations))
        began = time.monotonic()
        running = []
        for number, moment in enumerate(moments):
            await asyncio.sleep(began + moment - time.monotonic())
            running.append(asyncio.create_task(self.revoke(number)))
        await asyncio.gather(*running)
        for task in load:
            task.cancel()
        ended = await asyncio.gather(*load, return_exceptions=True)
        for failure in ended:
            if isinstance(failure, Exception):
                raise failure

    async def revoke(self, number):
        """One credential, from its last good moment to its last refusal."""
        kind, taker = KINDS[number % len(KINDS)], random.randrange(REPLICAS)
        if kind == "session":
            headers = self.signed_in[number // len(KINDS)]
            value = browser.session(headers)
        else:
            bearer, jti = token(f"user-{number}")
            headers, value = {"Authorization": f"Bearer {bearer}"}, jti if kind == "jti" else f"user-{number}"
        head = get(headers)
        for lines in self.lines:
            status, _ = await lines.ask(head)
            if status != 200:
                raise Failure(f"a good credential ({kind}) was answered with {status}")
        over = asyncio.Event()
        tried = [asyncio.create_task(self.try_on(lines, head, over, kind)) for lines in self.lines]
        ordered = time.monotonic()
        receipt = await self.operators[taker].revoke(kind, value)
        received = time.monotonic()
        await asyncio.sleep(AFTERWARDS)
        over.set()
        seen = await asyncio.gather(*tried)
        self.receipts.append(received - ordered)
        everywhere = receipt["replicas"]["pending"] == 0 and receipt["replicas"]["live"] == REPLICAS
        self.incomplete += not everywhere
        self.judge(seen, ordered, received, taker, everywhere)

    async def try_on(self, lines, head, over, what):
        """Every try: when it was sent, when it was answered, with what. Until it is over and was refused."""
        tries, refused, status = [], False, None
        end = time.monotonic() + PATIENCE
        while not (over.is_set() and refused):
            sent = time.monotonic()
            if sent > end:
                raise Failure(f"a revoked credential ({what}) is still answered with {status} after {PATIENCE} s")
            status, _ = await lines.ask(head)
            tries.append((sent, time.monotonic(), status))
            refused = refused or status == 401
            await asyncio.sleep(PAUSE)
        return tries

    def judge(self, seen, ordered, received, taker, everywhere):
        last = 0
        for at, tries in enumerate(seen):
            self.tries += len(tries)
            last = max(last, next(answered for _, answered, status in tries if status == 401))
            for sent, _, status in tries:
                if status not in (200, 401):
                    self.odd[status] = self.odd.get(status, 0) + 1
                if status == 200 and sent > received:
                    self.accepted_late += everywhere
                    self.accepted_here += at == taker
        self.took.append(last - ordered)

    async def keep_busy(self, at, rate):
        """Somebody else's requests, evenly; none of them may suffer."""
        if not rate:
            return
        heads = [get({"Authorization": f"Bearer {token(f'other-{at}-{n}')[0]}"}) for n in range(50)]
        due = time.monotonic()
        while True:
            for head in heads:
                due += 1 / rate
                await asyncio.sleep(max(0, due - time.monotonic()))
                status, _ = await self.lines[at].ask(head)
                self.others += 1
                self.others_refused += status != 200

    def report(self):
        reach = histogram("refused everywhere, after the order was sent", self.took)
        receipt = histogram("receipt with wait=all", self.receipts)
        print(f"\naccepted after a receipt for all: {self.accepted_late}; at the replica that gave a receipt: "
              f"{self.accepted_here}; of {self.tries} tries")
        print(f"receipts that had to leave replicas out: {self.incomplete}; others' requests: {self.others}, not 200: "
              f"{self.others_refused}; answers other than 200 and 401: {self.odd or 'none'}")
        wrong = []
        if self.accepted_late or self.accepted_here:
            wrong.append(f"{self.accepted_late + self.accepted_here} requests were accepted after a receipt")
        if self.others_refused:
            wrong.append(f"{self.others_refused} requests of others failed")
        if self.odd:
            wrong.append(f"answers that were neither 200 nor 401: {self.odd}")
        figures = {"reach_ms": reach, "receipt_ms": receipt, "accepted_after_receipt": self.accepted_late,
                   "accepted_here_after_receipt": self.accepted_here, "incomplete_receipts": self.incomplete,
                   "tries": self.tries, "others": self.others, "others_not_200": self.others_refused}
        return figures, wrong


def get(headers):
    return "GET /item HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin-dir", type=pathlib.Path, default=pathlib.Path("target/release"), metavar="DIR",
                        help="where doorward and examples/ were built (%(default)s)")
    parser.add_argument("--revocations", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=20, help="revocations a second, at random moments (%(default)s)")
    parser.add_argument("--load", type=float, default=600, help="requests of others a second (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of every gate")
    parser.add_argument("--sockets", type=int, default=10000, help="open WebSockets; 0 leaves them out (%(default)s)")
    parser.add_argument("--users", type=int, default=1000, help="of them to be revoked (%(default)s)")
    parser.add_argument("--only-sockets", action="store_true")
    parser.add_argument("--quick", action="store_true",
                        help="60 revocations, 300 sockets of which 30 users are revoked")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE",
                        default=pathlib.Path("target/bench-revocation.json"))
    args = parser.parse_args()
    if args.quick:
        args.revocations, args.sockets, args.users = 60, min(args.sockets, 300), min(args.users, 30)
    return args


if __name__ == "__main__":
    main()

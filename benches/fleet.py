"""Three replicas of Doorward behind one Redis, and small clients to talk to them with.

Everything runs on loopback. Callers come with HS256 tokens, because those are made here by the thousand, or as local
users who signed in.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import re
import time
import uuid

import browser
from load import Failure, find, first_answer, free_port

ISSUER = "https://issuer.bench.invalid"
AUDIENCE = "bench"
SIGNING = "a secret of the bench, 32 bytes or more"
OPERATOR = "an-operator-of-the-bench-32-characters"
REPLICAS = 3
# Everything is for whoever is known.
ROUTES = """
[[route]]
path = "/**"
access = "authenticated"
accept = ["bearer", "session"]
"""
# One name for all of them, as behind a balancer: a session of one is a session of all.
HOST = "localhost"


class Fleet:
    """Redis, three gates and what they need, each on a port of its own."""

    def __init__(self, machine, bin_dir, upstreams, threads, people=(), routes=ROUTES):
        os.environ["BENCH_SIGNING"] = SIGNING
        os.environ["DOORWARD_ADMIN_TOKEN"] = OPERATOR
        os.environ["DOORWARD_SECRET"] = base64.b64encode(os.urandom(32)).decode()
        os.environ.setdefault("DOORWARD_LOG", "warn")
        (machine.scratch / "users.toml").write_text(browser.users(["nobody", *people]))
        self.redis = start_redis(machine)
        names = [f"replica {n + 1}" for n in range(REPLICAS)]
        self.gates = [Gate(machine, bin_dir, name, self.redis, upstreams, threads, routes) for name in names]
        for gate in self.gates:
            gate.wait_until_ready()

    def memory_mib(self):
        return [gate.process.memory_kib() / 1024 for gate in self.gates]


class Gate:
    def __init__(self, machine, bin_dir, name, redis, upstreams, threads, routes):
        self.port, self.admin = free_port(), free_port()
        config = machine.scratch / f"{name.replace(' ', '-')}.toml"
        config.write_text(f"""
[server]
listen = ["127.0.0.1:{self.port}"]
public_url = "http://{HOST}"
threads = {threads}

[admin]
listen = "127.0.0.1:{self.admin}"

[store]
url = "redis://127.0.0.1:{redis}"
# not what is measured: on a machine that is short of time an answer may take long
timeout = "1s"

# everybody signs in from one address here
[[limit]]
name = "ip"
key = ["ip"]
rate = "10000/s"
burst = 100000

[[issuer]]
name = "bench"
issuer = "{ISSUER}"
secret = "env:BENCH_SIGNING"
audience = ["{AUDIENCE}"]
algorithms = ["HS256"]

{browser.TABLES}

[[upstream]]
name = "app"
urls = {json.dumps([f"http://127.0.0.1:{port}" for port in upstreams])}
{routes}""")
        self.process = machine.start(name, [bin_dir / "doorward", "run", "--config", config])

    def wait_until_ready(self, patience=30):
        end = time.monotonic() + patience
        while first_answer(self.process, self.admin, "/readyz", {}) != 200:
            if time.monotonic() > end:
                raise Failure(f"{self.process.name} is not ready after {patience} s")
            time.sleep(0.05)


class Line:
    """One kept-alive HTTP/1.1 connection: a question, its answer, the next question."""

    def __init__(self, port):
        self.port = port
        self.stream = None
        # Of the last answer, in lower case.
        self.head = ""

    async def open(self):
        self.stream = await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, head, body=b""):
        """The status and the body. `head`: request line and headers but Host and Content-Length, each with CRLF."""
        if self.stream is None:
            await self.open()
        reader, writer = self.stream
        writer.write(f"{head}Host: {HOST}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        self.head = answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = 0
        for line in answer.split("\r\n"):
            if line.startswith("content-length:"):
                length = int(line.split(":")[1])
        content = await reader.readexactly(length)
        if "connection: close" in answer:
            self.close()
        return int(answer.split()[1]), content

    def close(self):
        if self.stream:
            self.stream[1].close()
            self.stream = None


class Lines:
    """Connections to one port, taken and given back."""

    def __init__(self, port):
        self.port = port
        self.idle = []

    async def ask(self, head, body=b""):
        line = self.idle.pop() if self.idle else Line(self.port)
        answer = await line.ask(head, body)
        self.idle.append(line)
        return answer


class Operator:
    """Gives orders to the admin API of one replica."""

    def __init__(self, port):
        self.lines = Lines(port)

    async def revoke(self, kind, value, wait="all"):
        """The receipt. An order that is not in the log is no order for this bench."""
        head = (f"POST /api/v1/revocations?wait={wait}&timeout=5s HTTP/1.1\r\n"
                f"Authorization: Bearer {OPERATOR}\r\nContent-Type: application/json\r\n")
        # A line each: the admin listener ends every connection after a minute.
        self.lines.idle.clear()
        status, body = await self.lines.ask(head, json.dumps({"kind": kind, "value": value}).encode())
        if status != 201:
            raise Failure(f"an order to revoke was answered with {status}: {body.decode()}")
        return json.loads(body)


def start_redis(machine):
    program = find("redis-server")
    if program is None:
        raise Failure("redis-server is missing")
    port = free_port()
    command = [program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    # Beside what loads the gates: what it takes itself is not what they cost.
    process = machine.start("redis", command, machine.load_cpus)
    end = time.monotonic() + 10
    while True:
        process.must_live()
        try:
            asyncio.run(ping(port))
            return port
        except OSError:
            if time.monotonic() > end:
                raise Failure("redis-server does not answer") from None
            time.sleep(0.02)


async def ping(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"PING\r\n")
    said = await reader.readline()
    writer.close()
    if said != b"+PONG\r\n":
        raise OSError(said)


async def command_counts(port):
    """How often Redis ran which command so far, by its own count; a script's commands count beside the script."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"INFO commandstats\r\n")
    length = int((await reader.readline())[1:])
    told = (await reader.readexactly(length)).decode()
    writer.close()
    counts = re.findall(r"^cmdstat_([^:]+):calls=(\d+)", told, re.M)
    return {name: int(calls) for name, calls in counts if name != "info"}


def token(subject):
    """A token and its `jti`, good for an hour."""
    now, jti = int(time.time()), str(uuid.uuid4())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now - 2, "exp": now + 3600, "jti": jti}
    signed = ".".join(base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    mac = hmac.new(SIGNING.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64url(mac)}", jti


def base64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


# Upper ends of the rows of a histogram, milliseconds.
ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


def histogram(title, seconds):
    """How long things took, as a person reads it. The figures as a machine does."""
    took = sorted(one * 1000 for one in seconds)
    if not took:
        raise Failure(f"{title}: nothing was measured")
    print(f"\n{title} ({len(took)})")
    below = 0
    for end in (*ROWS, float("inf")):
        count = sum(below < one <= end or (below == 0 and one <= 0) for one in took)
        if count:
            label = f"<= {end} ms" if end != float("inf") else f" > {ROWS[-1]} ms"
            print(f"  {label:>10} {count:7}  {'#' * max(1, round(50 * count / len(took)))}")
        below = end
    figures = {name: took[min(len(took) - 1, int(len(took) * part))]
               for name, part in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1))}
    print("  " + ", ".join(f"{name} {figure:.1f} ms" for name, figure in figures.items()))
    return figures

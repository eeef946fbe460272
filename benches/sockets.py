"""Many open WebSockets, and what a revocation does to them: the second part of revocation.py.

Run by itself it is the backend of that part: `sockets.py PORT` accepts every handshake and says nothing more.
"""

import asyncio
import base64
import hashlib
import os
import resource
import struct
import sys
import time

from fleet import Fleet, Operator, histogram, token
from load import Failure, first_answer, free_port

# Ports of one address and of one backend: the kernel hands out some 28 000 for each pair.
PER_ADDRESS = 20000
# Handshakes and orders under way.
OPENING = 100
ORDERING = 16
# Bounds of what was promised, seconds.
LONGEST = 1.0
PATIENCE = 15


def bench(args, machine):
    raise_limits(args.sockets)
    ports = [free_port() for _ in range(-(-args.sockets // PER_ADDRESS))]
    for port in ports:
        started = machine.start(f"sockets {port}", [sys.executable, os.path.abspath(__file__), port])
        first_answer(started, port, "/", {})
    fleet = Fleet(machine, args.bin_dir.resolve(), ports, args.threads)
    return asyncio.run(cut(args, fleet))


def raise_limits(sockets):
    """A file a socket here and in the backend, two in a gate that holds a third of them; children inherit it."""
    wanted = sockets + 2000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise Failure(f"{sockets} sockets take {wanted} open files, and the hard limit is {hard} (ulimit -Hn); "
                      "fewer with --sockets")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def cut(args, fleet):
    names = [f"holder-{n}" for n in range(max(min(2 * args.users, args.sockets), args.sockets // 2))]
    revoked = names[:args.users]
    bearers = {name: token(name)[0] for name in names}
    idle = fleet.memory_mib()
    print(f"\n{args.sockets} WebSockets of {len(names)} users on {len(fleet.gates)} replicas; {len(revoked)} users "
          "are revoked")
    began = time.monotonic()
    held = await open_all(args.sockets, fleet, names, bearers)
    print(f"opened within {time.monotonic() - began:.1f} s")
    loaded = fleet.memory_mib()

    orders = dict(zip(revoked, await order_all(fleet, revoked)))
    theirs = [socket for socket in held if socket.user in orders]
    end = time.monotonic() + PATIENCE
    while any(socket.closed is None for socket in theirs) and time.monotonic() < end:
        await asyncio.sleep(0.05)
    # Whoever would be closed by mistake gets the time for it.
    await asyncio.sleep(0.5)
    after = fleet.memory_mib()

    stayed = sum(socket.closed is None for socket in theirs)
    others = [socket for socket in held if socket.user not in orders]
    lost = sum(socket.closed is not None or socket.gone for socket in others)
    closed = [socket for socket in theirs if socket.closed is not None]
    codes = {}
    for socket in closed:
        codes[socket.said] = codes.get(socket.said, 0) + 1
    whole = histogram("closed, after the order was sent", [one.closed - orders[one.user][0] for one in closed])
    known = histogram("closed, after every replica knew", [max(0, one.closed - orders[one.user][1]) for one in closed])
    print(f"\nclosed with: {codes}\nof the revoked still open: {stayed} of {len(theirs)}; "
          f"of others closed: {lost} of {len(others)}")
    for name, sizes in (("before", idle), ("with all of them", loaded), ("after", after)):
        print(f"resident memory {name + ':':17} " + ", ".join(f"{size:.1f} MiB" for size in sizes))
    for socket in held:
        socket.transport.abort()
    wrong = []
    if stayed:
        wrong.append(f"{stayed} sockets of revoked users stayed open")
    if lost:
        wrong.append(f"{lost} sockets of others were closed")
    if whole["max"] > LONGEST * 1000:
        wrong.append(f"a socket took {whole['max']:.0f} ms to close")
    figures = {"sockets": len(held), "theirs": len(theirs), "closed_ms": whole, "closed_after_known_ms": known,
               "stayed": stayed, "others_closed": lost, "memory_mib": {"before": idle, "open": loaded, "after": after}}
    return figures, wrong


async def open_all(count, fleet, names, bearers):
    turn = asyncio.Semaphore(OPENING)
    loop = asyncio.get_running_loop()

    async def open_one(number):
        user, gate = names[number % len(names)], fleet.gates[number % len(fleet.gates)]
        async with turn:
            socket = Socket(user, gate.port, bearers[user])
            source = (f"127.0.0.{1 + number // PER_ADDRESS}", 0)
            await loop.create_connection(lambda: socket, "127.0.0.1", gate.port, local_addr=source)
            await asyncio.wait_for(socket.opened, 30)
        return socket

    return await asyncio.gather(*(open_one(number) for number in range(count)))


async def order_all(fleet, users):
    """When each order was sent, and when all replicas were known to enforce it."""
    turn = asyncio.Semaphore(ORDERING)
    operators = [Operator(gate.admin) for gate in fleet.gates]

    async def order(number, user):
        async with turn:
            sent = time.monotonic()
            await operators[number % len(operators)].revoke("user", user)
            return sent, time.monotonic()

    return await asyncio.gather(*(order(number, user) for number, user in enumerate(users)))


class Socket(asyncio.Protocol):
    """One WebSocket that listens for the Close frame."""

    def __init__(self, user, port, bearer):
        self.user, self.port, self.bearer = user, port, bearer
        self.opened = asyncio.get_running_loop().create_future()
        self.closed, self.said, self.gone = None, None, False
        self.transport, self.heard = None, b""

    def connection_made(self, transport):
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write((f"GET /socket HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.bearer}\r\n"
                         "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                         f"Sec-WebSocket-Key: {key}\r\n\r\n").encode())
        self.bearer = None

    def data_received(self, data):
        self.heard += data
        if not self.opened.done():
            head, found, rest = self.heard.partition(b"\r\n\r\n")
            if not found:
                return
            self.heard = rest
            if b" 101 " not in head.split(b"\r\n")[0]:
                said = head.decode("latin-1").splitlines()[0]
                self.opened.set_exception(Failure(f"a handshake was answered with {said}"))
                return
            self.opened.set_result(None)
        # The backend says nothing, so the first frame is the gate's Close; from a server it is not masked.
        if self.closed is None and len(self.heard) >= 4 and self.heard[0] == 0x88:
            length = self.heard[1]
            if len(self.heard) >= 2 + length:
                self.closed = time.monotonic()
                reason = self.heard[4:2 + length].decode(errors="replace")
                self.said = f"{struct.unpack('!H', self.heard[2:4])[0]} {reason}"

    def connection_lost(self, _):
        self.gone = True
        if not self.opened.done():
            self.opened.set_exception(Failure("a connection was closed during the handshake"))


class Mute(asyncio.Protocol):
    """The backend's side of one: accepts, then listens for ever."""

    def connection_made(self, transport):
        self.transport, self.heard = transport, b""

    def data_received(self, data):
        if self.heard is None:
            return
        self.heard += data
        head, found, _ = self.heard.partition(b"\r\n\r\n")
        if not found:
            return
        lines = (line.partition(b":") for line in head.split(b"\r\n"))
        key = next((value.strip() for name, _, value in lines if name.lower() == b"sec-websocket-key"), None)
        if key is None:
            self.heard = b""
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return
        self.heard = None
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        self.transport.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                             b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")


async def serve(port):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Mute, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))

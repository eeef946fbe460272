"""Processes that are measured, and the load they are measured under."""

import ctypes
import http.client
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import time

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)
# Bytes of what a program printed last.
KEPT = 64 << 10
# Of a load among others, and until what it left under way is done, in seconds.
TURN, SETTLE = 0.1, 0.005


class Failure(Exception):
    """The bench could not be run, or what it ran would not have been a measurement."""


class Machine:
    """Owns every process of a run: whatever happens, leaving it ends them all, by their ids."""

    def __init__(self, scratch, pin):
        self.scratch = scratch
        self.processes = []
        cpus = sorted(os.sched_getaffinity(0))
        # The proxy under test alone on one side, load generator and backend on the other: a scheduler that moves them
        # about is the greatest noise in such a measurement.
        self.pinned = pin and len(cpus) >= 2
        half = len(cpus) // 2
        self.proxy_cpus, self.load_cpus = (cpus[:half], cpus[half:]) if self.pinned else (cpus, cpus)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.end()

    def start(self, name, command, cpus=None):
        process = Process(name, command, self.scratch, self, cpus or self.proxy_cpus)
        self.processes.append(process)
        return process


class Process:
    """One program with its children. What it prints is read by another, as a container runtime does; the last of it is
    kept."""

    def __init__(self, name, command, scratch, machine, cpus):
        self.name = name
        self.output = scratch / f"{name.replace(' ', '-')}.log"

        def before_exec(cpus):
            os.sched_setaffinity(0, cpus)
            # Even a bench that is killed outright leaves nothing behind.
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        with open(self.output, "wb") as output:
            self.reader = subprocess.Popen(["tail", "-c", str(KEPT)], stdin=subprocess.PIPE, stdout=output,
                                           preexec_fn=lambda: before_exec(machine.load_cpus))
        self.child = subprocess.Popen([str(word) for word in command], cwd=scratch, stdin=subprocess.DEVNULL,
                                      stdout=self.reader.stdin, stderr=self.reader.stdin, start_new_session=True,
                                      preexec_fn=lambda: before_exec(cpus))
        # It ends with the last who can write to it.
        self.reader.stdin.close()

    def end(self):
        if self.child.poll() is None:
            self.child.terminate()
        try:
            self.child.wait(3)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self):
        if self.child.poll() is None:
            # The group is ours alone, and its id cannot have been reused while its leader is not yet waited for.
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()

    def must_live(self):
        if self.child.poll() is not None:
            self.reader.wait(3)
            last = self.output.read_text(errors="replace").splitlines()[-15:]
            raise Failure("\n".join([f"{self.name} ended with exit code {self.child.returncode}:", *last]))

    def cpu_seconds(self):
        """User and system time so far, of all threads and of all children; to the microsecond, where ticks are ten
        milliseconds."""
        self.must_live()
        nanoseconds = 0
        for pid in self._tree():
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/schedstat") as ran:
                    nanoseconds += int(ran.read().split()[0])
        return nanoseconds / 1e9

    def memory_kib(self):
        """Resident memory of the whole tree; pages that processes share count in each."""
        self.must_live()
        total = 0
        for pid in self._tree():
            with open(f"/proc/{pid}/status") as status:
                total += sum(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
        return total

    def _tree(self):
        found, waiting = [], [self.child.pid]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/children") as children:
                    waiting += [int(child) for child in children.read().split()]
        return found


class Load:
    """wrk on one URL: it begins at once, and ends by itself after so many seconds. An answer that is no 2xx voids it.

    `script`, in Lua, decides what each request is."""

    def __init__(self, machine, url, headers, connections, seconds, script=None):
        self.url = url
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
        for name, value in headers.items():
            command += ["-H", f"{name}: {value}"]
        if script:
            command += ["-s", str(script)]

        def before_exec():
            os.sched_setaffinity(0, machine.load_cpus)
            # One that is held would wait for ever for a bench that was killed.
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        self.child = subprocess.Popen([*command, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                      preexec_fn=before_exec)

    def runs(self):
        return self.child.poll() is None

    def hold(self):
        self.child.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.child.send_signal(signal.SIGCONT)

    def result(self):
        """Requests answered, their rate and latencies; those say nothing of a load that was held."""
        printed, complaints = self.child.communicate()
        requests = re.search(r"(\d+) requests in", printed)
        if self.child.returncode != 0 or not requests or int(requests[1]) == 0:
            raise Failure(f"wrk {self.url} failed:\n{printed}{complaints}")
        for trouble in ("Non-2xx", "Socket errors"):
            if trouble in printed:
                raise Failure(f"{self.url}: {next(line for line in printed.splitlines() if trouble in line).strip()}")
        return {
            "requests": int(requests[1]),
            "requests_per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", printed)[1]),
            "p50_ms": milliseconds(re.search(r"^ +50% +(\S+)", printed, re.M)[1]),
            "p99_ms": milliseconds(re.search(r"^ +99% +(\S+)", printed, re.M)[1]),
        }


def in_turns(loads, backend):
    """Pairs of a process and the load on it, one of them at a time for a tenth of a second, until all have ended. For each
    the microseconds of CPU that a request cost its process in each turn, and all requests that `backend`, on that port,
    has answered for it.

    A shared machine is faster in one second and slower in the next: what is compared has to happen in the same."""
    counter = http.client.HTTPConnection("127.0.0.1", backend)
    costs = [{"requests": 0, "turns": []} for _ in loads]
    for _, load in loads:
        load.hold()
    while all(load.runs() for _, load in loads):
        for cost, (process, load) in zip(costs, loads):
            spent, answered = process.cpu_seconds(), served(counter)
            load.go_on()
            time.sleep(TURN)
            load.hold()
            time.sleep(SETTLE)
            spent, answered = process.cpu_seconds() - spent, served(counter) - answered
            cost["requests"] += answered
            # Nothing is answered in the turn in which the load ends.
            cost["turns"].append(spent / answered * 1e6 if answered else None)
    for _, load in loads:
        load.go_on()
        load.result()
    return costs


def served(counter):
    counter.request("GET", "/served")
    return int(counter.getresponse().read())


def ratios(turns, baseline):
    """What each turn cost against the one of `baseline` beside it."""
    return [own / bare for own, bare in zip(turns, baseline) if own is not None and bare is not None]


def middle(figures):
    """Median and quartiles."""
    first, median, third = statistics.quantiles(figures, n=4)
    return {"median": median, "first": first, "third": third}


def milliseconds(typed):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", typed).groups()
    return float(number) * {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}[unit]


def stolen():
    """CPU time so far that a hypervisor gave to others, and all CPU time, in ticks."""
    with open("/proc/stat") as stat:
        ticks = [int(field) for field in stat.readline().split()[1:9]]
    return ticks[7], sum(ticks)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def first_answer(process, port, path, headers, deadline=20):
    """Ask again and again until there is an answer; its status."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{lines}Connection: close\r\n\r\n".encode()
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        process.must_live()
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as stream:
                stream.sendall(request)
                answer = stream.recv(4096)
                if answer.startswith(b"HTTP/1.1 "):
                    return int(answer.split()[1])
        except OSError:
            pass
        time.sleep(0.001)
    raise Failure(f"{process.name} did not answer on port {port} within {deadline} s")


def find(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")

"""Who takes part in the comparison, and how each is configured.

Each forwards to the same backend over kept-alive connections, and all but bare Pingora write a line a request to their
standard output, which is a pipe. Who checks tokens checks the same one: RS256, issuer, audience and expiry. The
cookies are those of a local user who signed in.
"""

import asyncio
import json
import os
import statistics
import time

import browser
import fleet
import tokens
from load import Failure, find, first_answer, free_port

ISSUER = "https://issuer.bench.invalid"
AUDIENCE = "bench"
BARE = "bare Pingora"
# The same, asked for the same with the same token as those who check it: a longer request costs everybody.
BARE_TOKEN = "bare, with token"
BARE_COOKIES = "bare, with cookies"


class Contestant:
    """One proxy, on a port of its own; turns collects what was measured.

    `prepare` is called when it runs for good, and may give it the headers it is then asked with. `baseline` names bare
    Pingora asked the same way.
    """

    def __init__(self, machine, name, command, path="/public/item", headers=None, port=None, checks=True,
                 baseline=None, prepare=None):
        self.machine = machine
        self.name = name
        self.command = command
        self.port = port
        self.path = path
        self.headers = headers or {}
        self.checks = checks
        self.baseline = baseline or (BARE_TOKEN if headers and checks else BARE)
        self.prepare = prepare
        self.turns = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}{self.path}"

    def start(self, times=3):
        """Starts it for good; the starts before only count towards the time a start takes."""
        took = []
        for left in reversed(range(times)):
            began = time.monotonic()
            self.process = self.machine.start(self.name, self.command)
            first_answer(self.process, self.port, self.path, self.headers)
            took.append((time.monotonic() - began) * 1000)
            if left:
                self.process.kill()
        self.start_ms = statistics.median(took)
        if self.prepare:
            self.prepare(self)

    def prove(self):
        """A proxy that refuses everybody, or checks nobody, would make a fine figure."""
        status = first_answer(self.process, self.port, self.path, self.headers)
        if status != 200:
            raise Failure(f"{self.name} answered {status}, not 200")
        if self.headers and self.checks:
            for headers in ({}, forged(self.headers)):
                status = first_answer(self.process, self.port, self.path, headers)
                if status not in (401, 403):
                    raise Failure(f"{self.name} answered {status} to a caller without a valid token")


def forged(headers):
    """The same credential with another signature; nothing else that could be taken in its place."""
    if "Authorization" in headers:
        return {"Authorization": tokens.forged(headers["Authorization"])}
    return {"Cookie": "doorward=" + tokens.forged(browser.access_token(headers))}


def line_up(machine, bin_dir, threads, only, revocations=0):
    """Every contestant there is a program for, and why others are left out."""
    bin_dir = bin_dir.resolve()
    backend = free_port()
    started = machine.start("backend", [bin_dir / "examples/backend", f"127.0.0.1:{backend}", 1], machine.load_cpus)
    first_answer(started, backend, "/", {})
    key = tokens.make_key(machine.scratch)
    bearer = {"Authorization": "Bearer " + tokens.sign(machine.scratch, key, ISSUER, AUDIENCE)}

    field = [bare(machine, BARE, bin_dir, backend, threads), bare(machine, BARE_TOKEN, bin_dir, backend, threads, bearer)]
    left_out = []
    ours = [doorward_public, doorward_bearer, doorward_cookies]
    if revocations:
        ours += [with_revocations(doorward_bearer, revocations), with_revocations(doorward_cookies, revocations)]
    for program, builders in (
        (bin_dir / "doorward", ours),
        (find("nginx"), (nginx,)),
        (find("haproxy"), (haproxy_plain, haproxy_jwt)),
        (find("envoy"), (envoy_jwt,)),
    ):
        if program is None or not os.path.exists(program):
            name = program.name if program else builders[0].__name__.partition("_")[0]
            left_out.append(f"{name}: not found")
            continue
        field += [build(machine, program, backend, threads, bearer) for build in builders]
    field = [one for one in field if chosen(one.name, only)]
    signed_in = next((one for one in field if one.baseline == BARE_COOKIES), None)
    if signed_in:
        # After the one it is sent the cookies of: they are not known before that has started.
        same = bare(machine, BARE_COOKIES, bin_dir, backend, threads)
        same.prepare = lambda one: one.headers.update(signed_in.headers)
        field.insert(field.index(signed_in) + 1, same)
    return field, backend, left_out


def chosen(name, only):
    return not only or name in (BARE, BARE_TOKEN) or any(word.lower() in name.lower() for word in only)


def bare(machine, name, bin_dir, backend, threads, headers=None):
    port = free_port()
    return Contestant(machine, name, [bin_dir / "examples/bare", f"127.0.0.1:{port}", f"127.0.0.1:{backend}", threads],
                      headers=headers, port=port, checks=False)


def doorward_public(machine, program, backend, threads, _bearer):
    return doorward(machine, "Doorward public", program, backend, threads, "/public/item", None)


def doorward_bearer(machine, program, backend, threads, bearer, name="Doorward bearer", **more):
    return doorward(machine, name, program, backend, threads, "/api/item", bearer, **more)


def doorward_cookies(machine, program, backend, threads, _bearer, name="Doorward cookies", prepare=None, **more):
    def sign_in(one):
        one.headers.update(browser.sign_in(one.port, "ada"))
        if prepare:
            prepare(one)

    (machine.scratch / "users.toml").write_text(browser.users(["ada"]))
    one = doorward(machine, name, program, backend, threads, "/app/item", None, prepare=sign_in, **more)
    one.baseline = BARE_COOKIES
    return one


def with_revocations(builder, count):
    """The same route while so many tokens, sessions and users of others are revoked."""
    def build(*args):
        admin = free_port()
        os.environ["BENCH_OPERATOR"] = fleet.OPERATOR
        plain = "Doorward bearer" if builder is doorward_bearer else "Doorward cookies"
        return builder(*args, name=f"{plain}, {count} revoked", admin=admin, operator='token = "env:BENCH_OPERATOR"',
                       prepare=lambda one: asyncio.run(revoke(admin, count)))
    return build


async def revoke(admin, count, at_once=16):
    """Through the admin API, a third of each kind."""
    operator, left = fleet.Operator(admin), iter(range(count))

    async def one_by_one():
        for number in left:
            await operator.revoke(("jti", "session", "user")[number % 3], f"nobody-{number}", wait="none")

    await asyncio.gather(*(one_by_one() for _ in range(at_once)))


def doorward(machine, name, program, backend, threads, path, headers, admin=None, operator="", prepare=None):
    port = free_port()
    config = written(machine, name, ".toml", f"""
[server]
listen = ["127.0.0.1:{port}"]
public_url = "http://127.0.0.1:{port}"
threads = {threads}

[admin]
listen = "127.0.0.1:{admin or free_port()}"
{operator}
{browser.TABLES if path.startswith("/app") else ""}
[[issuer]]
name = "bench"
issuer = "{ISSUER}"
jwks_file = "jwks.json"
audience = ["{AUDIENCE}"]
algorithms = ["RS256"]

[[upstream]]
name = "app"
url = "http://127.0.0.1:{backend}"

[[route]]
path = "/public/**"
access = "public"

[[route]]
path = "/api/**"
access = "authenticated"
accept = ["bearer"]

[[route]]
path = "/app/**"
access = "authenticated"
accept = [{'"session"' if path.startswith("/app") else '"bearer"'}]
""")
    return Contestant(machine, name, [program, "run", "--config", config], path, headers, port, prepare=prepare)


def nginx(machine, program, backend, threads, _bearer):
    port = free_port()
    # The temporary paths default to places that only root may write.
    config = written(machine, "nginx plain", ".conf", f"""
daemon off;
worker_processes {threads};
pid {machine.scratch}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    access_log /dev/stdout combined;
    client_body_temp_path {machine.scratch}/nginx-body;
    proxy_temp_path {machine.scratch}/nginx-proxy;
    fastcgi_temp_path {machine.scratch}/nginx-fastcgi;
    uwsgi_temp_path {machine.scratch}/nginx-uwsgi;
    scgi_temp_path {machine.scratch}/nginx-scgi;
    keepalive_requests 1000000000;
    upstream app {{
        server 127.0.0.1:{backend};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
        }}
    }}
}}
""")
    return Contestant(machine, "nginx plain", [program, "-p", machine.scratch, "-c", config], port=port)


def haproxy_plain(machine, program, backend, threads, _bearer):
    return haproxy(machine, "HAProxy plain", program, backend, threads, "", None)


def haproxy_jwt(machine, program, backend, threads, bearer):
    return haproxy(machine, "HAProxy jwt_verify", program, backend, threads, f"""
    http-request set-var(txn.bearer) http_auth_bearer
    http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_header_query('$.alg') -m str RS256 }}
    http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_payload_query('$.iss') -m str {ISSUER} }}
    http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_payload_query('$.aud') -m str {AUDIENCE} }}
    http-request set-var(txn.expires) var(txn.bearer),jwt_payload_query('$.exp','int')
    http-request set-var(txn.now) date()
    http-request deny deny_status 401 if {{ var(txn.expires),sub(txn.now) -m int lt 0 }}
    http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_verify("RS256","{machine.scratch}/public.pem") -m int 1 }}
""", bearer)


def haproxy(machine, name, program, backend, threads, rules, headers):
    port = free_port()
    config = written(machine, name, ".cfg", f"""
global
    nbthread {threads}
    maxconn 4096
    log stdout format raw local0
defaults
    mode http
    log global
    option httplog
    timeout connect 2s
    timeout client 65s
    timeout server 60s
    http-reuse always
frontend main
    bind 127.0.0.1:{port}
{rules}
    default_backend app
backend app
    server app 127.0.0.1:{backend}
""")
    path = "/api/item" if headers else "/public/item"
    return Contestant(machine, name, [program, "-db", "-f", config], path, headers, port)


def envoy_jwt(machine, program, backend, threads, bearer):
    port = free_port()
    config = written(machine, "Envoy jwt_authn", ".json", json.dumps(envoy_bootstrap(port, backend, machine.scratch)))
    return Contestant(machine, "Envoy jwt_authn",
                      [program, "-c", config, "--concurrency", threads, "--disable-hot-restart", "-l", "warning"],
                      "/api/item", bearer, port)


def envoy_bootstrap(port, backend, scratch):
    kind = "type.googleapis.com/envoy.extensions."
    provider = {
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": {"filename": f"{scratch}/jwks.json"},
        # Verified tokens are kept, as ours are.
        "jwt_cache_config": {"jwt_cache_size": 1000},
    }
    jwt = {
        "@type": kind + "filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": {"bench": provider},
        "rules": [{"match": {"prefix": "/api"}, "requires": {"provider_name": "bench"}}],
    }
    manager = {
        "@type": kind + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "access_log": [{
            "name": "stdout",
            "typed_config": {"@type": kind + "access_loggers.stream.v3.StdoutAccessLog"},
        }],
        "route_config": {"virtual_hosts": [{
            "name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "app"}}],
        }]},
        "http_filters": [
            {"name": "envoy.filters.http.jwt_authn", "typed_config": jwt},
            {"name": "envoy.filters.http.router", "typed_config": {"@type": kind + "filters.http.router.v3.Router"}},
        ],
    }
    return {"static_resources": {
        "listeners": [{
            "name": "main",
            "address": socket_address(port),
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager", "typed_config": manager,
            }]}],
        }],
        "clusters": [{
            "name": "app",
            "type": "STATIC",
            "connect_timeout": "2s",
            "load_assignment": {"cluster_name": "app", "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": socket_address(backend)}}]},
            ]},
        }],
    }}


def socket_address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def written(machine, name, suffix, text):
    path = machine.scratch / (name.replace(" ", "-").replace(",", "") + suffix)
    path.write_text(text)
    return path

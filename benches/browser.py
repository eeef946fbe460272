"""Somebody who signs in: a local user, the page, the form, the cookies."""

import base64
import http.client
import json
import re
import urllib.parse

# Of everybody here. Cheap to compare, which is for benches only: hundreds sign in before one of them begins.
PASSWORD = "alice's password"
HASH = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$sibqqgPzci1z8sHAWohtuw"
# What the device of a session is told by; a request without it is another device.
DEVICE = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
PERSON = DEVICE | {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}
# Tokens that outlast every bench: a renewal in the midst of a round would be another measurement.
TABLES = """
[[provider]]
name = "local"
kind = "local"
users = "users.toml"

[tokens]
access_ttl = "12h"

[session]
idle_timeout = "12h"
absolute_timeout = "24h"
"""


def users(names):
    """`users.toml` with these."""
    return "".join(f"[[user]]\nname = \"{name}\"\npassword = \"{HASH}\"\nroles = [\"reader\"]\n" for name in names)


def sign_in(port, name, host=None):
    """The headers this user's browser sends from then on."""
    visit = PERSON | ({"Host": host} if host else {})
    jar = {}
    page = ask(port, jar, visit, "GET", "/.auth/login?provider=local")
    csrf = re.search(r'name="csrf" value="([^"]*)"', page)[1]
    form = {"csrf": csrf, "username": name, "password": PASSWORD, "return_to": "/"}
    ask(port, jar, visit, "POST", "/.auth/login", urllib.parse.urlencode(form), expected=303)
    return DEVICE | {"Cookie": cookies(jar)}


def session(headers):
    """The public name of the session, from the token: nobody need be asked."""
    payload = access_token(headers).split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sid"]


def ask(port, jar, visit, method, target, body=None, expected=200):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = visit | ({"Cookie": cookies(jar)} if jar else {})
    if body:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection.request(method, target, body, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    for line in answer.headers.get_all("Set-Cookie") or []:
        pair, _, attributes = line.partition(";")
        name, _, value = pair.partition("=")
        if "max-age=0" in attributes.lower():
            jar.pop(name, None)
        else:
            jar[name] = value
    connection.close()
    if answer.status != expected:
        raise OSError(f"{method} {target} was answered with {answer.status}: {text[:200]}")
    return text


def cookies(jar):
    return "; ".join(f"{name}={value}" for name, value in jar.items())


def access_token(headers):
    pairs = headers["Cookie"].split("; ")
    return next(pair.removeprefix("doorward=") for pair in pairs if pair.startswith("doorward="))

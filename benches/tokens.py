"""One RSA key, its key set, and a token signed with it: all made by openssl, for this run only."""

import base64
import json
import subprocess
import time

KID = "bench-1"
LIFE = 12 * 3600


def make_key(scratch):
    """Writes key.pem, public.pem and jwks.json into `scratch`."""
    key = scratch / "key.pem"
    openssl("genrsa", "-out", key, "2048")
    openssl("rsa", "-in", key, "-pubout", "-out", scratch / "public.pem")
    modulus = openssl("rsa", "-in", key, "-noout", "-modulus").decode().strip().removeprefix("Modulus=")
    jwk = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KID, "n": base64url(bytes.fromhex(modulus)), "e": "AQAB"}
    (scratch / "jwks.json").write_text(json.dumps({"keys": [jwk]}))
    return key


def sign(scratch, key, issuer, audience):
    now = int(time.time())
    claims = {
        "iss": issuer, "aud": audience, "sub": "user-4711", "iat": now, "exp": now + LIFE,
        "email": "ada@example.com", "email_verified": True, "name": "Ada Example", "roles": ["reader", "writer"],
        "scope": "read:item write:item", "jti": "0b8f6a9e-3a51-4c76-9d0e-6f1d2b7c8e90",
    }
    head = base64url(json.dumps({"alg": "RS256", "typ": "JWT", "kid": KID}).encode())
    signed = f"{head}.{base64url(json.dumps(claims).encode())}"
    (scratch / "signed").write_text(signed)
    return f"{signed}.{base64url(openssl('dgst', '-sha256', '-sign', key, scratch / 'signed'))}"


def forged(token):
    """The same with another signature. Its very last character holds padding bits, so one in the midst is changed."""
    return token[:-100] + ("A" if token[-100] != "A" else "B") + token[-99:]


def openssl(*words):
    return subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True).stdout


def base64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

"""A token server as Google's: for a service account's key, as a metadata server, as IAM's API.

Its tokens are signed by a word, so that a service of a test can tell them from others.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from served_while import answered_by, served

ACCOUNT = "tester@shop.iam.gserviceaccount.com"
IAM = "iamcredentials.googleapis.com"
WORD = b"what the tests' tokens are signed by"

_METADATA = "/computeMetadata/v1/instance/service-accounts/"


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def a_token(audience: str, expires: float, email: str = ACCOUNT) -> str:
    """One in the shape of Google's, of about their length."""
    header = {"alg": "RS256", "kid": "0" * 40, "typ": "JWT"}
    claims = {"aud": audience, "azp": email, "email": email, "email_verified": True}
    claims |= {"exp": int(expires), "iat": int(time.time()), "iss": "https://accounts.google.com"}
    claims["nonce"] = hashlib.sha256(str(time.monotonic_ns()).encode()).hexdigest()
    head = f"{_part(json.dumps(header).encode())}.{_part(json.dumps(claims).encode())}"
    return f"{head}.{_part(signature(head))}"


def signature(head: str) -> bytes:
    return b"".join(hmac.digest(WORD, f"{number}{head}".encode(), "sha256") for number in range(8))


def claims_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


@dataclass
class TokenServer:
    """`lives_s` is how long its next tokens are good; `given` are all that it gave, in order.

    `answer` is a status and a body that go out instead; `refusing` the end of a path of IAM's
    that is denied. While `open` is not set, nothing does.
    """

    url: str = ""
    lives_s: float = 3600.0
    given: list[str] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    answer: tuple[int, bytes] | None = None
    refusing: str = ""
    tls: ssl.SSLContext | None = None
    open: threading.Event = field(default_factory=threading.Event)
    more: threading.Condition = field(default_factory=threading.Condition)

    def new(self, audience: str) -> str:
        token = a_token(audience, time.time() + self.lives_s)
        with self.more:
            self.given.append(token)
            self.more.notify_all()
        return token

    def key_file(self, folder: Path) -> Path:
        """The key of a service account whose token URI is this server."""
        info = {
            "type": "service_account",
            "project_id": "shop",
            "private_key_id": "k1",
            "private_key": _pem(_key()).decode(),
            "client_email": ACCOUNT,
            "client_id": "1",
            "token_uri": f"{self.url}/token",
        }
        path = folder / "key.json"
        path.write_text(json.dumps(info))
        return path

    def user_file(self, folder: Path) -> Path:
        """What `gcloud auth application-default login` leaves of a person."""
        info = {"type": "authorized_user", "client_id": "c", "client_secret": "s"}
        path = folder / "user.json"
        path.write_text(json.dumps(info | {"refresh_token": "r"}))
        return path

    def iam_environment(self, folder: Path) -> dict[str, str]:
        """What makes google-auth take it for IAM's API, by way of a proxy that it is too."""
        key, certificate = _key(), folder / "iam.pem"
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, IAM)])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(IAM)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = made.public_bytes(serialization.Encoding.PEM)
        certificate.write_bytes(pem)
        (folder / "iam.key").write_bytes(_pem(key))
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate, folder / "iam.key")
        proxy = {"HTTPS_PROXY": self.url, "https_proxy": self.url}
        return {**proxy, "NO_PROXY": "127.0.0.1", "REQUESTS_CA_BUNDLE": str(certificate)}

    @property
    def metadata_environment(self) -> dict[str, str]:
        """What makes google-auth take it for the metadata server of a machine of Google's."""
        place = urlsplit(self.url).netloc
        return {"GCE_METADATA_HOST": place, "GCE_METADATA_IP": place, "GCE_METADATA_ROOT": place}


def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    rig: TokenServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.rig.asked.append({"path": parts.path, **query})
        if parts.path.endswith("/identity"):
            self._say(200, self.rig.new(query["audience"]).encode(), "application/text")
        elif parts.path.endswith("/token"):
            self._json({"access_token": "ya29.machine", "expires_in": 3600, "token_type": "Bearer"})
        elif parts.path.startswith(_METADATA):
            self._json({"email": ACCOUNT, "aliases": ["default"], "scopes": []})
        elif parts.path.endswith("/project/project-id"):
            self._say(200, b"shop", "application/text")
        elif parts.path.endswith("/universe/universe-domain"):
            self._say(200, b"googleapis.com", "application/text")
        else:
            self._say(200, b"computeMetadata/", "application/text")

    def do_CONNECT(self) -> None:
        """What is asked for at another host is answered here."""
        assert self.rig.tls is not None, f"nobody is to ask {self.path}"
        self.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        self.connection = self.rig.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.close_connection = False

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        if self.path.endswith(":generateIdToken"):
            told = json.loads(body)
            self.rig.asked.append({"path": self.path, "by": self.headers["authorization"], **told})
            self._json({"token": self.rig.new(told["audience"])})
            return
        if self.path.endswith(":generateAccessToken"):
            self.rig.asked.append({"path": self.path, "by": self.headers["authorization"]})
            if self.rig.refusing and self.path.endswith(self.rig.refusing):
                error = {"code": 403, "message": "Permission denied", "status": "PERMISSION_DENIED"}
                self._say(403, json.dumps({"error": error}).encode(), "application/json")
                return
            until = datetime.now(UTC) + timedelta(hours=1)
            expires = until.strftime("%Y-%m-%dT%H:%M:%SZ")
            self._json({"accessToken": "ya29.other", "expireTime": expires})
            return
        assertion = parse_qs(body.decode()).get("assertion")
        claims = claims_of(assertion[0]) if assertion else {}
        self.rig.asked.append({"path": self.path, **claims})
        if audience := claims.get("target_audience"):
            self._json({"id_token": self.rig.new(audience)})
        else:
            self._json({"access_token": "ya29.account", "expires_in": 3600})

    def _json(self, document: dict[str, Any]) -> None:
        self._say(200, json.dumps(document).encode(), "application/json")

    def _say(self, status: int, body: bytes, kind: str) -> None:
        self.rig.open.wait(60)
        if self.rig.answer is not None:
            status, body = self.rig.answer
            kind = "application/json"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Length", str(len(body)))
        with suppress(OSError):  # who asked may have gone
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def token_server() -> Iterator[TokenServer]:
    """It gives tokens while the block lasts."""
    rig = TokenServer()
    rig.open.set()
    with served(answered_by(_Handler, rig=rig)) as rig.url:
        try:
            yield rig
        finally:
            rig.open.set()

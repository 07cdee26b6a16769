"""Services that admit nobody without a token: met with one, and the token is kept nowhere."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from rig import Project, Ran
from services import tiny_loop
from token_server import ACCOUNT, WORD, TokenServer, claims_of, signature, token_server

# Answers those alone who show a token that is signed and good, and says what it was shown.
SERVICE = """
import base64, hmac, json, os, time
from websockets.datastructures import Headers
from websockets.http11 import Response
from websockets.sync.server import serve

WORD = #WORD#

def admits(shown):
    kind, _, token = shown.partition(" ")
    head, _, signed = token.rpartition(".")
    meant = b"".join(hmac.digest(WORD, f"{n}{head}".encode(), "sha256") for n in range(8))
    if kind != "Bearer" or signed != base64.urlsafe_b64encode(meant).decode().rstrip("="):
        return False
    part = head.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims["aud"].startswith("http://127.0.0.1:") and claims["exp"] > time.time()

def http(connection, request):
    shown = request.headers.get("Authorization", "")
    print("shown", shown, base64.b64encode(shown.encode()).decode(), flush=True)
    print("as JSON", json.dumps({"Authorization": shown}), flush=True)
    ok = admits(shown) or request.path == "/open" and shown == "Basic own"
    if ok and "Upgrade" in request.headers:
        return None
    body = json.dumps({"status": "healthy" if ok else "who are you?"}).encode()
    headers = Headers()
    headers["Content-Type"], headers["Content-Length"] = "application/json", str(len(body))
    return Response(200 if ok else 401, "", headers, body)

def talk(socket):
    socket.recv()
    socket.send(json.dumps({"type": "welcome", "seen": socket.request.headers["Authorization"]}))
    socket.recv()

with serve(talk, "127.0.0.1", int(os.environ["PORT"]), process_request=http) as server:
    server.serve_forever()
""".replace("#WORD#", repr(WORD))

TESTS = """
import base64, os, pathlib, stat, time, urllib.error, urllib.request
import pytest

FILE = pathlib.Path(os.environ["LOOPCTL_ID_TOKEN_FILE_WEB"])
GATE = pathlib.Path(os.environ["LOOPCTL_ID_TOKEN_FILE_PAY"])

def ask(base, token):
    shown = {"Authorization": "Bearer " + token} if token else {}
    with urllib.request.urlopen(urllib.request.Request(base + "/item", headers=shown)) as answer:
        return answer.status

def test_the_file_is_private():
    assert stat.S_IMODE(FILE.stat().st_mode) == 0o600
    assert stat.S_IMODE(FILE.parent.stat().st_mode) == 0o700
    assert ask(os.environ["BASE_URL"], FILE.read_text()) == 200

def test_the_gate_has_a_token_of_its_own():
    assert GATE.read_text() != FILE.read_text()
    assert ask(os.environ["PAY_URL"], GATE.read_text()) == 200
    assert ask(os.environ["BASE_URL"], FILE.read_text()) == 200

def test_without_it_nobody_is_admitted():
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(os.environ["BASE_URL"], None)
    assert refused.value.code == 401
    assert ask(os.environ["BASE_URL"], FILE.read_text()) == 200

def test_it_is_renewed():
    first = FILE.read_text()
    deadline = time.monotonic() + 20
    while FILE.read_text() == first:
        assert time.monotonic() < deadline, "it was not renewed"
        time.sleep(0.05)
    print("renewed from", first, "to", FILE.read_text())
    assert ask(os.environ["BASE_URL"], FILE.read_text()) == 200
"""

TALKS = """

def test_it_is_told_in_many_ways():
    token = FILE.read_text()
    for lead in ("", "u", "ab"):
        print(base64.b64encode((lead + token).encode()).decode())
        print(base64.b64encode((lead + token).encode()).decode()[: 800])
    for part in token.split(".")[1:]:
        print("a part", part)
    os.write(1, b"split " + token[:300].encode())
    time.sleep(0.2)
    os.write(1, token[300:].encode() + b"\\n")
    assert {"Authorization": "Bearer " + token} == {"Authorization": None}

def test_it_is_in_an_error():
    ask(os.environ["BASE_URL"], FILE.read_text())
    raise RuntimeError(FILE.read_text())
"""


class Gate(ThreadingHTTPServer):
    """A service that is only depended on, which keeps what it was shown.

    It answers 403 with Google's page to who shows no token made out to it.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Gated)
        self.daemon_threads = True
        self.shown: list[str] = []
        self.leads_to: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def admits(self, shown: str) -> bool:
        kind, _, token = shown.partition(" ")
        if kind != "Bearer" or token.count(".") != 2:
            return False
        head, _, signed = token.rpartition(".")
        real = base64.urlsafe_b64encode(signature(head)).decode().rstrip("=") == signed
        return real and claims_of(token)["aud"] == self.url


class _Gated(BaseHTTPRequestHandler):
    server: Gate

    def do_GET(self) -> None:
        shown = self.headers["authorization"] or ""
        self.server.shown.append(shown)
        status, body = 200, json.dumps({"status": "healthy"}).encode()
        if self.server.leads_to is not None:
            status = 302
        elif not self.server.admits(shown):
            status, body = 403, page(self.path).encode()
        self.send_response(status)
        if self.server.leads_to is not None:
            self.send_header("Location", self.server.leads_to)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def page(path: str) -> str:
    """Google's, for a caller who may not invoke the service."""
    said = f"Your client does not have permission to get URL <code>{path}</code> from this server."
    return (
        '<html><head>\n<meta http-equiv="content-type" content="text/html;charset=utf-8">\n'
        "<title>403 Forbidden</title>\n</head>\n<body text=#000000 bgcolor=#ffffff>\n"
        f"<h1>Error: Forbidden</h1>\n<h2>{said}</h2>\n<h2></h2>\n</body></html>\n"
    )


@contextmanager
def gate() -> Iterator[Gate]:
    with Gate() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def gated_loop(project: Project, pay: Gate, **keys: Any) -> None:
    """A loop that only depends on `pay`, whatever else it has."""
    health = {"path": "/health", "redirects": "follow"}
    tiny_loop(project)
    path = project.root / "loops" / "web.yaml"
    document = yaml.safe_load(path.read_text())
    document["services"]["pay"] = {"url": pay.url, "auth": "id_token", "health": health, **keys}
    project.loop("web", **{k: v for k, v in document.items() if k not in ("version", "name")})
    project.commit()


@pytest.fixture
def google(tmp_path: Path) -> Iterator[TokenServer]:
    with token_server() as server:
        yield server


def environment(google: TokenServer, place: Path) -> dict[str, str]:
    """The variables of a person who has a service account's key, and a folder for what passes."""
    (place / "passing").mkdir(exist_ok=True)
    key = google.key_file(place)
    return {"GOOGLE_APPLICATION_CREDENTIALS": str(key), "TMPDIR": str(place / "passing")}


def private_loop(project: Project, pay: Gate, tests: str) -> None:
    project.write("web/service.py", SERVICE)
    project.write("tests/test_web.py", tests)
    evidence = {"require": "observed", "target": ["web"]}
    of_web = {"protects": "web", "evidence": evidence}
    common = {"timeout": {"suite": "60s", "test": "30s"}, **of_web}
    project.loop(
        "web",
        services={
            "pay": {"url": pay.url, "auth": "id_token", "health": {"path": "/health"}},
            "web": {
                "source": "../web",
                "run": {"command": ["python", "service.py"]},
                "auth": {"kind": "id_token"},
                "needs": ["pay"],
                "health": {"path": "/health", "stable_for": "100ms", "timeout": "20s"},
            },
        },
        suites=[
            {
                "id": "tests",
                "priority": "P0",
                "kind": "pytest",
                "run": "tests",
                "cwd": "..",
                "env": {"BASE_URL": "${services.web.url}", "PAY_URL": "${services.pay.url}"},
                **common,
            },
            {
                "id": "requests",
                "priority": "P1",
                "kind": "http",
                "requests": [
                    {"get": "${services.web.url}/item", "json": {"status": "healthy"}},
                    {
                        "get": "${services.web.url}/open",
                        "headers": {"Authorization": "Basic own"},
                        "status": 200,
                    },
                ],
                **common,
            },
            {
                "id": "events",
                "priority": "P1",
                "kind": "websocket",
                "url": "${services.web.ws_url}/ws",
                "send": [{"type": "hello"}],
                "expect": {"events": ["welcome"], "within": "10s"},
                **of_web,
            },
        ],
    )
    project.commit()


def assert_nowhere(project: Project, tokens: list[str], ran: Ran, *shown: Ran) -> None:
    """No token, nor the parts that make it one, in whatever anybody could read later."""
    files = [p for place in (project.runs_dir, project.runtime) for p in place.rglob("*")]
    texts = {str(path): path.read_bytes() for path in files if path.is_file()}
    assert len(texts) > 10
    texts |= {f"terminal {n}": (r.out + r.err).encode() for n, r in enumerate((ran, *shown))}
    for where, data in texts.items():
        for token in tokens:
            found = [name for name, form in forms(token).items() if form in data]
            assert not found, f"{where} has a token: {found}"


def forms(token: str) -> Mapping[str, bytes]:
    _, claims, signed = token.split(".")
    found = {"claims": claims, "signature": signed, "begin": signed[:24], "end": signed[-24:]}
    for lead in range(3):
        text = base64.b64encode(b"\0" * lead + token.encode()).decode()
        found |= {f"base64 at {lead}": text[8:200], f"its end at {lead}": text[-200:-8]}
    return {name: text.encode() for name, text in found.items()}


def test_a_private_service_goes_green_and_its_token_is_renewed_and_kept_nowhere(
    project: Project, google: TokenServer, tmp_path: Path
) -> None:
    google.lives_s = 12
    with gate() as pay:
        private_loop(project, pay, TESTS)
        env = environment(google, tmp_path)
        ran = project.loopctl("run", "web", "-v", env=env, timeout=120)
        assert ran.code == 0, str(ran)
    assert {s["id"]: s["outcome"] for s in ran.cycle["suites"]} == dict.fromkeys(
        ("tests", "requests", "events"), "passed"
    )
    (web,) = {claims_of(t)["aud"] for t in google.given} - {pay.url, "https://web.invalid"}
    assert web == ran.stable_url, "made out to the service, not to its candidate"
    assert len(google.given) > 4
    assert_nowhere(project, google.given, ran, project.loopctl("logs"), project.loopctl("show"))
    assert "shown Bearer [redacted:" in project.loopctl("logs").out
    assert list((tmp_path / "passing").rglob("*.token")) == []


def test_a_token_that_a_test_tells_in_many_ways_is_told_in_none(
    project: Project, google: TokenServer, tmp_path: Path
) -> None:
    tests = TESTS.partition("def test_the_file")[0] + TALKS
    with gate() as pay:
        private_loop(project, pay, tests)
        ran = project.loopctl("run", "web", "-v", env=environment(google, tmp_path))
    assert ran.code == 1, str(ran)
    assert ran.suite("tests")["failed"] == 2, str(ran)
    told = (ran.run / "suites" / "1" / "tests" / "stdout.txt").read_text()
    assert told.count("a part [redacted:id-token]") == 2, told
    assert "split [redacted:" in told
    report = project.loopctl("report", "--json")
    assert_nowhere(project, google.given, ran, project.loopctl("logs"), report)


@pytest.mark.slow
def test_a_token_is_not_sent_along_a_redirect(
    project: Project, google: TokenServer, tmp_path: Path
) -> None:
    with gate() as pay, gate() as elsewhere:
        pay.leads_to = f"{elsewhere.url}/login"
        gated_loop(project, pay)
        ran = project.loopctl("run", "web", env=environment(google, tmp_path))
    assert ran.code == 4, str(ran)
    assert pay.shown[0].startswith("Bearer eyJ")
    assert elsewhere.shown == [""]


def test_without_a_token_googles_page_is_named_in_preflight_with_what_mends_it(
    project: Project,
) -> None:
    with gate() as pay:
        gated_loop(project, pay, auth="none")
        ran = project.loopctl("run", "web")
    assert ran.code == 4, str(ran)
    assert "pay: Google's front end refuses it (403): it admits no anonymous caller" in ran.out
    assert "`auth: id_token` for pay in the loop file" in ran.out
    assert "gcloud run services add-iam-policy-binding" in ran.out
    assert "--role=roles/run.invoker" in ran.out


def test_a_service_that_google_keeps_to_itself_fails_at_once_in_health(project: Project) -> None:
    prelude = f"STATUS = 403\nHandler.own = lambda self: {page('/health').encode()!r}\n"
    tiny_loop(project, prelude=prelude, service={"health": {"path": "/health", "timeout": "60s"}})
    began = time.monotonic()
    ran = project.loopctl("run", "web")
    assert ran.code == 5, str(ran)
    assert time.monotonic() - began < 30, "it waited for what nothing but a person mends"
    assert ran.stage("health")["outcome"] == "failed"
    assert ran.findings()["health.not-admitted"]["service"] == "web"
    assert "gcloud run services add-iam-policy-binding" in ran.out + ran.err


def test_a_persons_own_credentials_are_told_in_preflight(
    project: Project, google: TokenServer, tmp_path: Path
) -> None:
    with gate() as pay:
        private_loop(project, pay, TESTS)
        env = {"GOOGLE_APPLICATION_CREDENTIALS": str(google.user_file(tmp_path))}
        ran = project.loopctl("run", "web", env=env)
    assert ran.code == 4, str(ran)
    assert ran.out.count("a user's own credentials make no ID token") == 1, str(ran)
    assert "roles/iam.serviceAccountTokenCreator" in ran.out
    assert pay.shown == []


@pytest.mark.slow
def test_a_token_that_cannot_be_renewed_is_noted(
    project: Project, google: TokenServer, tmp_path: Path
) -> None:
    tests = TESTS.partition("def test_the_file")[0] + (
        "def test_it_waits_for_a_refusal():\n"
        "    assert ask(os.environ['BASE_URL'], FILE.read_text()) == 200\n"
        "    pathlib.Path('asked').write_text('')\n"
        "    while not pathlib.Path('refused').exists():\n"
        "        time.sleep(0.05)\n"
    )
    google.lives_s = 20
    with gate() as pay:
        private_loop(project, pay, tests)
        going = project.start("run", "web", env=environment(google, tmp_path))
        deadline = time.monotonic() + 60
        while not (project.root / "asked").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        google.answer = (403, b'{"error": "access_denied", "error_description": "not any more"}')
        known = len(google.asked)
        while len(google.asked) == known:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.5)
        (project.root / "refused").write_text("")
        ran = going.end(90)
    journal = (ran.run / "journal.jsonl").read_text()
    assert "could not be renewed" in journal, str(ran)
    assert "not any more" in journal
    assert ACCOUNT not in ran.out

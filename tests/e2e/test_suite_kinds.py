"""Suites that are not pytest's: commands with JUnit reports, http requests, websockets.

One loop has all of them. It is green once, and then everything in it is broken at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from kill_rig import AT_ONCE
from rig import Ran, met_by_users, opened

# With BROKEN set it breaks every promise that the suites below hold it to, each in its own way.
SERVICE = """
import json, os, time
from websockets.datastructures import Headers
from websockets.http11 import Response
from websockets.sync.server import serve

BROKEN = os.environ["BROKEN"] != ""
ITEM = {"id": 7, "price": {"amount": 12.5, "currency": "EUR"}}

def http(connection, request):
    if "Upgrade" in request.headers:
        return None
    path, status, headers = request.path, 200, Headers()
    body = {"status": "healthy", "revision": os.environ["K_REVISION"]}
    if path == "/item":
        body = {"result": {"item": ITEM}} if BROKEN else {"data": {"item": ITEM}}
    elif path == "/price":
        body = {"currency": "EUR"} if BROKEN else {"amount": 12.5, "currency": "EUR"}
    elif path == "/moved" and BROKEN:
        status, headers["Location"] = 307, "/login"
    data = json.dumps(body).encode()
    headers["Content-Type"], headers["Content-Length"] = "application/json", str(len(data))
    return Response(status, "", headers, data)

def talk(socket):
    path = socket.request.path
    asked = json.loads(socket.recv())
    events = [{"type": kind, "turn": 1} for kind in ("started", "thinking", "completed")]
    if path == "/ws/order" and BROKEN:
        events[0], events[1] = events[1], events[0]
    for number, event in enumerate(events):
        if path == "/ws/close" and BROKEN and number == 1:
            socket.close(1011, "the model is overloaded")
            return
        if path == "/ws/wrapped" and BROKEN:
            event = {"event": event}
        socket.send(json.dumps(event))
    if not BROKEN:
        socket.recv()

with serve(talk, "127.0.0.1", int(os.environ["PORT"]), process_request=http) as server:
    server.serve_forever()
"""
PYTEST = """
import os, urllib.request

TRACE = "00-" + os.urandom(16).hex() + "-" + os.urandom(8).hex() + "-01"

def test_asks(record_property):
    asked = urllib.request.Request(os.environ["BASE_URL"] + "/item", headers={"traceparent": TRACE})
    assert urllib.request.urlopen(asked, timeout=8).status == 200
    record_property("traceparent", TRACE)
    record_property("loopctl.metric.cart.total", "250ms")
"""
NODE = """
import test from "node:test";
import assert from "node:assert";

test("the item has a price", async () => {
  const answer = await fetch(process.env.BASE_URL + "/item");
  assert.equal((await answer.json()).data.item.price.currency, "EUR");
});
"""
GOOD = """<testsuites><testsuite name="s" tests="2">
<testcase classname="c" name="one" time="0.1"/>
<testcase classname="c" name="two" time="0.1"/>
</testsuite></testsuites>
"""
REPORTS = {
    "truncated": GOOD.partition('<testcase classname="c" name="two"')[0] + "<testcase class",
    "empty": "<testsuites/>",
    "doctype": '<!DOCTYPE t [<!ENTITY e "x">]>\n' + GOOD,
}
"""What the command leaves when it is BROKEN, by suite."""

LEAVES = 'if [ -n "$BROKEN" ]; then cp checks/$0.xml "$1"; else cp checks/good.xml "$1"; fi'
EVENTS = ["started", "thinking", "completed"]


def socket_suite(name: str, **keys: Any) -> dict[str, Any]:
    return {
        "id": name,
        "kind": "websocket",
        "url": f"${{services.web.ws_url}}/ws/{name}",
        "send": [{"type": "chat"}],
        "expect": {"events": EVENTS, "ordered": True, "field": "type", "within": "5s"},
        **keys,
    }


def command(name: str, run: str, require: str) -> dict[str, Any]:
    env = {"BASE_URL": "${services.web.url}"}
    evidence = {"require": require, "target": ["web"]}
    return {"id": name, "kind": "command", "run": run, "env": env, "evidence": evidence}


def every_kind() -> list[dict[str, Any]]:
    url = "${services.web.url}"
    node = (
        "node --test --test-reporter=junit --test-reporter-destination={junit} checks/it.test.mjs"
    )
    suites = [
        {
            "id": "endpoints",
            "kind": "http",
            "requests": [
                {"get": f"{url}/moved", "status": 200},
                {"get": f"{url}/price", "json": {"amount": 12.5, "currency": "EUR"}},
                {"get": f"{url}/item", "json": {"data.item.id": 7}, "max_latency": "5s"},
            ],
        },
        socket_suite("order", connections=3),
        socket_suite("close"),
        socket_suite("wrapped"),
        command("py", "python -m pytest -q --junitxml={junit} checks/test_py.py", "proven"),
        command("node", node, "plausible"),
        *(command(name, f"sh -c '{LEAVES}' {name} {{junit}}", "plausible") for name in REPORTS),
    ]
    for suite in suites:
        proven = {"require": "proven", "target": ["web"]}
        suite |= {"priority": "P1", "on_fail": "continue", "protects": "web"}
        suite.setdefault("evidence", proven)
    return suites


CRITERIA = [
    {"metric": "http.p95", "op": "<=", "value": "5s", "min_samples": 3},
    {"metric": "ws.first_event.p95", "op": "<=", "value": "5s", "min_samples": 5},
    {"metric": "cart.total", "op": "<=", "value": "250ms"},
    {"metric": "error_rate", "op": "<=", "value": 0, "min_samples": 8},
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ran, Ran]]:
    """The green run, and after it the one with everything broken."""
    with opened(tmp_path_factory.mktemp("kinds")) as project:
        files = {"test_py.py": PYTEST, "it.test.mjs": NODE, "good.xml": GOOD}
        files |= {f"{name}.xml": text for name, text in REPORTS.items()}
        for name, text in files.items():
            project.write(f"checks/{name}", text)
        project.write("web/service.py", SERVICE)
        run = {"command": ["python", "service.py"], "env": {"BROKEN": "${BROKEN:-}"}}
        service = {"source": "../web", "run": run, **AT_ONCE}
        project.loop("web", services={"web": service}, suites=every_kind(), criteria=CRITERIA)
        project.commit()
        green = project.run("web")
        assert green.code == 0, str(green)
        broken = project.run("web", env={"BROKEN": "yes"})
        assert met_by_users(green.stable_url) == green.service("web")["revision"]
        yield green, broken


def test_every_kind_is_green_with_the_grades_that_it_promises(both: tuple[Ran, Ran]) -> None:
    green, _ = both
    assert green.code == 0, str(green)
    suites = {suite["id"]: suite for suite in green.cycle["suites"]}
    assert {name: suite["grades"] for name, suite in suites.items()} == {
        "endpoints": {"proven": 3},
        "order": {"proven": 3},
        "close": {"proven": 1},
        "wrapped": {"proven": 1},
        "py": {"proven": 1},
        "node": {"plausible": 1},
        **{name: {"plausible": 2} for name in REPORTS},
    }
    assert {case["status"] for case in green.cases()} == {"passed"}
    assert green.case("GET /item")["reason"].startswith("receipt: GET /item 200 on web-00001-")
    assert green.case("the item has a price")["reason"].startswith("a child process ran (node)")
    judged = {each["metric"]: each for each in green.cycle["criteria"]}
    assert {name: each["met"] for name, each in judged.items()} == dict.fromkeys(judged, True)
    assert {name: each["samples"] for name, each in judged.items()} == {
        "http.p95": 3,
        "ws.first_event.p95": 5,
        "cart.total": 1,
        "error_rate": 8,
    }
    assert judged["cart.total"]["value"] == 0.25
    worklog = (green.run / "worklog.md").read_text()
    assert all(f"| {metric} |" in worklog for metric in judged)


SAID = {
    "GET /moved": r"answers 307, a redirect to /login, which is not followed; 200 is expected",
    "GET /price": r"there is no field amount: .*;"
    r" changed shape at amount \(was number, is gone\) S",
    "GET /item": r"there is no field data\.item\.id: the document has result; "
    r"changed shape at data \(was object, is gone\), result \(new: object\) S",
    "WS /ws/order #1": r".* 1 of 3 events came: started, missing: thinking, completed,"
    r" came out of order: thinking, completed",
    "WS /ws/close #1": r"closed 1011 the model is overloaded by the service after [\d.]+ s,"
    r" 1 of 3 events came: started, missing: thinking, completed",
    "WS /ws/wrapped #1": r".* none of 3 events came, .*; changed shape at event \(new: object\),"
    r" turn \(was number, is gone\), type \(was string, is gone\) S",
    "the item has a price": r"testCodeFailure: Cannot read properties of undefined .*",
    "(not in the report)": r"1 of 2 cases are not in the report",
}
"""What is said of each case that is broken, as a pattern; S stands for the run compared with."""

UNREAD = {
    "truncated": r".*the report breaks off, .* is lost: junit\.xml: .* at line 3, .*",
    "empty": r"there is no result: it exited with 0 and its report has no case in it",
    "doctype": r"there is no result: the report was not read: junit\.xml: it has a DOCTYPE, .*",
}


def test_everything_that_is_broken_is_told_in_its_own_words(both: tuple[Ran, Ran]) -> None:
    green, broken = both
    assert (broken.code, broken.result["verdict"]) == (1, "red"), str(broken)
    assert "promote" not in broken.stages()
    assert f"web: {green.service('web')['revision']} 100 %" in broken.first_line
    for name, said in SAID.items():
        case = broken.case(name)
        assert case["status"] == ("lost" if name.startswith("(") else "failed"), case
        pattern = re.sub(" S$", " since the last green run", said)
        assert re.fullmatch(pattern, case["message"]), case["message"]
    suites = {suite["id"]: suite for suite in broken.cycle["suites"]}
    failed = {name for name, suite in suites.items() if suite["outcome"] == "failed"}
    assert failed == {"endpoints", "order", "close", "wrapped", "node"}
    assert suites["py"]["outcome"] == "passed", "what still holds still passes"
    for name, said in UNREAD.items():
        assert suites[name]["outcome"] == "unproven"
        assert re.fullmatch(said, suites[name]["reasons"][0].partition("; ")[0]), suites[name]
    assert [suites[name]["collected"] for name in UNREAD] == [2, 0, 0]
    assert [suites[name]["passed"] for name in UNREAD] == [1, 0, 0], "what was read counts"
    (missed,) = [each for each in broken.cycle["criteria"] if each["met"] is False]
    assert (missed["metric"], missed["value"], missed["samples"]) == ("error_rate", 1.0, 8)
    assert "closed 1011 the model is overloaded" in broken.line("QUOTE")


CAUSES = {
    "ws.closed-1011": r"The service closes sockets with 1011, .*",
    "http.redirect": r"An answer is redirected",
    "test.changed-shape": r"Its answers have another shape .*: at .*",
    "test.report-cut-off": r"The report of truncated breaks off",
    "test.no-result": r"The runner of (empty|doctype) left no result that can be read",
}


def test_the_first_screen_and_the_findings_name_what_was_broken(both: tuple[Ran, Ran]) -> None:
    _, broken = both
    failed = [line for line in broken.out.splitlines() if line.startswith("FAILED: ")]
    assert failed[0].startswith("FAILED: close (P1) failed, 0 of 1 passed: "), broken.out
    assert not any("criterion" in line for line in failed), "it only follows from the suites"
    found: dict[str, list[str]] = {}
    for finding in broken.cycle["findings"]:
        found.setdefault(str(finding["signature"]), []).append(finding["title"])
    for signature, title in CAUSES.items():
        told = found.pop(signature)
        assert all(re.fullmatch(title, each) for each in told), told
    assert list(found) == ["None"], "only what the test of node says is not known"
    assert broken.line("LIKELY CAUSE").startswith("LIKELY CAUSE: web: The service closes sockets")
    assert broken.line("NEXT") == f"NEXT: less .loopctl/runs/{broken.run.name}/worklog.md"

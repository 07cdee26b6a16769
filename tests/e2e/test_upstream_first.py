"""Upstream first, end to end: dozens of tests fail by a service that none of them asks."""

from __future__ import annotations

import re

from rig import Project, Ran
from services import suite, tiny_service

TESTS = 36
_STORE = """
import traceback
from books import balance

def do_GET(self, own=Handler.do_GET):
    if self.path != "/through": return own(self)
    try: body, status = balance(3), 200
    except Exception: traceback.print_exc(); body, status = b"", 500
    self.send_response(status)
    self.send_header("Content-Length", str(len(body)))
    self.end_headers()
    self.wfile.write(body)
Handler.do_GET = do_GET
"""
_WEB = """
import urllib.request

def do_GET(self, own=Handler.do_GET):
    if self.path != "/through": return own(self)
    try:
        with urllib.request.urlopen(os.environ["STORE_URL"] + "/through", timeout=5) as answer:
            body, status = answer.read(), 200
    except OSError as error:
        print(f"ERROR store answered: {error}", file=sys.stderr, flush=True)
        body, status = b"", 502
    self.send_response(status)
    self.send_header("Content-Length", str(len(body)))
    self.end_headers()
    self.wfile.write(body)
Handler.do_GET = do_GET
"""
_TESTS = f"""
@pytest.mark.parametrize("page", range({TESTS}))
def test_a_page_shows_its_balance(page):
    try: said = ask("/through")
    except OSError as error: pytest.fail(f"page {{page}} of shop-{{page}}x: {{error}}")
    assert said == "6"
"""
GOOD = "def balance(entries):\n    return b'%d' % (2 * entries)\n"
BAD = "def balance(entries):\n    return b'%d' % (2 * entries.total)\n"


def shop(project: Project, books: str) -> None:
    """`web` shows what it asks `store` for; both take their traffic at once."""
    services = {
        "store": tiny_service(project, "store", _STORE),
        "web": tiny_service(project, "web", _WEB),
    }
    services["web"]["needs"] = ["store"]
    services["web"]["run"]["env"] = {"STORE_URL": "${services.store.url}"}
    project.write("store/books.py", books)
    project.loop(
        "shop",
        environments={"local": {"platform": "local", "strategy": "direct"}},
        services=services,
        suites=[suite(project, _TESTS)],
    )
    project.commit()


def broken(project: Project) -> Ran:
    shop(project, GOOD)
    green = project.run("shop")
    assert green.code == 0, str(green)
    shop(project, BAD)
    ran = project.run("shop", "--max-cycles", "1")
    assert ran.code == 1, str(ran)
    return ran


def test_dozens_of_failing_tests_have_one_cause_the_service_upstream_and_its_commit(
    project: Project,
) -> None:
    ran = broken(project)
    findings = ran.cycle["findings"]
    (cause,) = [finding for finding in findings if finding["under"] is None]
    assert (cause["service"], cause["signature"]) == ("store", "http.500-novel"), str(ran)
    beneath = [finding for finding in findings if finding["under"] == cause["fingerprint"]]
    assert [finding["service"] for finding in beneath] == ["web"]
    assert len({*cause["tests"], *beneath[0]["tests"]}) == TESTS

    said = ran.line("LIKELY CAUSE")
    assert said.startswith("LIKELY CAUSE: store: Requests end in 500: AttributeError in ")
    assert "beneath it 36 tests of web" in said
    assert "(it touched what the evidence names)" in ran.line("CHANGED SINCE GREEN")
    assert re.match(r"NEXT: git -C store show \w+ -- books.py", ran.line("NEXT"))
    statuses = [(why["status"], why["answer"]) for why in cause["whys"]]
    assert statuses[-1][0] == "inferred"
    assert "touched books.py, which the evidence names" in statuses[-1][1]

    worklog = (ran.run / "worklog.md").read_text()
    assert worklog.index("### store: ") < worklog.index("#### Beneath it, web: ")
    assert (ran.run / "report.html").read_text().count('role="img"') == 1

"""`loopctl grade`: what each test of a suite proves against a service that runs already."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rig import CONTROL, Project, Ran, opened, until
from web_service import serving

HELLO = b"hello"

TESTS = """
import os, pathlib, time, urllib.request
from unittest import mock
import pytest

def ask(path="/hello", service="TARGET"):
    url = os.environ["LOOPCTL_URL_" + service]
    with urllib.request.urlopen(url + path, timeout=8) as answer:
        return answer.read()
"""
HONEST = "def test_honest():\n    assert ask() == b'hello'\n"
SWALLOWS = "def test_swallows():\n    try: ask()\n    except OSError: pass\n"
ZOO = (
    HONEST
    + SWALLOWS
    + """
def test_nothing(): pass
def test_health(): assert ask("/health")
def test_mocked():
    with mock.patch("urllib.request.urlopen") as opened:
        opened.return_value.__enter__.return_value.read.return_value = b"hello"
        assert ask() == b"hello"
"""
)
HOSTILE = """
@pytest.mark.parametrize("name", ["a\\x1b]0;owned\\x07\\n\\u202eevil"])
def test_hostile(name):
    assert ask() == b"\\x1b[31m" * 3, "\\x1b[2J" + name
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(HELLO) as url:
        yield url


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with tests and no loop, shared: grading must leave nothing in it anyway."""
    with opened(tmp_path_factory.mktemp("graded")) as project:
        yield project


def grade(project: Project, tests: str, *words: str) -> Ran:
    """`loopctl grade test_it.py …`, without pytest's own cache."""
    project.write("test_it.py", TESTS + tests)
    return project.loopctl("grade", "test_it.py", "--pytest", "-p no:cacheprovider", *words)


def files(project: Project) -> set[Path]:
    return {path for path in project.root.rglob("*") if ".git" not in path.parts}


def table(ran: Ran) -> dict[str, tuple[str, str, str]]:
    """Status, grade and reason by the test's name, as the table shows them, in its order."""
    rows = ran.out.partition("\n\n")[2].splitlines()
    return {
        row.split()[2].partition("::")[2]: (row.split()[0], row.split()[1], below.strip())
        for row, below in zip(rows, [*rows[1:], ""], strict=True)
        if not row.startswith(" ")
    }


def test_each_test_is_told_what_it_proves_and_only_proof_ends_in_0(
    graded: Project, url: str
) -> None:
    before = files(graded)
    ran = grade(graded, ZOO, "--url", url)
    assert ran.code == 1, str(ran)
    assert ran.out.startswith(
        f"PROVED: 2 of 5 passes show observed or better, of target at {url}\n"
        "GRADES: 2 observed, 1 suspect, 1 unproven, 1 contradicted\n"
        "TESTS: 5 collected: 5 passed in "
    )
    assert "WRONG: 3 of 5 passes prove less than observed: " in ran.out
    told = table(ran)
    assert list(told) == [
        *("test_mocked", "test_nothing", "test_health"),
        *("test_honest", "test_swallows"),
    ], "the worst come first"
    assert told["test_mocked"][1] == "contradicted"
    assert told["test_mocked"][2] == "mocked urllib.request.urlopen, no contact with target"
    assert told["test_nothing"][1:] == ("unproven", "no connection was made")
    assert told["test_health"][1:] == ("suspect", "only health paths (/health)")
    assert told["test_honest"][:2] == ("passed", "observed")
    assert "no request log to ask for a receipt" in told["test_honest"][2]
    assert files(graded) == before | {graded.root / "test_it.py"}, "it leaves files behind"

    good = grade(graded, HONEST, "--url", url, "--json")
    assert good.code == 0, str(good)
    document = good.document()
    assert {key: document[key] for key in ("schema", "targets", "require", "exit_code")} == {
        "schema": 1,
        "targets": {"target": url},
        "require": "observed",
        "exit_code": 0,
    }
    (case,) = document["suite"]["cases"]
    assert (case["id"], case["status"], case["grade"]) == (
        "test_it.py::test_honest",
        "passed",
        "observed",
    )
    assert document["suite"]["grades"] == {"observed": 1}


def test_the_control_run_contradicts_what_passes_without_the_service(
    graded: Project, url: str
) -> None:
    ran = grade(graded, HONEST + SWALLOWS, "--url", url, "--control")
    assert ran.code == 1, str(ran)
    told = table(ran)
    assert told["test_swallows"] == (
        "passed",
        "contradicted",
        "it still passes while target is refused (control run)",
    )
    assert told["test_honest"][1] == "observed"
    assert (
        "\n         it fails while target is refused, and while it answers wrongly (control run)\n"
        in ran.out
    )


def test_services_have_names_and_the_least_grade_that_counts_is_asked_for(
    graded: Project, url: str
) -> None:
    both = "def test_both():\n    assert ask(service='WEB') and ask(service='THE_STORE')\n"
    with serving(HELLO) as other:
        named = ("--url", f"web={url}", "--url", f"the-store={other}/")
        ran = grade(graded, both, *named, "--require", "plausible", "--json")
        assert ran.code == 0, str(ran)
        assert ran.document()["targets"] == {"web": url, "the-store": other}
        assert ran.document()["suite"]["grades"] == {"observed": 1}
        strict = grade(graded, both, *named, "--require", "proven")
    assert strict.code == 3, str(strict)
    assert strict.first_line.startswith("PROVED: 0 of 1 passes show proven or better, of web at ")


def test_what_cannot_be_run_is_told_before_a_test_starts(graded: Project, url: str) -> None:
    wrong = ("ftp://x", "http://[::1", f"web={url}", f"web={url}", f"Web={url}", "http://x:99999")
    ran = grade(graded, HONEST, *(word for each in wrong for word in ("--url", each)))
    assert (ran.code, ran.out) == (2, ""), str(ran)
    assert ran.err.count("hint: --url [NAME=]URL") == 5, "all of them at once"
    assert f"--url web={url}: web is named twice" in ran.err
    assert grade(graded, HONEST).code == 2, "nobody is named"

    venv = [sys.executable, "-m", "venv", "--without-pip", str(graded.root / "bare")]
    subprocess.run(venv, check=True, timeout=60, capture_output=True)
    bare = grade(graded, HONEST, "--url", url, "--python", "bare/bin/python")
    assert (bare.code, bare.out) == (4, ""), str(bare)
    assert "bare/bin/python has no pytest" in bare.err
    gone = graded.loopctl("grade", "tests/no_such.py", "x" * 300, "--url", url)
    assert (gone.code, gone.err.count("there is no such file or folder")) == (4, 2), str(gone)
    assert 'bare/bin/python -m pip install "pytest>=7"' in bare.err


def test_a_password_in_an_address_is_refused_and_not_shown(graded: Project, url: str) -> None:
    secret = url.replace("://", "://ana:s3cret-of-ana@")
    for words in (["--url", secret], ["--url", f"web={secret}", "--json"]):
        ran = grade(graded, HONEST, *words)
        assert ran.code == 2, str(ran)
        assert "user name and a password" in ran.out + ran.err
        assert "s3cret" not in ran.out + ran.err
    ran = grade(graded, HONEST, "--url", f"{url}?a=1")
    assert (ran.code, "has a query" in ran.err) == (2, True), str(ran)


def test_nothing_collected_is_unclear_and_a_service_that_is_down_is_said(
    graded: Project, url: str
) -> None:
    assert grade(graded, HONEST, "--url", url, "--pytest", "-k nobody").code == 3
    gone = url.rpartition(":")[0] + ":1"
    ran = grade(graded, HONEST, "--url", gone)
    assert ran.code == 1, str(ran)
    assert f"WRONG: no test reached target at {gone}" in ran.out


def test_hostile_names_and_output_are_shown_inert(graded: Project, url: str) -> None:
    ran = grade(graded, HOSTILE, "--url", url)
    assert ran.code == 1, str(ran)
    assert not CONTROL.search(ran.out + ran.err), repr(ran.out)
    rows = [line for line in ran.out.splitlines() if line.startswith("failed ")]
    assert len(rows) == 1, str(ran)
    assert "evil" in rows[0]
    as_json = grade(graded, HOSTILE, "--url", url, "--json")
    assert as_json.code == 1
    assert as_json.out.isascii()
    assert not CONTROL.search(as_json.out)
    assert json.loads(as_json.out)["suite"]["failed"] == 1


def test_ctrl_c_ends_the_tests_and_leaves_nothing(project: Project, url: str) -> None:
    waits = """
def test_waits():
    ask()
    pathlib.Path("waiting").write_text(str(os.getpid()))
    time.sleep(60)
"""
    project.write("test_it.py", TESTS + waits)
    words = ("test_it.py", "--pytest", "-p no:cacheprovider", "--url", url)
    temporary = project.root / "tmp"
    temporary.mkdir()
    going = project.start("grade", *words, env={"TMPDIR": str(temporary)})
    told = project.root / "waiting"
    until(lambda: told.exists() and told.read_text())
    pid = int(told.read_text())
    going.signal(signal.SIGINT)
    ran = going.end(20)
    assert ran.code == 130, str(ran)
    assert ran.seconds < 15
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert project.processes() == []
    assert list(temporary.iterdir()) == []

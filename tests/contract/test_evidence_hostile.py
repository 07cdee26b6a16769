"""Tests that work against the plugin or their own process: what is counted, and who is named."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_suite_rig import Project
from web_service import serving

from loopctl.evidence.grade import grade
from loopctl.model.evidence import Grade, SuiteEnd

BEFORE_AND_AFTER = """
import ctypes, os, signal, socket, sys, threading, time, urllib.request
URL = os.environ["LOOPCTL_URL_CHAT"]
def ask(): return urllib.request.urlopen(URL + "/x", timeout=10).read()
def test_before(): ask()
def test_hostile():
    {body}
def test_after(): ask()
"""


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture
def project(tmp_path: Path, service: str) -> Project:
    return Project.at(tmp_path, service)


def run(project: Project, body: str, limit_s: float = 30.0) -> SuiteEnd:
    text = BEFORE_AND_AFTER.format(body=body.strip().replace("\n", "\n    "))
    project.write("tests/test_hostile.py", text)
    return project.run(replace(project.spec, test_timeout_s=limit_s))


def statuses(project: Project) -> dict[str, str]:
    assert len({case.id for case in project.cases}) == len(project.cases)
    return {name: str(status) for name, status in project.statuses().items()}


def grade_of(project: Project, name: str) -> Grade:
    return grade(
        project.case(name),
        receipts=(),
        revisions={"chat": "chat-00001-abc"},
        loopback_is_target=True,
        health_paths=(),
        receipts_available=False,
    ).grade


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("ctypes.string_at(0)", "SIGSEGV"),
        ("os.abort()", "SIGABRT"),
        ("os._exit(0)", "exit code 0"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("threading.Thread(target=os._exit, args=(0,)).start(); time.sleep(60)", "exit code 0"),
    ],
)
def test_who_ends_the_process_is_lost_and_the_others_are_run(
    project: Project, body: str, said: str
) -> None:
    run(project, body)
    assert statuses(project) == {
        "test_before": "passed",
        "test_hostile": "lost",
        "test_after": "passed",
    }
    assert said in (project.case("test_hostile").message or "")


@pytest.mark.parametrize(
    "body",
    [
        # In C with the interpreter's lock held: no Python code, no signal handler runs any more.
        "ctypes.PyDLL(None).sleep(60)",
        pytest.param(
            "signal.signal(signal.SIGINT, signal.SIG_IGN); ctypes.CDLL(None).sleep(60)",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_who_hangs_in_c_is_out_of_time_and_the_others_are_run(project: Project, body: str) -> None:
    end = run(project, body, limit_s=1.0)
    assert statuses(project) == {
        "test_before": "passed",
        "test_hostile": "timeout",
        "test_after": "passed",
    }
    assert end.duration_s < 25


@pytest.mark.parametrize(
    "body",
    [
        "for name in [n for n in sys.modules if 'loopctl' in n]: del sys.modules[name]",
        "os.chdir('/')",
        "del os.environ['LOOPCTL_SPOOL'], os.environ['LOOPCTL_TARGETS']",
        "os.environ.clear()",
        "sys.meta_path.clear(); sys.path.clear()",
        "sys.modules['socket'] = None",
    ],
)
def test_who_takes_the_plugins_surroundings_away_is_seen_as_the_others_are(
    project: Project, body: str
) -> None:
    end = run(project, f"ask()\n{body}\nurllib.request.urlopen(URL)")
    assert set(statuses(project).values()) == {"passed"}
    assert end.complete
    for name in ("test_before", "test_hostile", "test_after"):
        assert grade_of(project, name) is Grade.OBSERVED


def test_python_without_a_module_ends_and_names_who_was_never_run(project: Project) -> None:
    end = run(project, "sys.modules.clear()\nask()")
    assert statuses(project) == {"test_before": "passed", "test_hostile": "passed"}
    assert grade_of(project, "test_hostile") is Grade.OBSERVED
    assert not end.complete
    assert "never started: tests/test_hostile.py::test_after" in end.detail


def test_closing_every_descriptor_leaves_the_stream_whole(project: Project) -> None:
    end = run(project, "os.closerange(3, 65536)\nask()")
    assert end.complete  # pytest's own captures are gone, which fails its tests
    assert statuses(project)["test_before"] == "passed"
    assert {statuses(project)[name] for name in ("test_hostile", "test_after")} <= {
        "failed",
        "broken",
    }
    assert grade_of(project, "test_hostile") is Grade.OBSERVED


@pytest.mark.parametrize(
    "body",
    [
        "socket.socket = lambda *a, **k: None",
        "socket.create_connection = lambda *a, **k: None",
        "socket.socket.connect = lambda *a: None\nsocket.socket().connect(('127.0.0.1', 1))",
    ],
)
def test_a_socket_that_is_replaced_for_good_proves_nothing(project: Project, body: str) -> None:
    run(project, body)
    assert statuses(project)["test_hostile"] == "passed"
    assert grade_of(project, "test_before") is Grade.OBSERVED
    assert grade_of(project, "test_hostile") is Grade.UNPROVEN
    assert statuses(project)["test_after"] in ("failed", "broken")


FORK = """
child = os.fork()
if child:
    os.waitpid(child, 0)
    assert False, "the parent's word"
"""


def test_a_forked_child_that_goes_on_as_pytest_has_no_say(project: Project) -> None:
    end = run(project, FORK)
    assert statuses(project) == {
        "test_before": "passed",
        "test_hostile": "failed",
        "test_after": "passed",
    }
    assert "the parent's word" in (project.case("test_hostile").message or "")
    assert (end.collected, end.complete) == (3, True)


FORGED = r"""
import json
spool, me = os.environ["LOOPCTL_SPOOL"], os.environ["PYTEST_CURRENT_TEST"].split(" ")[0]
with open(spool, "a") as lines:
    for event in ({"e": "phase", "phase": "call", "outcome": "passed"}, {"e": "test-end"}):
        lines.write(json.dumps({"t": time.time(), "seq": 9, "pid": 1, "id": me, **event}) + "\n")
    lines.write("{not json\n\x00\xff\n" + "x" * 100_000)
assert False
"""


def test_lines_that_a_test_puts_into_the_stream_make_it_no_whole_one(project: Project) -> None:
    end = run(project, FORGED)
    assert not end.complete
    assert "some that pytest did not write" in end.detail


@pytest.mark.slow
def test_what_a_test_prints_takes_neither_memory_nor_the_end(project: Project) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    body = "for _ in range(200): sys.__stdout__.write('x' * 1_000_000)"
    end = run(project, body)
    assert statuses(project)["test_hostile"] == "passed"
    assert end.complete
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


REPLACED = """
import os, sys
if "AGAIN" not in os.environ:
    os.environ["AGAIN"] = "1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
"""


def test_a_conftest_that_starts_pytest_over_is_heard(project: Project) -> None:
    project.write("conftest.py", REPLACED)
    end = run(project, "ask()")
    assert end.complete, end.detail
    assert set(statuses(project).values()) == {"passed"}


def test_who_becomes_another_process_in_a_test_is_lost_and_has_no_key(project: Project) -> None:
    listing = "import os; print('there:', os.path.exists(os.environ['LOOPCTL_SPOOL'] + '.key'))"
    body = 'os.dup2(os.open("told", os.O_CREAT | os.O_WRONLY), 1)'
    body += f'\nos.execv(sys.executable, [sys.executable, "-c", {listing!r}])'
    run(project, body)
    assert statuses(project)["test_hostile"] == "lost"
    assert (project.root / "told").read_text() == "there: False\n"

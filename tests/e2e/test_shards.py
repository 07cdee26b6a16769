"""A suite in shards: each test once, a crash costs one test, and nothing outlives loopctl."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from kill_rig import AT_ONCE, PATIENT, is_running, processes_of
from rig import Project, Ran, opened, until
from services import tiny_loop
from slow import SLOW

SEEN = """
import pathlib

def note(word):
    with open("seen", "a") as seen:
        seen.write(f"{word} {os.getpid()}\\n")

@pytest.fixture(scope="session", autouse=True)
def session():
    note("session")
    yield
    note("end")
"""
EIGHT = """
@pytest.mark.parametrize("n", range(8))
def test_n(n):
    note(n)
    assert ask()
"""
CRASHES_ONCE = """
@pytest.mark.parametrize("n", range(8))
def test_n(n):
    note(n)
    assert ask()
    if n == 5 and not os.path.exists("crashed"):
        pathlib.Path("crashed").touch()
        os.kill(os.getpid(), 11)
"""
LONG = """
SECONDS = 0.3

@pytest.mark.parametrize("n", range(6))
def test_n(n):
    note(n)
    assert ask()
    time.sleep(SECONDS if n in (0, 2) else 0)
"""
WAITS = """
@pytest.mark.parametrize("n", range(2))
def test_n(n):
    note(n)
    assert ask()
    deadline = time.monotonic() + 50
    while not os.path.exists("let-go") and time.monotonic() < deadline:
        time.sleep(0.02)
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project for loops that each have a name of their own."""
    with opened(tmp_path_factory.mktemp("shards")) as project:
        yield project


def loop(project: Project, tests: str, **keys: Any) -> None:
    project.write(".gitignore", ".loopctl/\n__pycache__/\nseen\ncrashed\nlet-go\ntmp/\n")
    tiny_loop(project, SEEN + tests, **{"service": AT_ONCE, "shards": 2, **keys})


def seen(project: Project) -> list[tuple[str, int]]:
    """What the tests noted, each with its process."""
    lines = (project.root / "seen").read_text().splitlines()
    return [(word, int(pid)) for word, pid in map(str.split, lines)]


def run(project: Project, name: str) -> Ran:
    (project.root / "seen").unlink(missing_ok=True)
    return project.run(name)


def processes(project: Project) -> dict[str, int]:
    """The process of each test, the last one where it ran twice."""
    return {word: pid for word, pid in seen(project) if word.isdigit()}


def times(project: Project) -> Counter[str]:
    """How often each was noted."""
    return Counter(word for word, _ in seen(project))


def once_each(count: int, sessions: int) -> dict[str, int]:
    return {**{str(n): 1 for n in range(count)}, "session": sessions, "end": sessions}


def test_each_test_runs_once_and_earlier_runs_keep_the_longest_apart(shared: Project) -> None:
    loop(shared, LONG, name="long")
    first = run(shared, "long")
    assert first.code == 0, str(first)
    assert times(shared) == once_each(6, sessions=2), "session fixtures run once a shard"
    unknown = processes(shared)
    assert sorted(Counter(unknown.values()).values()) == [3, 3]
    assert unknown["0"] == unknown["2"], "told apart before anybody has timed them"
    suite = first.suite("smoke")
    assert (suite["outcome"], suite["collected"], suite["passed"]) == ("passed", 6, 6)
    assert suite["grades"] == {"proven": 6}, "each is told from what ran beside it"
    kept = first.run / "suites" / "1" / "smoke"
    whole = ["events.jsonl", "stderr.txt", "stdout.txt"]
    assert sorted(path.name for path in kept.iterdir()) == whole
    assert (kept / "stdout.txt").read_text().count("3 passed") == 2

    second = run(shared, "long")
    assert second.code == 0, str(second)
    assert times(shared) == once_each(6, sessions=2)
    assert processes(shared)["0"] != processes(shared)["2"]


@pytest.mark.slow
def test_auto_starts_no_process_for_less_than_it_costs(shared: Project) -> None:
    loop(shared, EIGHT, name="short", shards="auto")
    done = run(shared, "short")
    assert done.code == 0, str(done)
    assert times(shared) == once_each(8, sessions=1)

    much = LONG.replace("0.3", "1.1")
    loop(shared, much, name="much", shards=2)
    assert run(shared, "much").code == 0
    loop(shared, much, name="much", shards="auto")
    done = run(shared, "much")
    assert done.code == 0, str(done)
    assert times(shared) == once_each(6, sessions=2), "more than two seconds of work"


@pytest.mark.slow
def test_a_segfault_costs_one_test_which_is_flaky_where_it_may_be_repeated(
    shared: Project,
) -> None:
    loop(shared, CRASHES_ONCE, name="crash")
    once = run(shared, "crash")
    assert (once.code, once.result["verdict"]) == (3, "unproven"), str(once)
    suite = once.suite("smoke")
    assert (suite["collected"], suite["passed"], suite["lost"]) == (8, 7, 1)
    assert once.case("[5]")["message"] == "pytest was killed by SIGSEGV under it"
    assert "the other 7 ended (with `repeatable: true` it would run again" in once.line("FAILED")
    assert "The test process died under a test" in once.line("LIKELY CAUSE")
    assert "run it alone: pytest 'tests/test_smoke.py::test_n[5]'" in once.line("LIKELY CAUSE")
    shown = once.line("NEXT").removeprefix("NEXT: less ").split()[0]
    assert "Segmentation fault" in (shared.root / shown).read_text()
    assert times(shared) == once_each(8, sessions=3) | {"end": 2}, "one more for what was left"

    (shared.root / "crashed").unlink()
    loop(shared, CRASHES_ONCE, name="crash", repeatable=True)
    again = run(shared, "crash")
    assert (again.code, again.result["verdict"]) == (1, "red"), str(again)
    case = again.case("[5]")
    assert (case["status"], case["grade"]) == ("flaky", "proven")
    assert case["message"] == "lost first: pytest was killed by SIGSEGV under it; passed on retry 1"
    assert again.suite("smoke")["passed"] == 7
    assert "test.flaky" in again.line("LIKELY CAUSE")
    assert times(shared)["5"] == 2
    alone = [word for word, pid in seen(shared) if pid == processes(shared)["5"]]
    assert alone == ["session", "5", "end"], "it is run again by itself"


@pytest.mark.slow
@pytest.mark.parametrize(
    "number",
    [signal.SIGKILL, pytest.param(signal.SIGINT, marks=SLOW)],
    ids=lambda each: each.name,
)
def test_no_shard_outlives_loopctl_and_the_run_goes_on(
    project: Project, number: signal.Signals
) -> None:
    loop(project, WAITS, timeout=PATIENT)
    temporary = project.root / "tmp"
    temporary.mkdir()
    env = {"TMPDIR": str(temporary)}
    going = project.start("run", "web", "-q", env=env)
    folder = going.folder()
    until(lambda: (project.root / "seen").exists() and len(processes(project)) == 2)
    pids = processes(project).values()
    assert len(set(pids)) == 2
    going.signal(number)
    going.end(30)
    until(lambda: not any(map(is_running, pids)))

    (project.root / "let-go").touch()
    ended = project.loopctl("resume", folder.name, "-q", env=env)
    assert ended.code == 0, str(ended)
    assert times(project)["0"] == times(project)["1"] == 2
    until(lambda: not processes_of(folder.name))
    assert not list(temporary.glob("loopctl-spool-*")), "what is not redacted is gone"

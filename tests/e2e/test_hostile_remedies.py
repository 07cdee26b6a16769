"""A remedy may do its worst: the run ends with the right code and nothing of it is left."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rig import CONTROL, Project, Ran, until
from word_loop import (
    REPAIRS,
    ended,
    green_before,
    remedy,
    run_rule,
    script,
    still_served,
    word_loop,
    worklog,
)


def told(ran: Ran) -> None:
    """No trace of a fault of loopctl's own, and every report was written."""
    assert ran.code != 70, str(ran)
    assert "Traceback" not in ran.out + ran.err
    for name in ("worklog.md", "result.json", "summary.json", "junit.xml"):
        assert (ran.run / name).stat().st_size > 0
    assert CONTROL.search(ran.out + worklog(ran)) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("sleep 600\n", id="sleeps"),
        pytest.param("kill -STOP $$\n", id="stops itself"),
        pytest.param("trap '' TERM INT HUP\nwhile :; do sleep 1; done\n", id="ignores signals"),
    ],
)
def test_a_remedy_that_never_ends_is_ended(served: tuple[Project, Ran], text: str) -> None:
    project, before = served
    script(project, text)
    word_loop(project, run_rule(timeout="500ms"))
    services = len(project.processes())
    ran = project.run("web", timeout=30)
    assert ended(ran) == (1, "needs-human", 1), str(ran)
    assert remedy(ran)["result"] == "failed"
    assert "./fix.sh was not finished within 0.5 s" in ran.line("TRIED")
    assert ran.stage("remediate")["duration_s"] < 6
    until(lambda: len(project.processes()) <= services)
    still_served(ran, before)
    told(ran)


@pytest.fixture
def pid_file(tmp_path: Path) -> Iterator[Path]:
    """Where a remedy's daemon writes its process id; the daemon is ended after the test."""
    file = tmp_path / "daemon.pid"
    yield file
    with contextlib.suppress(OSError, ValueError):
        os.kill(int(file.read_text()), signal.SIGKILL)


def is_gone(pid_file: Path) -> bool:
    """Whether the process has ended; its zombie may wait for whoever inherited it."""
    try:
        status = Path(f"/proc/{int(pid_file.read_text())}/stat").read_text()
    except OSError:
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


@pytest.mark.slow
@pytest.mark.parametrize(
    "kept",
    [
        pytest.param("", id="pipes"),
        pytest.param(" >/dev/null 2>&1 </dev/null", id="quiet"),
    ],
)
def test_a_daemon_of_a_remedy_does_not_outlive_it(
    served: tuple[Project, Ran], pid_file: Path, kept: str
) -> None:
    """In a session of its own, in another folder, without our environment, its pipes held open."""
    project, before = served
    daemon = f"echo $$ > {pid_file}; cd /; exec env -i sleep 600"
    script(
        project,
        f"setsid sh -c '{daemon}'{kept} &\n"
        f"while ! [ -s {pid_file} ]; do sleep 0.02; done\nexit 75\n",
    )
    word_loop(project, run_rule())
    ran = project.run("web")
    assert ended(ran) == (1, "needs-human", 1), str(ran)
    assert ran.stage("remediate")["duration_s"] < 10
    until(lambda: is_gone(pid_file), 3)
    still_served(ran, before)
    told(ran)


@pytest.mark.slow
def test_a_remedy_that_kills_its_parent_ends_neither_run_nor_services(
    served: tuple[Project, Ran], pid_file: Path
) -> None:
    project, before = served
    script(project, f"echo $$ > {pid_file}\nkill -9 $PPID\nsleep 600\n")
    word_loop(project, run_rule(timeout="2s"))
    ran = project.run("web", timeout=30)
    assert ended(ran) == (1, "needs-human", 1), str(ran)
    assert remedy(ran)["result"] == "failed"
    until(lambda: is_gone(pid_file), 5)
    still_served(ran, before)
    told(ran)


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param("rm -rf .git", id="deletes"),
        pytest.param("echo nothing > .git/HEAD", id="breaks", marks=pytest.mark.slow),
    ],
)
def test_a_remedy_that_deletes_or_breaks_git_is_refused(
    served: tuple[Project, Ran], harm: str
) -> None:
    project, before = served
    script(project, f"{REPAIRS}{harm}\n")
    word_loop(project, run_rule())
    ran = project.run("web")
    assert ended(ran) == (1, "remedy-refused", 1), str(ran)
    assert "it has removed or broken the git repository" in ran.line("TRIED")
    still_served(ran, before)
    told(ran)


OF_GIT = {
    ".git/config": "git config core.hooksPath web",
    ".git/hooks/post-commit": "echo '#!/bin/sh' > .git/hooks/post-commit",
    ".git/info/attributes": "echo '* filter=x' > .git/info/attributes",
    ".git/core.excludesFile": "mkdir -p ~/.config/git && echo new > ~/.config/git/ignore",
}


@pytest.mark.parametrize(
    "changed",
    [".git/config", *(pytest.param(each, marks=pytest.mark.slow) for each in [*OF_GIT][1:])],
)
def test_a_remedy_that_changes_what_git_goes_by_is_refused(project: Project, changed: str) -> None:
    script(project, f"{REPAIRS}mkdir -p .git/hooks .git/info\n{OF_GIT[changed]}\ntouch new\n")
    word_loop(project, run_rule(), may_edit=["../new"])
    ran = project.run("web")
    assert ended(ran) == (1, "remedy-refused", 1), str(ran)
    assert f"it changed what it may not: {changed} (see" in ran.line("TRIED")
    told(ran)


@pytest.mark.slow
def test_what_git_goes_by_may_be_changed_where_the_loop_file_says_so(project: Project) -> None:
    script(project, f"{REPAIRS}git config pull.rebase true\n")
    word_loop(project, run_rule(), may_edit=["../.git/config"])
    ran = project.run("web")
    assert ended(ran) == (0, "green", 2), str(ran)
    assert ".git/config" in ran.line("TRIED")


@pytest.mark.slow
def test_a_remedy_may_commit_what_it_repairs_on_a_branch_of_its_own(project: Project) -> None:
    who = "-c user.name=r -c user.email=r@example.test"
    commits = f"git switch -q -c mended\ngit add web/word.txt\ngit {who} commit -q -m 'mend it'\n"
    script(project, f"set -e\n{REPAIRS}{commits}")
    word_loop(project, run_rule())
    ran = project.run("web")
    assert ended(ran) == (0, "green", 2), str(ran)
    assert ran.line("TRIED").startswith(
        "TRIED: cycle 1: run, done: ./fix.sh changed web/word.txt ("
    )


POISON = f"""{sys.executable} - <<'END'
import marshal, pathlib
text = pathlib.Path('tests/test_smoke.py').read_text().replace("== 'good'", "!= 'good'")
code = marshal.dumps(compile(text, 'tests/test_smoke.py', 'exec'))
for cached in pathlib.Path('tests/__pycache__').glob('test_smoke.*.pyc'):
    cached.write_bytes(cached.read_bytes()[:16] + code)
    print('poisoned', cached.name)
END
"""


def test_a_remedy_that_poisons_what_python_compiled_of_the_tests_turns_nothing_green(
    served: tuple[Project, Ran],
) -> None:
    project, before = served
    # Another image, as the same one passing now would be called flaky.
    script(project, f"{POISON}touch web/notes.txt\n")
    word_loop(project, run_rule())
    ran = project.run("web", env={"PYTHONDONTWRITEBYTECODE": ""})
    assert ended(ran) == (1, "needs-human", 2), str(ran)
    assert "poisoned test_smoke" in (ran.run / "remedies" / "1" / "1.txt").read_text()
    assert "./fix.sh changed web/notes.txt" in ran.line("TRIED")
    still_served(ran, before)


@pytest.mark.slow
def test_a_remedy_that_leads_the_source_elsewhere_brings_nothing_in(
    served: tuple[Project, Ran], tmp_path: Path
) -> None:
    project, before = served
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "private").write_text("a private file of the user\n")
    script(project, f"cp web/* {outside}/\nrm -r web\nln -s {outside} web\n")
    word_loop(project, run_rule())
    ran = project.run("web")
    assert ran.code != 0, str(ran)
    assert not list(project.runs_dir.glob("**/private")), "nothing was copied in"
    still_served(ran, before)
    told(ran)


@pytest.mark.slow
def test_a_flood_is_kept_bounded_and_shown_as_one_line(served: tuple[Project, Ran]) -> None:
    project, before = served
    flood = r"head -c 8000000 /dev/zero | tr '\0' x"
    script(project, f"{flood}\nprintf '\\n\\033[31mlast\\007 words\\n'\nexit 3\n")
    word_loop(project, run_rule())
    ran = project.run("web")
    assert ended(ran) == (1, "needs-human", 1), str(ran)
    kept = ran.run / "remedies" / "1" / "1.txt"
    assert 1_000_000 < kept.stat().st_size < 1_100_000
    assert b"bytes were left out here" in kept.read_bytes()
    assert "./fix.sh ended with 3" in ran.line("TRIED")
    assert "last" in ran.line("TRIED")
    assert max(map(len, ran.out.splitlines())) < 4000
    still_served(ran, before)
    told(ran)


def test_a_remedy_that_prints_a_secret_prints_stars(project: Project) -> None:
    secret = "hunter-two-is-a-secret-value"
    script(
        project,
        "printf 'the token is hunter-two'\nsleep 0.2\nprintf '%s\\n' '-is-a-secret-value'\n"
        "printf hunter-two-is-a-secret-value > web/told.txt\nexit 3\n",
    )
    given = {"secrets": {"TOKEN": {"value": "${THE_TOKEN}"}}}
    word_loop(project, run_rule(), service=given)
    ran = project.run("web", env={"THE_TOKEN": secret})
    assert ended(ran) == (1, "needs-human", 1), str(ran)
    assert "the token is" in ran.line("TRIED")
    for file in ran.run.rglob("*"):
        assert not file.is_file() or secret.encode() not in file.read_bytes(), file
    assert secret not in ran.out + ran.err


@pytest.mark.slow
def test_a_remedy_that_opens_every_folder_leaves_the_reports_private(
    served: tuple[Project, Ran],
) -> None:
    project, before = served
    script(project, "chmod -R a+rwX .loopctl\nchmod +x web/word.txt\numask 0\nexit 4\n")
    word_loop(project, run_rule())
    ran = project.run("web")
    assert ended(ran) == (1, "needs-human", 1), str(ran)
    assert remedy(ran)["changed_source"] is True, "a file's mode is part of the source"
    for name in ("worklog.md", "result.json"):
        assert stat.S_IMODE((ran.run / name).stat().st_mode) == 0o600
    still_served(ran, before)
    told(ran)


@pytest.mark.slow
def test_a_remedy_that_makes_a_test_executable_has_changed_it(
    served: tuple[Project, Ran],
) -> None:
    project, before = served
    script(project, "chmod +x tests/test_smoke.py\n")
    word_loop(project, run_rule())
    ran = project.run("web")
    assert ended(ran) == (1, "remedy-refused", 1), str(ran)
    assert "tests/test_smoke.py" in ran.line("TRIED")
    still_served(ran, before)


@pytest.mark.slow
def test_a_remedy_that_fills_the_disk_is_told(project: Project, small_disk: Path) -> None:
    before = green_before(project)
    script(project, f"cat /dev/zero > {small_disk}/filler\n{REPAIRS}")
    word_loop(project, run_rule())
    ran = project.run("web", timeout=60)
    assert ran.code in (1, 4, 5), str(ran)
    assert "Traceback" not in ran.out + ran.err
    assert "pace" in ran.out + ran.err, "what is missing is named: space"
    (small_disk / "filler").unlink()
    assert project.serving("web")["web"] == {before.service("web")["revision"]: 100}
    word_loop(project, word="good")
    after = project.run("web")
    assert after.code == 0, str(after)


@pytest.mark.slow
def test_a_remedy_that_deletes_the_run_ends_it_with_words(project: Project) -> None:
    script(project, f"{REPAIRS}rm -rf .loopctl/runs\n")
    word_loop(project, run_rule())
    ran = project.run("web")
    assert ran.code == 1, str(ran)
    assert "Traceback" not in ran.out + ran.err
    assert "TRIED: cycle 1: run, begun and not ended: " in ran.out
    assert "it was deleted" in ran.line("TRIED")
    assert "result.json could not be written" in ran.err


def test_a_signal_ends_a_remedy_with_all_it_started(
    served: tuple[Project, Ran], pid_file: Path
) -> None:
    project, before = served
    script(project, f"sh -c 'echo $$ > {pid_file}; exec sleep 600'\n{REPAIRS}")
    word_loop(project, run_rule(timeout="5m"))
    going = project.start("run", "web", "-q")
    until(lambda: pid_file.exists() and pid_file.read_text().strip())
    going.signal(signal.SIGINT)
    ran = going.end(15)
    assert ended(ran) == (130, "interrupted", 1), str(ran)
    assert "TRIED: cycle 1: run, begun and not ended: stopped by SIGINT" in ran.out
    until(lambda: is_gone(pid_file), 5)
    still_served(ran, before)
    told(ran)

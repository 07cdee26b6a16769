"""A disk that is full, or broken, in the middle of a run: told by name, and users are left alone.

A full disk is a small file system that is filled by the suite itself; a broken device gives EIO
for the files that a test names, from the moment it says so.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from rig import Project, Ran, met_by_users, until
from services import ASKS, suite, tiny_loop, tiny_service
from shim import Shim

AT_ONCE = {"health": {"path": "/health", "stable_for": "0s", "timeout": "20s"}}


@pytest.fixture
def shim(tmp_path: Path) -> Shim:
    return Shim.built(tmp_path)


class Site:
    """A project that serves a good revision, and whose next runs meet the shim's faults."""

    def __init__(self, project: Project, shim: Shim) -> None:
        self.project = project
        self.shim = shim
        self.loop()
        good = project.run("web")
        assert good.code == 0, str(good)
        self.good = good
        self.url = good.stable_url
        self.revision = good.service("web")["revision"]
        self.kept = files(good.run)

    def loop(self, tests: str = ASKS, **keys: Any) -> None:
        tiny_loop(self.project, tests, service={**AT_ONCE, **keys.pop("service", {})}, **keys)

    def run(self, **env: str) -> Ran:
        return self.project.run("web", env={**self.shim.env, **env})

    def is_told(self, ran: Ran) -> None:
        """Clear words, users at what served before, and the other run as it was."""
        assert "Traceback" not in ran.err, str(ran)
        assert "internal fault" not in ran.err, str(ran)
        assert met_by_users(self.url) == self.revision
        assert files(self.good.run) == self.kept

    def goes_on(self, ran: Ran) -> None:
        """Once there is room again, the run is gone on with to its end, and so is a new one."""
        self.shim.mends()
        resumed = self.resume(ran)
        assert resumed.code == 0, str(resumed)
        assert ran.result["verdict"] == "green"
        self.next_run_is_green()

    def resume(self, ran: Ran) -> Ran:
        return self.project.loopctl("resume", ran.run.name, "-q", env=self.shim.env)

    def next_run_is_green(self) -> None:
        after = self.run()
        assert after.code == 0, str(after)
        assert met_by_users(self.url) == after.service("web")["revision"]


def files(folder: Path) -> Mapping[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def site(project: Project, shim: Shim) -> Iterator[Site]:
    yield Site(project, shim)
    # What takes the project down meets the shim as well.
    shim.mends()


def breaking(shim: Shim, part: str, number: int = errno.EIO) -> str:
    """Lines of a test that break the device, the first time that they are run."""
    once = str(shim.disk.with_suffix(".once"))
    return (
        f"    if not os.path.exists({once!r}):\n"
        f"        open({once!r}, 'w').close()\n"
        f"        open({str(shim.disk)!r}, 'w').write('{number} ' + {part})\n"
    )


JOURNAL = "'/journal.jsonl'"


@pytest.mark.slow
def test_a_journal_that_breaks_while_cases_are_written_ends_the_run_soon(site: Site) -> None:
    waits = "        time.sleep(25)\n"
    breaks = breaking(site.shim, JOURNAL)
    site.loop(
        f"{ASKS}def test_breaks():\n    ask()\n{breaks}{waits}",
        timeout={"suite": "60s", "test": "50s"},
    )
    ran = site.run()
    assert ran.code == 5, str(ran)
    assert ran.result["stop_reason"] == "fatal"
    assert "journal.jsonl" in ran.line("FAILED")
    assert "Input/output error" in ran.out
    assert "device" in ran.out, "it says what to do"
    assert ran.seconds < 20, "nobody waits for the end of the suite"
    site.is_told(ran)
    site.shim.mends()
    refused = site.resume(ran)
    assert refused.code == 3, str(refused)
    assert ran.result["stop_reason"] == "environment-moved", "its own restore is not on record"
    site.is_told(refused)
    site.next_run_is_green()


@pytest.mark.slow
def test_a_journal_on_a_disk_that_has_room_again_tells_the_end_of_its_run(site: Site) -> None:
    """The suite that filled the disk is gone with its files before the run ends."""
    filled = breaking(site.shim, JOURNAL, errno.ENOSPC) + "        time.sleep(25)\n"
    site.loop(
        f"{ASKS}def test_fills():\n    ask()\n{filled}", timeout={"suite": "60s", "test": "50s"}
    )
    going = site.project.start("run", "web", "-q", env=site.shim.env)
    sockets = going.folder() / "logs" / "1" / "web.requests.jsonl"
    until(sockets.exists)
    site.shim.mends()
    ran = going.end()
    assert ran.code == 5, str(ran)
    assert "No space left" in ran.line("FAILED")
    # A test that was too slow to make room in time has another journal before it.
    is_told = b'"kind":"run.ended"' in (ran.run / "journal.jsonl").read_bytes()
    refused = site.resume(ran)
    assert refused.code == (2 if is_told else 3), str(refused)
    assert not is_told or "has ended undelivered" in refused.err
    site.is_told(ran)


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(errno.EIO, id="EIO", marks=pytest.mark.slow),
        pytest.param(errno.ENOSPC, id="ENOSPC", marks=pytest.mark.slow),
    ],
)
def test_a_journal_that_breaks_while_it_builds_leaves_users_alone(site: Site, number: int) -> None:
    disk = site.shim.disk
    breaks = f"[ -e {disk}.once ] || {{ touch {disk}.once; echo {number} /journal.jsonl >{disk}; }}"
    site.loop(service={"build": {"steps": [breaks]}})
    ran = site.run()
    assert ran.code == 5, str(ran)
    assert "journal.jsonl" in ran.line("FAILED")
    site.is_told(ran)
    site.goes_on(ran)


@pytest.mark.slow
def test_a_journal_that_breaks_while_traffic_is_put_back_hides_nothing(site: Site) -> None:
    """COLLECT and SETTLE follow a red suite; the journal breaks as the first of them begins."""
    site.loop(ASKS + "def test_fails():\n    ask()\n    assert False\n")
    going = site.project.start("run", "web", "-q", env=site.shim.env)
    journal = going.folder() / "journal.jsonl"
    until(lambda: journal.exists() and b'"to":"collect"' in journal.read_bytes())
    site.shim.breaks("/journal.jsonl")
    ran = going.end()
    assert ran.code in (1, 5), str(ran)
    assert ran.result["verdict"] in ("red", "undelivered")
    site.is_told(ran)
    site.shim.mends()
    resumed = site.resume(ran)
    assert resumed.code in (1, 3), str(resumed)
    site.is_told(ran)


@pytest.mark.slow
def test_a_journal_that_breaks_after_the_promotion_is_no_green(site: Site) -> None:
    breaks = f"{ASKS}def test_breaks():\n    ask()\n{breaking(site.shim, JOURNAL)}"
    after = suite(site.project, breaks, "after", phase="confirm")
    spec = {**tiny_service(site.project), **AT_ONCE}
    site.project.loop("web", services={"web": spec}, suites=[suite(site.project), after])
    site.project.commit()
    ran = site.run()
    assert ran.code == 5, str(ran)
    assert ran.result["verdict"] == "undelivered"
    assert "journal.jsonl" in ran.line("FAILED")
    assert ran.line("RESTORE").startswith("RESTORE: done")
    site.is_told(ran)
    site.shim.mends()
    resumed = site.resume(ran)
    assert resumed.code == 3, str(resumed)
    assert ran.result["stop_reason"] == "environment-moved", "its own restore is not on record"
    site.is_told(resumed)


@pytest.mark.slow
def test_reports_that_cannot_be_written_change_no_verdict_and_are_named(site: Site) -> None:
    reports = "os.environ['LOOPCTL_RUN_ID'] + '/.loopctl-'"
    site.loop(f"{ASKS}def test_breaks():\n    ask()\n{breaking(site.shim, reports)}")
    ran = site.run()
    assert ran.code == 0, str(ran)
    for name in ("summary.json", "result.json", "worklog.md", "junit.xml"):
        assert f"{name} could not be written" in ran.err
        assert not (ran.run / name).exists()
    assert "device" in ran.err, "it says what to do"
    assert f"loopctl report {ran.run.name}" in ran.err
    assert "Traceback" not in ran.err
    refused = site.project.loopctl("report", ran.run.name, env=site.shim.env)
    assert refused.code == 5, str(refused)
    site.shim.mends()
    again = site.project.loopctl("report", ran.run.name, "--json")
    assert again.document()["verdict"] == "green"
    assert ran.result["verdict"] == "green"


@pytest.mark.slow
@pytest.mark.parametrize(
    "file", ["web.jsonl", pytest.param("web.requests.jsonl", marks=pytest.mark.slow)]
)
def test_logs_that_cannot_be_kept_are_said_to_be_missing(site: Site, file: str) -> None:
    # One file at a time: both are written at once, and the first that breaks is told.
    kept = f"os.environ['LOOPCTL_RUN_ID'] + '/logs/1/{file}'"
    site.loop(f"{ASKS}def test_breaks():\n    ask()\n{breaking(site.shim, kept)}")
    ran = site.run()
    assert ran.code == 0, str(ran)
    worklog = (ran.run / "worklog.md").read_text()
    assert "the logs of web could not be kept" in worklog
    assert "Input/output error" in worklog
    assert f"/logs/1/{file}" in worklog


@pytest.mark.slow
def test_a_service_log_that_breaks_costs_no_run_and_is_never_called_complete(
    project: Project, shim: Shim
) -> None:
    shim.hosts(project)
    # The first line of each revision is the host's own: not even that is taken.
    shim.breaks("/logs/web/")
    tiny_loop(project, service=AT_ONCE)
    ran = project.run("web", env=shim.env)
    assert ran.code == 0, str(ran)
    assert (ran.run / "logs" / "1" / "web.jsonl").read_text() == ""
    assert "has not even its start" in (ran.run / "worklog.md").read_text()
    shim.mends()
    after = project.run("web", env=shim.env)
    assert after.code == 0, str(after)
    assert "listening" in (after.run / "logs" / "1" / "web.jsonl").read_text()
    assert "not even its start" not in (after.run / "worklog.md").read_text()


@pytest.mark.slow
def test_a_host_without_a_disk_puts_traffic_back_all_the_same(project: Project, shim: Shim) -> None:
    shim.hosts(project)
    tiny_loop(project, service=AT_ONCE)
    good = project.run("web")
    assert good.code == 0, str(good)
    full = breaking(shim, "'/hosts/local/.loopctl-'", errno.ENOSPC)
    fails = f"{ASKS}def test_fails():\n    ask()\n{full}    assert False\n"
    after = suite(project, fails, "after", phase="confirm")
    spec = {**tiny_service(project), **AT_ONCE}
    project.loop("web", services={"web": spec}, suites=[suite(project), after])
    project.commit()
    ran = project.run("web")
    assert ran.code == 1, str(ran)
    assert ran.line("RESTORE").startswith("RESTORE: done")
    revision = good.service("web")["revision"]
    assert project.serving("web") == {"web": {revision: 100}}
    assert met_by_users(good.stable_url) == revision
    shim.mends()
    tiny_loop(project, service=AT_ONCE)
    assert project.run("web").code == 0


@pytest.mark.slow
def test_a_lease_that_cannot_be_written_changes_nothing_and_is_named(site: Site) -> None:
    site.shim.breaks("/leases/")
    ran = site.run()
    assert ran.code == 4, str(ran)
    assert "Input/output error" in ran.line("FAILED")
    assert "/leases/" in ran.line("FAILED")
    site.is_told(ran)

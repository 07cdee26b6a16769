"""A journal that is damaged, cut, or not ours: read as far as it can be, gone on with or refused.

One green run is made; each test gets its journal changed in some way. What is read is read by
`show`, `report`, `runs` and `watch`; the readings at every byte are done through `loopctl.api`.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kill_rig import labels, numbers
from rig import Project, Ran, met_by_users, opened
from services import tiny_loop
from slow import but_slow

from loopctl import api
from loopctl.errors import LoopctlError

LAST = 4096
REPORTS = ("result.json", "worklog.md", "junit.xml", "summary.json")
AT_ONCE = {"health": {"path": "/health", "stable_for": "0s", "timeout": "20s"}}


@dataclass(frozen=True, slots=True)
class Site:
    """A green run, and its journal as it was."""

    project: Project
    green: Ran
    revision: str
    lines: tuple[bytes, ...]

    @property
    def run(self) -> str:
        return self.green.run.name

    @property
    def file(self) -> Path:
        return self.green.run / "journal.jsonl"

    @property
    def whole(self) -> bytes:
        return b"".join(self.lines)

    def journal(self, content: bytes) -> None:
        """Let the run have this journal, and no reports: as after a kill."""
        self.file.write_bytes(content)
        for name in REPORTS:
            (self.green.run / name).unlink(missing_ok=True)

    def line(self, number: int, **changed: Any) -> bytes:
        """A line of the journal, from 0, with some of its fields changed; None leaves one out."""
        document = {**json.loads(self.lines[number]), **changed}
        kept = {name: value for name, value in document.items() if value is not None}
        return json.dumps(kept).encode() + b"\n"

    def at(self, number: int, *instead: bytes) -> bytes:
        """The journal with other lines in place of one."""
        return b"".join((*self.lines[:number], *instead, *self.lines[number + 1 :]))

    def number(self, kind: str) -> int:
        return next(n for n, text in enumerate(self.lines) if json.loads(text)["kind"] == kind)

    def look(self, *arguments: str) -> Ran:
        """A command that only reads: it changes not a byte of the journal."""
        before = self.file.read_bytes()
        ran = self.project.loopctl(*arguments)
        assert self.file.read_bytes() == before
        assert_told(ran)
        return ran

    def resume(self) -> Ran:
        ran = self.project.loopctl("resume", self.run, "-q")
        assert_told(ran)
        return ran

    def users_are_served(self) -> None:
        assert met_by_users(self.green.stable_url) == self.revision


def assert_told(ran: Ran) -> None:
    assert "Traceback" not in ran.err, str(ran)
    assert "internal fault" not in ran.err, str(ran)
    assert ran.code != 70, str(ran)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with opened(tmp_path_factory.mktemp("journals")) as project:
        tiny_loop(project, service=AT_ONCE)
        green = project.run("web")
        assert green.code == 0, str(green)
        lines = (green.run / "journal.jsonl").read_bytes().splitlines(keepends=True)
        yield Site(project, green, green.service("web")["revision"], tuple(lines))


@pytest.fixture
def site(made: Site) -> Iterator[Site]:
    """The run; its reports are put back for the next test."""
    kept = {name: (made.green.run / name).read_bytes() for name in REPORTS}
    yield made
    if made.file.is_dir():
        made.file.rmdir()
    made.file.write_bytes(made.whole)
    for name, content in kept.items():
        (made.green.run / name).write_bytes(content)


def copied(site: Site, place: Path) -> Path:
    """The run's folder, elsewhere, for what is read in this process."""
    folder = place / "runs" / site.run
    shutil.copytree(site.green.run, folder)
    return folder


def read_all(folder: Path) -> api.Worklog:
    """All that `show`, `report` and `watch` read, each report whole."""
    worklog = api.watch(folder)
    assert api.worklog_of(folder) == worklog
    api.report(folder)
    assert json.loads((folder / "result.json").read_text())["run_id"] == worklog.run.run_id
    return worklog


def test_a_journal_is_read_wherever_it_is_cut(site: Site, tmp_path: Path) -> None:
    folder = copied(site, tmp_path)
    file, whole = folder / "journal.jsonl", site.whole
    boundaries = {len(whole) - len(b"".join(site.lines[n:])) for n in range(len(site.lines))}
    for length in range(len(whole) - 1, len(whole) - LAST, -1):
        file.write_bytes(whole[:length])
        worklog = api.worklog_of(folder)
        assert worklog.ended is None
        assert not worklog.unrecognised
        if length in boundaries:
            read_all(folder)
    (folder / "summary.json").unlink(missing_ok=True)
    (found,) = api.runs(tmp_path)
    assert found.state == "interrupted"


def test_a_journal_without_a_first_event_is_said_to_have_no_beginning(
    site: Site, tmp_path: Path
) -> None:
    folder = copied(site, tmp_path)
    for length in range(len(site.lines[0])):
        (folder / "journal.jsonl").write_bytes(site.whole[:length])
        with pytest.raises(LoopctlError, match="no beginning of a run"):
            api.worklog_of(folder)


def test_a_byte_that_changed_is_seen_or_read_and_never_a_crash(site: Site, tmp_path: Path) -> None:
    folder = copied(site, tmp_path)
    chance = random.Random(3)
    refused = []
    for _ in range(600):
        damaged = bytearray(site.whole)
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(len(damaged))] = chance.choice(b'09{}[]",:-aZ\n\0\xff ')
        (folder / "journal.jsonl").write_bytes(damaged)
        try:
            read_all(folder)
        except LoopctlError as error:
            refused.append(str(error))
    assert all("journal" in said for said in refused)
    assert len(refused) > 100


def test_every_end_of_a_journal_of_zeros_is_a_power_cut(site: Site, tmp_path: Path) -> None:
    folder = copied(site, tmp_path)
    kept = b"".join(site.lines[:-3])
    for end in (b"\0" * 700, b"\0" * 700 + b"\n", b"\0" * 9 + site.lines[-3][9:]):
        (folder / "journal.jsonl").write_bytes(kept + end)
        assert read_all(folder).ended is None


UNTRUSTED = ("dup", "missing", "garbage", "bytes", "deep", "type", "infinite", "time", "order")


def untrusted(site: Site, how: str) -> bytes:
    build = site.number("source.read")
    number = json.loads(site.lines[build])["seq"]
    return {
        "dup": site.at(build, site.lines[build], site.lines[build]),
        "missing": site.at(build),
        "garbage": site.at(build, b"it says nothing\n"),
        "bytes": site.at(build, b"\xff\xfe\x00\n"),
        "deep": site.at(build, b"[" * 100_000 + b"\n"),
        "type": site.at(build, site.line(build, service=["web"])),
        "infinite": site.at(build, site.line(build, seq=1).replace(b'"seq": 1', b'"seq": 1e999')),
        "time": site.at(build, site.line(build, at="2026-01-01T00:00:00")),
        "order": site.at(build, site.line(0, seq=number)),
    }[how]


@pytest.mark.parametrize("how", but_slow(UNTRUSTED, ("dup", "garbage", "bytes", "order")))
def test_a_journal_that_is_not_to_be_trusted_is_named_with_what_to_do(site: Site, how: str) -> None:
    site.journal(untrusted(site, how))
    words = ["show"] if how in ("dup", "deep") else []
    for command in (*words, "report"):
        read = site.look(command, site.run)
        assert read.code == 5, str(read)
        assert "journal" in read.err
        assert "not to be trusted" in read.err
        assert "journal.jsonl" in read.err
    assert not (site.green.run / "worklog.md").exists()
    refused = site.resume()
    assert refused.code == 4, str(refused)
    assert "nothing was changed" in refused.err
    assert "not to be trusted" in refused.err
    assert site.file.read_bytes() == untrusted(site, how), "it is left for whoever looks"
    site.users_are_served()


def test_a_journal_that_is_not_to_be_trusted_costs_no_other_run(site: Site) -> None:
    site.journal(untrusted(site, "garbage"))
    listed = site.look("runs", "--json")
    assert [run["run_id"] for run in listed.document()["runs"]] == [site.run]
    watched = site.look("watch", site.run)
    assert watched.code == 5, str(watched)
    other = site.project.run("web", "--from", "verify")
    assert other.code == 0, str(other)
    shutil.rmtree(other.run)


def test_what_a_later_version_wrote_is_passed_over_aloud_and_not_gone_on_with(site: Site) -> None:
    note, promoted = site.number("not-checked"), site.number("traffic.routed")
    later = list(site.lines[:-1])
    later[note] = site.line(note, kind="dream.dreamt")
    later[promoted] = site.line(promoted, v=2)
    site.journal(b"".join(later))
    for command in ("show", "watch", "report"):
        read = site.look(command, site.run)
        assert read.code == (3 if command == "watch" else 0), str(read)
        if command == "show":
            assert "dream.dreamt" in read.err
            assert "traffic.routed of version 2" in read.err
    assert "dream.dreamt" in (site.green.run / "worklog.md").read_text()
    refused = site.resume()
    assert refused.code == 2, str(refused)
    assert "dream.dreamt" in refused.err
    assert "nothing was changed" in refused.err
    assert "later" in refused.err
    assert site.file.read_bytes() == b"".join(later)


def test_a_journal_that_a_later_version_began_is_told_as_that(site: Site) -> None:
    site.journal(b"".join(site.line(number, v=2) for number in range(len(site.lines))))
    read = site.look("show", site.run)
    assert read.code == 5, str(read)
    assert "later version" in read.err
    assert "worklog.md" in read.err
    refused = site.resume()
    assert refused.code == 2, str(refused)
    assert "later version" in refused.err
    assert "nothing was changed" in refused.err


def test_the_journal_of_another_run_is_not_gone_on_with(site: Site) -> None:
    begins = json.loads(site.lines[0])
    begins["data"]["run_id"] = "20200101-000000-other-abcd"
    site.journal(site.at(0, json.dumps(begins).encode() + b"\n"))
    refused = site.resume()
    assert refused.code == 2, str(refused)
    assert "20200101-000000-other-abcd" in refused.err
    assert "nothing was changed" in refused.err
    site.users_are_served()


@pytest.mark.slow
def test_no_journal_and_no_content_are_told(site: Site) -> None:
    for content in (b"", b"\0" * 4096, b"\n"):
        site.journal(content)
        read = site.look("show", site.run)
        assert read.code == 5, str(read)
        refused = site.resume()
        assert refused.code in (2, 4), str(refused)
        assert "nothing was changed" in refused.err
    site.file.unlink()
    site.file.mkdir()
    for command in ("show", "report", "watch", "resume"):
        ran = site.project.loopctl(command, site.run)
        assert_told(ran)
        assert ran.code == 2, str(ran)
        assert "has no journal" in ran.err
    assert "unreadable" in site.project.loopctl("runs").out


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_journal_without_permission_is_named(site: Site) -> None:
    for closed in (site.file, site.green.run):
        mode = closed.stat().st_mode
        closed.chmod(0)
        try:
            for command in ("show", "report", "watch", "resume"):
                ran = site.project.loopctl(command, site.run)
                assert_told(ran)
                assert ran.code == (4 if command == "resume" else 5), str(ran)
                assert "permission" in ran.err.lower()
        finally:
            closed.chmod(mode)


def ends_as_it_should(site: Site, content: bytes) -> None:
    """Resumed from this journal it comes to the end of the undisturbed run, with its deploy."""
    before = numbers(site.project)
    site.journal(content)
    ran = site.resume()
    assert ran.code == 0, str(ran)
    assert labels(site.green.run)[-1] == "finished confirm"
    result = json.loads((site.green.run / "result.json").read_text())
    assert result["verdict"] == "green"
    (suite,) = result["cycles"][-1]["suites"]
    assert (suite["passed"], suite["collected"]) == (1, 1)
    assert numbers(site.project) == before, "nothing was deployed a second time"
    site.users_are_served()


def sampled(site: Site) -> Iterable[int]:
    """Lengths of torn journals: in the middle of lines of each part of a run."""
    for kind in ("source.read", "revision.deployed", "suite.started", "traffic.routed"):
        number = site.number(kind)
        yield len(b"".join(site.lines[:number])) + len(site.lines[number]) // 2
    yield len(site.whole) - 1


@pytest.mark.slow
def test_a_torn_journal_is_gone_on_with_to_the_right_end(site: Site) -> None:
    for length in sampled(site):
        ends_as_it_should(site, site.whole[:length])
    ends_as_it_should(site, b"".join(site.lines[:-4]) + b"\0" * 333 + b"\n")


@pytest.mark.slow
def test_a_journal_that_ends_with_any_line_is_gone_on_with_to_the_right_end(site: Site) -> None:
    for number in range(1, len(site.lines)):
        ends_as_it_should(site, b"".join(site.lines[:number]))

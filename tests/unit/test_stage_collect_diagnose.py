"""COLLECT keeps the evidence, DIAGNOSE reads it; neither may stand in the way of a restore."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import BEGAN, FakeLogs, FakeProber, FakeReceipts, FakeSources, revision, serving
from loop_rig import CATALOGUE, a_journal, a_service, run_started, written

from loopctl.model.artifact import Artifact, ArtifactKind
from loopctl.model.events import (
    ChangeSeen,
    CommitChanged,
    Event,
    FindingMade,
    ImageBuilt,
    LogsKept,
    NotChecked,
    NovelLine,
    RevisionDeployed,
    ServiceObserved,
    SourceRead,
    StageEntered,
    StageFinished,
)
from loopctl.model.finding import Change, Fault, FaultKind, Quote
from loopctl.model.logs import LogEntry, RequestEntry
from loopctl.model.outcome import Outcome
from loopctl.model.state import OutcomeKind, State
from loopctl.ports.history import RunRecord
from loopctl.ports.logs import LogError
from loopctl.ports.source import CommitLine, SourceError
from loopctl.process import Stop
from loopctl.stages import kept_logs
from loopctl.stages.changes import configured
from loopctl.stages.collect import Collect
from loopctl.stages.diagnose import Diagnose, GreenRun
from loopctl.stages.keep_logs import LogKeeper


def line(text: str, number: int = 1) -> LogEntry:
    return LogEntry(BEGAN, "chat", "chat-new", "stderr", text, number)


class Scene:
    """A candidate that was deployed and has failed."""

    def __init__(
        self, folder: Path, *, deployed: bool = True, secrets: Mapping[str, str] = {}
    ) -> None:
        self.folder = folder
        self.logs, self.requests, self.sources = FakeLogs(), FakeReceipts(), FakeSources()
        self.events: list[Event] = []
        self.services, self.prober = [a_service()], FakeProber()
        self.gated = [a_service("payments", url="http://pay.example")]
        self.journal = a_journal(
            folder, self.services, subscribers=[self.events.append], secrets=secrets
        )
        if deployed:
            self._deployed()

    def _deployed(self) -> None:
        before = ServiceObserved("before", serving("chat", {"chat-old": 100}))
        self.journal.append(before, service="chat")
        self.journal.append(SourceRead("tree", "c0ffee", dirty=False, files=1), service="chat")
        deployed = RevisionDeployed(revision("chat", "chat-new"), "none")
        self.journal.append(deployed, service="chat")

    def collect(self) -> Outcome:
        stage = Collect(LogKeeper(self.logs, self.requests), self.gated, self.prober)
        return stage(self.journal.fold.cycle(), self.journal, Stop(5.0))

    def diagnose(self, fault: Fault | None = None, green: GreenRun | None = None) -> Outcome:
        self.journal.append(StageEntered(State.HEALTH))
        faults = (fault,) if fault else ()
        failed = StageFinished(
            State.HEALTH, OutcomeKind.FAILED, State.COLLECT, 0.1, "it failed", faults
        )
        self.journal.append(failed)
        stage = Diagnose(self.services, CATALOGUE, green, self.sources)
        return stage(self.journal.fold.cycle(), self.journal, Stop(5.0))


def test_logs_are_kept_privately_and_can_be_read_back(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.logs.entries = [line("hello"), line("caf\u00e9 \x1b[31m\ud800", 2)]
    assert scene.collect().kind is OutcomeKind.OK
    path = tmp_path / "logs" / "1" / "chat.jsonl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = list(kept_logs.entries(path))
    assert [entry.number for entry in kept] == [1, 2]
    assert kept[0] == line("hello")
    (told,) = written(scene.events, LogsKept)
    assert isinstance(told, LogsKept)
    assert (told.path, told.lines, told.complete) == ("logs/1/chat.jsonl", 2, True)


def test_a_secret_in_a_path_that_was_asked_for_is_kept_nowhere(tmp_path: Path) -> None:
    scene = Scene(tmp_path, secrets={"TOKEN": "t0ken-of-ours"})
    asked = RequestEntry(BEGAN, "chat", "chat-new", "GET", "/of/t0ken-of-ours", 200)
    scene.requests.logged = [asked]
    scene.collect()
    kept = (tmp_path / "logs" / "1" / "chat.requests.jsonl").read_text()
    assert '"path":"/of/[redacted:TOKEN]"' in kept


def test_the_candidates_lines_alone_are_kept(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.collect()
    assert scene.logs.calls == ["read chat chat-new"]


def test_a_service_that_was_never_touched_has_no_logs_to_keep(tmp_path: Path) -> None:
    scene = Scene(tmp_path, deployed=False)
    assert scene.collect() == Outcome(OutcomeKind.OK, "kept the logs of nobody")
    assert scene.logs.calls == []


def test_logs_that_cannot_be_read_are_an_error_that_is_told(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.logs.fails["read"] = LogError("the host is gone")
    outcome = scene.collect()
    assert outcome.kind is OutcomeKind.ERRORED
    (told,) = written(scene.events, NotChecked)
    assert isinstance(told, NotChecked)
    assert "the host is gone" in told.why


def test_a_folder_that_cannot_be_made_does_not_raise(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    (tmp_path / "logs").write_text("a file stands where the folder belongs")
    assert scene.collect().kind is OutcomeKind.ERRORED


def test_a_known_failure_is_found_with_the_line_that_proves_it(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.logs.entries = [line("starting"), line("FATAL: cannot open the ledger", 2)]
    scene.collect()
    quote = Quote("log", "chat/chat-new#2", "FATAL: cannot open the ledger")
    fault = Fault(FaultKind.EXIT_CODE, "chat exited with 3", "chat", "3", (quote,))
    assert scene.diagnose(fault).kind is OutcomeKind.OK
    made = [f.finding for f in written(scene.events, FindingMade) if isinstance(f, FindingMade)]
    assert made
    assert any("exit" in (finding.signature or "") for finding in made)
    places = {q.source for finding in made for q in finding.evidence}
    assert "logs/1/chat.jsonl#2" in places, "quotes are located in the copy that the run keeps"


def test_where_nothing_is_known_new_lines_are_shown_and_no_cause_is_invented(
    tmp_path: Path,
) -> None:
    scene = Scene(tmp_path)
    scene.logs.entries = [line("ERROR the flux capacitor is misaligned")]
    scene.collect()
    outcome = scene.diagnose(Fault(FaultKind.NEVER_READY, "chat did not listen", "chat"))
    assert outcome.kind is OutcomeKind.OK
    novel = [n for n in written(scene.events, NovelLine) if isinstance(n, NovelLine)]
    assert any("flux capacitor" in n.quote for n in novel)
    assert not any(n.baseline for n in novel)


def test_commits_since_the_last_green_run_are_named(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.sources.commits = (CommitLine("abc", "Rewrite the ledger"),)
    scene.diagnose(green=GreenRun("run-7", "0ld"))
    assert scene.sources.calls == ["commits 0ld..c0ffee"]
    expected = CommitChanged("abc", "Rewrite the ledger", "run-7")
    assert written(scene.events, CommitChanged) == [expected]


@pytest.mark.parametrize("green", [None, GreenRun("run-7", None)])
def test_without_a_green_commit_there_is_nothing_to_compare(
    tmp_path: Path, green: GreenRun | None
) -> None:
    scene = Scene(tmp_path)
    scene.diagnose(green=green)
    assert scene.sources.calls == []


def test_a_history_that_cannot_be_read_is_told_and_the_diagnosis_stands(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.sources.fails["commits"] = SourceError("bad object 0ld")
    assert scene.diagnose(green=GreenRun("run-7", "0ld")).kind is OutcomeKind.OK
    told = [n.why for n in written(scene.events, NotChecked) if isinstance(n, NotChecked)]
    assert "bad object 0ld" in told


def changes_of(scene: Scene, green: GreenRun) -> list[Change]:
    scene.diagnose(green=green)
    return [e.change for e in written(scene.events, ChangeSeen) if isinstance(e, ChangeSeen)]


def test_edits_that_no_commit_holds_are_a_change_with_the_files_they_touch(tmp_path: Path) -> None:
    scene = Scene(tmp_path, deployed=False)
    scene.journal.append(SourceRead("tree", "c0ffee", dirty=True, files=1), service="chat")
    scene.sources.untold = ("chat/ledger.py", "chat/web.py")
    (change,) = changes_of(scene, GreenRun("run-7", "0ld"))
    assert change.text == "edits that no commit holds, in 2 files: chat/ledger.py, chat/web.py"
    assert (change.service, change.files) == ("chat", scene.sources.untold)


def test_where_no_commit_tells_another_source_is_a_change_and_the_same_is_none(
    tmp_path: Path,
) -> None:
    def of(then: str, folder: Path) -> list[Change]:
        folder.mkdir()
        scene = Scene(folder, deployed=False)
        made = Artifact("chat", ArtifactKind.FOLDER, "sha256:d", "images/d", "tree-now", BEGAN)
        scene.journal.append(ImageBuilt(made, 0.1, "build.log"), service="chat")
        record = RunRecord("run-7", "web", "local", BEGAN, images={"chat": then})
        return changes_of(scene, GreenRun("run-7", None, record=record))

    (change,) = of("tree-then", tmp_path / "one")
    assert (change.kind, change.text) == ("image", "chat is made from another source")
    assert of("tree-now", tmp_path / "other") == []


def test_configuration_is_told_by_name_and_by_what_it_is_for() -> None:
    names = (
        "JWT_SECRET of chat",
        "memory of chat",
        "image of chat",
        "loops/x.yaml",
        "N of suite p1",
    )
    began = replace(run_started([a_service()], []), config_changed=names)
    told = [(each.kind, each.what, each.service) for each in configured(began)]
    assert told == [
        ("configuration", "JWT_SECRET", "chat"),
        ("resources", "memory", "chat"),
        ("image", "image", "chat"),
        ("configuration", "loops/x.yaml", None),
        ("configuration", "N", None),
    ]

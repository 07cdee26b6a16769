"""Comparing two folders: what a stranger's journal names is asked of nobody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import worklogs

from loopctl import api
from loopctl.journal.codec import redacted
from loopctl.model.events import RunStarted, SourceRead
from loopctl.redact import Redactor


def written(folder: Path, *, commit: str, history: str | None = None) -> Path:
    """A run's folder, with a journal that names that commit and that place of its history."""
    events = worklogs.green().events
    for number, event in enumerate(events):
        match event.payload:
            case SourceRead() as read:
                events[number] = replace(event, payload=replace(read, commit=commit))
            case RunStarted() as began:
                events[number] = replace(event, payload=replace(began, history=history))
            case _:
                pass
    folder.mkdir(parents=True)
    lines = [redacted(event, Redactor({}))[1] for event in events]
    (folder / "journal.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_what_is_no_commit_is_not_handed_to_git(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    a = written(tmp_path / "a", commit="a" * 40)
    b = written(tmp_path / "b", commit=f"--output={trap}")
    commits = api.compare(a, b, runs_dir=tmp_path).commits
    assert commits.unknown == "what stands in a journal is no commit"
    assert not list(tmp_path.glob("trap*"))


def test_a_history_that_a_copy_names_is_not_read(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    made = [
        written(tmp_path / name, commit="a" * 40, history=f"memory://{trap}") for name in ("a", "b")
    ]
    compared = api.compare(*made, runs_dir=tmp_path / "none")
    assert not compared.differs
    assert not (tmp_path / "none").exists(), "whoever only looks makes nothing"

"""Every open question comes with the command that would answer it, ready to be typed."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import worklogs
from loop_rig import a_service

from loopctl.journal.commands import Commands
from loopctl.journal.worklog import CycleRecord
from loopctl.stages.changes import UNCOMMITTED
from loopctl.stages.finding_out import FindingOut
from loopctl.triage.unknown import Unknown

ROOT = Path("/srv/project")
COMMANDS = Commands(Path("loops/golden-path.yaml"), ROOT, "local")
CHAT = replace(a_service(), source=ROOT / "my apps" / "chat")


def by_hand(service: str, revision: str | None) -> str | None:
    return f"docker logs {service}-{revision}"


def finding_out(folder: Path = Path(".loopctl/runs/R1")) -> FindingOut:
    return FindingOut(COMMANDS, "R1", folder, [CHAT], by_hand)


def cycle(*, logs: bool = True) -> CycleRecord:
    last = worklogs.undelivered({worklogs.OLD: 100}).worklog().last
    assert last is not None
    if logs:
        return last
    return replace(last, services={"chat": replace(last.services["chat"], logs=None)})


def test_a_log_that_was_kept_is_read_by_loopctl_and_another_by_the_platforms_own_tool() -> None:
    asked = Unknown("what it said", "log", "chat", "logs/1/chat.jsonl")
    assert finding_out().command(asked, cycle()) == "loopctl logs R1 chat"
    asked = replace(asked, place=None)
    assert finding_out().command(asked, cycle(logs=False)) == f"docker logs chat-{worklogs.NEW}"


def test_a_commit_is_shown_where_it_touched_what_failed() -> None:
    asked = Unknown("is it?", "commit", "chat", None, "abc123", "chat/it's.py")
    command = finding_out().command(asked, cycle())
    assert command is not None
    assert shlex.split(command) == [
        *("git", "-C", "my apps/chat", "show", "abc123", "--", "chat/it's.py"),
    ]
    edited = finding_out().command(replace(asked, commit=UNCOMMITTED, file=None), cycle())
    assert edited == "git -C 'my apps/chat' diff HEAD -- ."


def test_a_suites_output_is_shown_where_it_has_any(tmp_path: Path) -> None:
    asked = Unknown("why?", "suite", "chat", "suites/1/p1")
    command = finding_out(tmp_path).command(asked, cycle())
    assert command == f"less {tmp_path / 'worklog.md'}"
    (tmp_path / "suites" / "1" / "p1").mkdir(parents=True)
    (tmp_path / "suites" / "1" / "p1" / "stdout.txt").touch()
    command = finding_out(tmp_path).command(asked, cycle())
    assert command == f"less {tmp_path / 'suites/1/p1/stdout.txt'}"


@pytest.mark.parametrize("asked", [Unknown("why?"), Unknown("why?", "commit", "store")])
def test_what_nothing_would_tell_has_no_command(asked: Unknown) -> None:
    assert finding_out().command(asked, cycle()) is None


def test_no_name_in_a_command_acts_on_a_terminal() -> None:
    hostile = Unknown("?", "commit", "chat", None, "\x1b[31m; rm -rf /", "\x1b]0;x\x07\n'$(id)'")
    command = finding_out().command(hostile, cycle())
    assert command is not None
    assert "\x1b" not in command
    assert "\n" not in command
    assert len(shlex.split(command)) == 7

"""A remedy that is a command: what it is given, what its end means, what it must not do."""

from __future__ import annotations

from pathlib import Path

import pytest
from remedy_rig import Failure
from scripted import Killed

from loopctl.model.events import Intent, Result
from loopctl.model.plan import RemedyRule
from loopctl.model.state import OutcomeKind, StopReason
from loopctl.ports.remedy import CommandEnd, RemedyError

FIX = RemedyRule({"verdict": "red"}, "run", ("./fix.sh",), limit=2)


def repairs(failure: Failure) -> None:
    failure.command.after["run"] = lambda: failure.tree.files.update({"chat/main.py": "2"})


def begun(failure: Failure) -> None:
    """A process had begun the command, having kept what the work tree was, and was killed."""
    failure.command.hooks["run"] = dies
    with pytest.raises(Killed):
        failure.remediate(FIX)
    failure.command.hooks.clear()


def dies() -> None:
    raise Killed


def test_a_command_that_repairs_the_source_leads_to_a_new_build(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    repairs(failure)
    assert failure.remediate(FIX).kind is OutcomeKind.GO_BUILD
    assert (failure.decided.result, failure.decided.changed_source) == ("done", True)
    assert failure.decided.detail == "./fix.sh changed chat/main.py"


def test_it_is_given_the_contracts_variables_and_a_bundle(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    failure.remediate(FIX)
    (given,) = failure.command.variables
    bundle = tmp_path / "bundle" / "1"
    assert given == {
        "LOOPCTL_RUN_ID": "run-1",
        "LOOPCTL_CYCLE": "1",
        "LOOPCTL_BUNDLE": str(bundle),
    }
    assert (bundle / "failure.json").is_file()


def test_it_stands_between_its_intent_with_the_tree_and_its_result(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    failure.remediate(FIX)
    intent, result = (e.payload for e in failure.events if isinstance(e.payload, Intent | Result))
    assert isinstance(intent, Intent)
    assert intent.detail["tree"] == "sha256:chat/main.py=1,tests/test_chat.py=1"
    assert isinstance(result, Result)
    assert result.ok


def test_a_command_that_changes_nothing_goes_round_once_more(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    assert failure.remediate(FIX).kind is OutcomeKind.GO_BUILD
    assert (failure.decided.detail, failure.decided.changed_source) == (
        "./fix.sh changed nothing",
        False,
    )


@pytest.mark.parametrize(
    ("end", "result", "ends", "said"),
    [
        (CommandEnd(75, 0.1), "done", StopReason.NEEDS_HUMAN, "hands over to a person"),
        (CommandEnd(1, 0.1), "failed", None, "ended with 1"),
        (CommandEnd(-9, 0.1), "failed", None, "ended with -9"),
        (CommandEnd(1, 0.1, last_line="no idea"), "failed", None, "saying 'no idea'"),
        (CommandEnd(0, 0.1, late=True), "failed", None, "not finished within 1800 s"),
    ],
)
def test_every_end_but_a_good_one_ends_the_loop(
    tmp_path: Path, end: CommandEnd, result: str, ends: StopReason | None, said: str
) -> None:
    failure = Failure(tmp_path)
    repairs(failure)
    failure.command.end = end
    assert failure.remediate(FIX).kind is OutcomeKind.FAILED
    assert (failure.decided.result, failure.decided.ends) == (result, ends)
    assert said in failure.decided.detail


@pytest.mark.parametrize("path", ["tests/test_chat.py", "loops/golden-path.yaml", "README.md"])
@pytest.mark.parametrize("code", [0, 1, 75])
def test_what_it_may_not_edit_refuses_it_however_it_ended(
    tmp_path: Path, path: str, code: int
) -> None:
    failure = Failure(tmp_path)
    failure.command.after["run"] = lambda: failure.tree.files.update({path: "weakened"})
    failure.command.end = CommandEnd(code, 0.1)
    assert failure.remediate(FIX).kind is OutcomeKind.FAILED
    assert (failure.decided.result, failure.decided.ends) == (
        "refused",
        StopReason.REMEDY_REFUSED,
    )
    assert path in failure.decided.detail


def test_a_test_that_it_deletes_refuses_it(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    failure.command.after["run"] = failure.tree.files.clear
    failure.remediate(FIX)
    assert failure.decided.ends is StopReason.REMEDY_REFUSED


def test_a_repository_that_it_breaks_refuses_it(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    failure.command.after["run"] = lambda: setattr(failure.tree, "in_git", False)
    failure.remediate(FIX)
    assert failure.decided.ends is StopReason.REMEDY_REFUSED
    assert "git repository" in failure.decided.detail


def test_a_tree_that_cannot_be_read_any_more_refuses_it(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    broken = RemedyError("git fails")
    failure.command.after["run"] = lambda: failure.tree.fails.update({"read": broken})
    failure.remediate(FIX)
    assert failure.decided.ends is StopReason.REMEDY_REFUSED


def test_what_it_changed_never_reaches_a_protected_environment(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    failure.protected = True
    repairs(failure)
    assert failure.remediate(FIX).kind is OutcomeKind.FAILED
    assert failure.decided.ends is StopReason.NEEDS_HUMAN
    assert "never reaches a protected environment" in failure.decided.detail


@pytest.mark.parametrize("port", ["tree", "command"])
def test_one_that_cannot_be_started_has_failed(tmp_path: Path, port: str) -> None:
    failure = Failure(tmp_path)
    error = RemedyError("./fix.sh: no such file")
    (failure.tree if port == "tree" else failure.command).fails["r"] = error
    assert failure.remediate(FIX).kind is OutcomeKind.FAILED
    assert (failure.decided.result, failure.decided.detail) == ("failed", error.what)


def test_one_that_was_killed_before_it_changed_anything_is_run_again(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    begun(failure)
    assert failure.remediate(FIX).kind is OutcomeKind.GO_BUILD
    assert len(failure.command.effects("run")) == 2
    assert failure.journal.fold.remedies_begun("remediate.rules[0]") == 2, "and counted"


def test_one_that_had_changed_the_source_before_the_kill_is_not_run_again(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    begun(failure)
    failure.tree.files["chat/main.py"] = "2"
    assert failure.remediate(FIX).kind is OutcomeKind.GO_BUILD
    assert failure.decided.changed_source
    assert len(failure.command.effects("run")) == 1


def test_one_that_had_weakened_a_test_before_the_kill_is_refused(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    begun(failure)
    failure.tree.files["tests/test_chat.py"] = "weakened"
    failure.remediate(FIX)
    assert failure.decided.ends is StopReason.REMEDY_REFUSED


def test_without_the_tree_of_before_nobody_can_tell_what_it_did(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    begun(failure)
    (tmp_path / "remedies" / "1" / "tree-before.json").unlink()
    failure.tree.files["chat/main.py"] = "2"
    failure.remediate(FIX)
    assert failure.decided.result == "failed"
    assert "not known any more" in failure.decided.detail


def test_what_python_compiled_is_forgotten_before_the_work_tree_is_judged(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    failure.remediate(FIX)
    assert failure.tree.calls == ["read", "forget compiled", "read"]


def test_what_is_compiled_and_cannot_be_removed_is_trusted_no_more(tmp_path: Path) -> None:
    failure = Failure(tmp_path)
    failure.tree.fails["forget"] = RemedyError("cannot remove what is compiled: it is locked")
    assert failure.remediate(FIX).kind is OutcomeKind.FAILED
    assert (failure.decided.result, failure.decided.ends) == ("refused", StopReason.REMEDY_REFUSED)
    assert "it is locked" in failure.decided.detail

"""A remedy's command and the work tree that it changes, scripted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from scripted import Scripted

from loopctl.ports.remedy import CommandEnd, RemedyCommand, WorkTree, WorkTreeState
from loopctl.process import Stop


class FakeWorkTree(Scripted, WorkTree):
    """A project's files that a test edits."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, str] = {"chat/main.py": "1", "tests/test_chat.py": "1"}
        self.in_git = True

    def read(self, stop: Stop) -> WorkTreeState:
        self.called("read")
        digest = "sha256:" + ",".join(f"{name}={self.files[name]}" for name in sorted(self.files))
        return WorkTreeState(dict(self.files), self.in_git, digest)

    def forget_compiled(self, stop: Stop) -> None:
        self.called("forget compiled")


class FakeRemedyCommand(Scripted, RemedyCommand):
    """Ends as `end` says; what it does to the world is its `after`."""

    def __init__(self) -> None:
        super().__init__()
        self.end = CommandEnd(0, 0.01)
        self.variables: list[Mapping[str, str]] = []

    def run(
        self,
        command: Sequence[str],
        variables: Mapping[str, str],
        output: Path,
        timeout_s: float,
        stop: Stop,
    ) -> CommandEnd:
        if not output.parent.is_dir() or timeout_s <= 0:
            self.unexpected(f"run with the output {output} within {timeout_s} s")
        self.variables.append(variables)
        self.called(f"run {' '.join(command)}")
        self.happened(f"run {' '.join(command)}")
        return self.end

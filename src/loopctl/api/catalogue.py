"""Keeping signatures: what is wrong with them, whether they see what they should, what there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loopctl.errors import Problem, UsageError

if TYPE_CHECKING:
    from loopctl.triage.loading import Catalogue, Written
    from loopctl.triage.trying import Tried


def signatures(files: Sequence[Path] = ()) -> Catalogue:
    """The signatures in force: ours and those of the files; raises `UsageError`."""
    from loopctl.triage.loading import load_catalogue

    return load_catalogue(files)


def lint_signatures(
    files: Sequence[Path] = (), *, green: Sequence[Path] = (), runs_dir: Path | None = None
) -> int:
    """How many signatures were looked at, those of the files, or ours where none is named.

    They are held against our captures of green runs, the files `green*` beside them, `green`, and
    the kept logs of the green runs in `runs_dir`. Raises `UsageError` with every problem.
    """
    from loopctl.triage.trying import missing_captures, on_green

    written, catalogue = _written(files)
    captures = [*_greens(written), *green, *(_kept_logs(runs_dir) if runs_dir else ())]
    problems = [*missing_captures(written), *on_green(written, catalogue, captures)]
    if problems:
        many = "s" * (len(problems) > 1)
        raise UsageError(f"{len(problems)} problem{many} in the signatures", problems)
    return len(written)


def try_signatures(files: Sequence[Path] = ()) -> Sequence[Tried]:
    """What the captures show that the signatures name; raises `UsageError` as linting does."""
    from loopctl.triage.trying import try_all

    written, catalogue = _written(files)
    return tuple(try_all(written, catalogue))


def signature_schema() -> Mapping[str, object]:
    """The JSON Schema of a signature file."""
    from loopctl.triage.signature_schema import json_schema

    return json_schema()


def _written(files: Sequence[Path]) -> tuple[Sequence[Written], Catalogue]:
    from loopctl.triage.loading import load_catalogue, written_by_them, written_by_us

    catalogue = load_catalogue(files)
    unread: list[Problem] = []
    return (written_by_them(files, unread) if files else written_by_us(unread)), catalogue


def _greens(written: Sequence[Written]) -> Iterator[Path]:
    from loopctl.triage.loading import written_by_us

    folders = {str(each.fixtures): each.fixtures for each in (*written_by_us([]), *written)}
    for folder in folders.values():
        for file in sorted(folder.iterdir(), key=lambda file: file.name):
            if file.name.startswith("green") and file.is_file():
                yield Path(str(file))


def _kept_logs(runs_dir: Path) -> Iterator[Path]:
    from loopctl.api.listing import runs

    for run in runs(runs_dir):
        if run.verdict == "green":
            # Earlier cycles of a run that came to green may have failed.
            logs = runs_dir / "runs" / run.run_id / "logs" / str(run.cycles)
            yield from sorted(logs.glob("*.jsonl"))

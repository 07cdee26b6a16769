"""Two runs beside each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from loopctl.api.looking_back import history_at, worklog_of
from loopctl.errors import Stopped
from loopctl.inert import one_line
from loopctl.journal.history import RUNS, RunSummary, greens_of, newest_first
from loopctl.journal.worklog import Worklog
from loopctl.ports.history import HistoryError, RunRecord
from loopctl.ports.source import SourceError
from loopctl.process import Stop

if TYPE_CHECKING:
    from loopctl.reports.compared import Commits, Comparison
    from loopctl.reports.comparing import Range

_GIT_S: Final = 5.0
_HISTORY_S: Final = 5.0
_RECENT: Final = 20
_COMMIT: Final = re.compile(r"[0-9a-f]{7,64}")


def compare(a: Path, b: Path, *, runs_dir: Path, stop: Stop | None = None) -> Comparison:
    """What is not the same in the run of folder `b` as in that of `a`.

    Reads both journals; of `runs_dir` the earlier runs' durations and what the history keeps of
    these two; and asks the repository that `b` was made in, or that of the working directory, for
    the commits between them. What cannot be had is told in the comparison. Raises `LoopctlError`
    where a journal cannot be read.
    """
    from loopctl.reports.comparing import Around, Side, compare

    within = stop or Stop()
    before, after = worklog_of(a), worklog_of(b)
    was, now = (_record(w, f, runs_dir, within) for w, f in ((before, a), (after, b)))
    around = Around(
        _commits(before, after, _repository(after, b, runs_dir), within),
        _usual(after, runs_dir),
        one_key=_is_ours(a, runs_dir) and _is_ours(b, runs_dir),
    )
    return compare(Side(before, was), Side(after, now), around)


def compared_document(compared: Comparison) -> Mapping[str, object]:
    """What `diff --json` prints."""
    from loopctl.reports.compared_document import compared_document as document

    return document(compared)


def compared_lines(compared: Comparison, *, verbose: bool = False) -> tuple[str, ...]:
    """What `diff` shows a person: five names a part, or with `verbose` two hundred. Inert."""
    from loopctl.reports.compared_text import compared_lines as lines

    return lines(compared, verbose=verbose)


def _is_ours(folder: Path, runs_dir: Path) -> bool:
    """Whether the run was made there: what a stranger's journal names is not asked."""
    return folder.resolve().parent == (runs_dir / RUNS).resolve()


def _record(worklog: Worklog, folder: Path, runs_dir: Path, stop: Stop) -> RunRecord | None:
    """What the history keeps of a run; None where it keeps nothing, or does not answer in time."""
    from loopctl.journal.earlier_runs import heard

    run = worklog.run
    try:
        history = history_at(run.history if _is_ours(folder, runs_dir) else None, runs_dir)
        with stop.child(_HISTORY_S) as limited:
            found = heard(
                lambda within: history.named(run.loop, run.environment, [run.run_id], within),
                limited,
            )
    except HistoryError:
        return None
    except Stopped:
        stop.remaining(0)
        return None
    return found[0] if found else None


def _usual(worklog: Worklog, runs_dir: Path) -> Mapping[str, Range]:
    """The range of seconds of the newest green runs of that loop there, by stage and suite."""
    from loopctl.reports.comparing import LEAST_RUNS

    run = worklog.run
    greens = greens_of(newest_first(runs_dir), run.loop, run.environment)
    told: dict[str, list[float]] = {}
    others = (green for green in greens if green.run_id != run.run_id)
    for green in islice(others, _RECENT):
        for what, taken in _seconds(green).items():
            told.setdefault(what, []).append(taken)
    return {what: (min(s), max(s)) for what, s in told.items() if len(s) >= LEAST_RUNS}


def _seconds(run: RunSummary) -> Mapping[str, float]:
    whole = {} if run.duration_s is None else {"run": run.duration_s}
    stages = {f"stage {name}": taken for name, taken in run.stages.items()}
    return whole | stages | {f"suite {name}": taken for name, taken in run.suites.items()}


def _commits(a: Worklog, b: Worklog, repository: Path, stop: Stop) -> Commits:
    """The commits between the two, as the repository at hand knows them."""
    from loopctl.reports.compared import Commits
    from loopctl.reports.facts import source_of

    old, new = source_of(a.last).commit, source_of(b.last).commit
    if old == new:
        return Commits()
    if old is None or new is None:
        return Commits(unknown=f"run {'A' if old is None else 'B'} has no one commit")
    # A journal may be a stranger's, and git takes much else for an option.
    if not (_COMMIT.fullmatch(old) and _COMMIT.fullmatch(new)):
        return Commits(unknown="what stands in a journal is no commit")
    try:
        with stop.child(_GIT_S) as limited:
            return _between(repository, old, new, limited)
    except SourceError as error:
        hint = f"; {error.hint}" if error.hint else ""
        return Commits(unknown=one_line(f"{error.what}{hint}", 300))
    except Stopped:
        stop.remaining(0)
        return Commits(unknown=f"git gave no answer within {_GIT_S:g} s")


def _between(folder: Path, old: str, new: str, stop: Stop) -> Commits:
    from loopctl.bootstrap import sources_here
    from loopctl.reports.compared import Commits

    asked = sources_here()
    return Commits(
        only_b=asked.commits_between(folder, old, new, stop),
        only_a=asked.commits_between(folder, new, old, stop),
    )


def _repository(worklog: Worklog, folder: Path, runs_dir: Path) -> Path:
    """Where the run was made, if that was here; else where the command was given."""
    root = Path(worklog.run.root)
    return root if _is_ours(folder, runs_dir) and root.is_dir() else Path.cwd()

"""The short commands

Each is a process of its own, started and awaited. `runs` lists a runs folder of 1,000 runs that
were written for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from bench.project import ROOT, Project, project
from bench.table import Measure, Pair, Row, in_turn, seconds, timed
from loopctl.journal.history import SUMMARY_NAME, RunSummary

PART = "d"
_RUNS = 1_000
_ROUNDS = 5
_LISTED_S = 0.5


def rows() -> Iterator[Row]:
    """`--version` beside one import of typer; the others beside an empty interpreter."""
    with project("golden-path") as made:
        version = _pair(made, ("-m", "loopctl", "--version"), "import typer")
        beside = version.beside(seconds, '`python -c "import typer"`')
        yield Row(
            "d",
            "`loopctl --version`",
            seconds(version.ours),
            beside,
            "≤ 1.0 ×",
            version.ratio <= 1,
        )
        validate = _pair(made, ("-m", "loopctl", "validate", "golden-path"), "pass")
        beside = validate.beside(seconds, '`python -c "pass"`')
        yield Row("d", "`loopctl validate golden-path`", seconds(validate.ours), beside)
        _write_runs(made.folder / "runs-dir")
        listing = ("-m", "loopctl", "runs", "--runs-dir", str(made.folder / "runs-dir"))
        listed = _pair(made, listing, "pass")
        yield Row(
            "d",
            f"`loopctl runs` over {_RUNS:,} runs",
            seconds(listed.ours),
            listed.beside(seconds, '`python -c "pass"`'),
            f"≤ {seconds(_LISTED_S)}",
            listed.ours <= _LISTED_S,
        )


def _pair(made: Project, ours: tuple[str, ...], theirs: str) -> Pair:
    mine, others = _python(made, *ours), _python(made, "-c", theirs)
    in_turn(mine, others, 1)
    return in_turn(mine, others, _ROUNDS)


def _python(made: Project, *arguments: str) -> Measure:
    return lambda: timed(lambda: made.python(*arguments, cwd=ROOT))


def _write_runs(folder: Path) -> None:
    for number in range(_RUNS):
        run_id = f"202505{number // 100 + 1:02}-{number % 100:02}0000-bench-{number:04x}"
        summary = RunSummary(
            run_id=run_id,
            loop="bench",
            environment="local",
            verdict="green",
            exit_code=0,
            stop_reason="green",
            started_at="2025-05-01T00:00:00+00:00",
            ended_at="2025-05-01T00:00:10+00:00",
            duration_s=10.0,
            cycles=1,
            counts={"collected": 40, "passed": 40},
            stages={"build": 1.0, "verify": 5.0},
            suites={"smoke": 5.0},
            verified={"web": "web-00001-abc"},
        )
        document = {key: value for key, value in asdict(summary).items() if key != "state"}
        (folder / "runs" / run_id).mkdir(parents=True)
        (folder / "runs" / run_id / SUMMARY_NAME).write_text(json.dumps(document))

"""The short commands

Each is a process of its own, started and awaited.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.project import ROOT, Project, project
from bench.table import Measure, Pair, Row, in_turn, seconds, timed

PART = "d"
_ROUNDS = 5


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


def _pair(made: Project, ours: tuple[str, ...], theirs: str) -> Pair:
    mine, others = _python(made, *ours), _python(made, "-c", theirs)
    in_turn(mine, others, 1)
    return in_turn(mine, others, _ROUNDS)


def _python(made: Project, *arguments: str) -> Measure:
    return lambda: timed(lambda: made.python(*arguments, cwd=ROOT))

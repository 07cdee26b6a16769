"""What the diagnosis makes of a corpus of failures

`bench/diagnosis/cases` holds failures as a person has them in hand, near misses and green logs:
exports of Cloud Logging, what `docker logs`, `pytest` and deploy scripts print, JSON lines, plain
text, of services in Python, Node, Java and Go, with up to 5,000 lines of normal traffic around,
made by a seed. The first set was written from incidents and facts before the catalogue was read.
Three more followed, in other words: each was judged blind when it was there, and then used to mend
by. The second began at 22 of 34 causes, the third at 30 of 36 with two greens of six claimed, the
fourth at 32 of 33 with one green of seven claimed; all but one case of the fourth are still held
out, in `bench/diagnosis/held_out`. Each export goes to `loopctl triage --logs FILE --json`, a
process each; what only a run can know (contents, grades, close frames) goes to the diagnosis as the
run's symptoms. Evidence at 10 is whether the telling line is among the first ten that are quoted,
causes first. Beside it stand the last ten lines that `grep -iE 'error|fail|exception|…'` finds, and
ten lines by severity and rarity without a baseline, on the same exports; neither names a cause.
The last row writes every export in all nine forms, with less noise and in process. `python -m
bench.diagnosis` lists every miss.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.diagnosis.alternatives import grep_from_the_end, severe_and_rare
from bench.diagnosis.answering import all_in_process, by_command
from bench.diagnosis.cases import SETS, Case, cases
from bench.diagnosis.exports import FORMS
from bench.diagnosis.scoring import Answer, Measure, Score, Scored, scored, summed
from bench.table import HEADER, Row
from loopctl.triage.loading import load_catalogue

PART = "t"
_NOISE: Final = 60
_NAMES: Final = {"cases": "the corpus", "held_out": "the held-out corpus"}


def rows() -> Iterator[Row]:
    """The measures of the facts for each set, each beside both alternatives."""
    for name in SETS:
        yield from _rows(_NAMES[name], cases(name))
    yield _share("each of its exports in all nine forms: cause at 1", _in_all_forms(), "", 0.90)


def _rows(name: str, given: Sequence[Case]) -> Iterator[Row]:
    catalogue = load_catalogue()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        each = [scored(case, by_command(case, folder, catalogue)) for case in given]
    score = summed(each)
    near = sum(case.near_miss for case in given)
    what = f"{name}, {len(given)} cases, {near} of them near misses"
    yield _share(f"{what}: cause at 1", score.at_1, "neither names causes", 0.90)
    yield _share(f"{name}: cause at 3", score.at_3, "", None)
    yield _share(f"{name}: evidence in the top 10", score.evidence, _beside(given), 0.95)
    yield _none(f"{name}: causes named on green", score.false_on_green)
    yield _none(f"{name}: failures that end in exit code 0", score.silent)
    yield _share(f"{name}: green logs that end in exit code 0", score.quiet_exit, "", None)
    yield _none(f"{name}: unsafe actions", score.unsafe)
    yield _share(f"{name}: abstains on what is unknown", score.abstained, "", 1.0)
    yield _share(f"{name}: whys that rest on evidence", score.whys, "", None)


def _in_all_forms() -> Measure:
    """In process, with less noise: what is lost when the same lines are written another way."""
    catalogue = load_catalogue()
    each: list[Scored] = []
    for form in FORMS:
        written = [case.in_form(form) for case in cases()]
        given = [case.quieter(_NOISE) for case in written if case is not None]
        with tempfile.TemporaryDirectory() as made:
            each += all_in_process(given, Path(made), catalogue)
    return summed(each).at_1


def _beside(given: Sequence[Case]) -> str:
    exports = [case for case in given if case.capture is None]
    return "; ".join(
        f"{what} {_evidence(exports, method)}"
        for what, method in (
            ("grep from the end", grep_from_the_end),
            ("severity and rarity", severe_and_rare),
        )
    )


def _evidence(exports: Sequence[Case], method: Callable[[str], Answer]) -> Measure:
    return _score(exports, method).evidence


def _score(exports: Sequence[Case], method: Callable[[str], Answer]) -> Score:
    return summed([scored(case, method(case.text())) for case in exports])


def _share(what: str, measured: Measure, beside: str, least: float | None) -> Row:
    if least is None:
        return Row(PART, what, str(measured), beside)
    met = measured.share >= least
    return Row(PART, what, str(measured), beside, f"≥ {least:.0%}", met)


def _none(what: str, measured: Measure) -> Row:
    return Row(PART, what, f"{measured.good} in {measured.of}", "", "0", measured.good == 0)


if __name__ == "__main__":
    print(HEADER)
    for row in rows():
        print(row)

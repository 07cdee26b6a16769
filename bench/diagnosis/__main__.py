"""`python -m bench.diagnosis [SET]`: the score of a set, and every miss with what was said."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.diagnosis.answering import all_in_process
from bench.diagnosis.cases import SETS, cases
from bench.diagnosis.scoring import Scored, summed
from loopctl.triage.loading import load_catalogue


def main() -> None:
    """Score one set in process; `--only NAME` one case, with all that is shown of it."""
    options = argparse.ArgumentParser(prog="python -m bench.diagnosis")
    options.add_argument("set", nargs="?", default="cases", choices=SETS)
    options.add_argument("--only", help="the name of one case")
    options.add_argument("--keep", type=Path, help="write the exports there")
    given = options.parse_args()
    wanted = [case for case in cases(given.set) if given.only in (None, case.name)]
    with tempfile.TemporaryDirectory() as made:
        folder = given.keep or Path(made)
        each = all_in_process(wanted, folder, load_catalogue())
    for one in each:
        for line in said(one, whole=given.only is not None):
            print(line)
    print(summed(each))


def said(one: Scored, *, whole: bool = False) -> Iterator[str]:
    """What is wrong with an answer; nothing when all is right."""
    wrong = [
        name
        for name, bad in (
            ("cause", one.at_1 is False),
            ("evidence", one.evidence is False),
            ("service", one.service is False),
            ("false on green", bool(one.false_on_green)),
            ("claims to know", one.abstained is False),
            ("exit 0 for a failure", bool(one.silent)),
            ("unsafe", bool(one.unsafe)),
        )
        if bad
    ]
    if not wrong and not whole:
        return
    expected = one.case.expected
    yield f"## {one.case.name}: {', '.join(wrong)}"
    yield f"   expected {'/'.join(expected.cause)} of {expected.service}: {expected.evidence}"
    for found in one.answer.found:
        yield f"   said {found.signature} of {found.service} (acts: {found.acts})"
    yield from (f"   shown: {quote[:160]}" for quote in one.answer.shown[: 10 if whole else 4])


if __name__ == "__main__":
    main()

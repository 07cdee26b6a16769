"""What the evidence rules make of two zoos

`bench/zoo` holds honest and false tests of one service, all of which pass; they were written before
the rules' results on them were looked at. The rules were mended on what they showed, so that a
second zoo, `bench/zoo/held_out`, was written blind for another service (`bench/zoo/README.md`).
For each, one `loopctl run` puts the service behind the front door of the `local` platform and runs
the tests as four suites, with trace receipts and without, with the control run and without. A test
is accepted when its pass counts under the default `evidence.require`, so is `observed` or better.
gRPC does not go through the front door, which speaks HTTP/1.1: the gRPC server is a service of its
own with a `url:`, as somebody has it whose backend is already there, and such a service has no
receipts. Every wrong judgement has a row with the modes it holds in, the grade and its reason.
`python -m bench.evidence_matrix` prints all judgements of all modes; `… held-out` of one zoo.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, Literal

from bench.table import HEADER, Row, skipped
from bench.zoo_run import HELD_OUT, MODES, ZOO, Mode, Zoo, run

PART = "m"
_ZOOS: Final = (ZOO, HELD_OUT)
_ACCEPTED: Final = ("observed", "proven")
_HONEST_REJECTED: Final = 0.02

Label = Literal["honest", "false"]


@dataclass(frozen=True, slots=True)
class Judged:
    """What one mode made of one test."""

    mode: Mode
    case: str
    status: str
    grade: str | None
    reason: str
    control: str

    @property
    def why(self) -> str:
        """The grade's reason, and what the control run has to say."""
        return "; ".join(dict.fromkeys(filter(None, (self.reason, self.control))))

    @property
    def label(self) -> Label:
        """By its folder."""
        file = PurePosixPath(self.case.partition("::")[0])
        return "honest" if file.parent.name == "honest" else "false"

    @property
    def accepted(self) -> bool:
        """Whether it counts towards a green."""
        return self.status == "passed" and self.grade in _ACCEPTED

    @property
    def wrong(self) -> bool:
        """Whether an honest test was rejected or a false one accepted."""
        return self.accepted is not (self.label == "honest")


def rows() -> Iterator[Row]:
    """For each mode the false accepted and the honest rejected; then every test judged wrongly."""
    missing = [name for name in ("curl", "node") if shutil.which(name) is None]
    for zoo in _ZOOS:
        if missing:
            yield skipped(PART, f"the {zoo.name}", f"its tests need {' and '.join(missing)}")
        else:
            yield from _rows(zoo, judgements(zoo))


def _rows(zoo: Zoo, judged: Sequence[Judged]) -> Iterator[Row]:
    for mode in MODES:
        its = [one for one in judged if one.mode is mode]
        yield _false_accepted(zoo, mode, its)
        yield _honest_rejected(zoo, mode, its)
    yield from _wrong(zoo, judged)


def judgements(zoo: Zoo) -> Sequence[Judged]:
    """Run a zoo in every mode. Raises `RuntimeError` when a test of it is missing."""
    suites: Mapping[str, Mapping[str, Any]] = run(zoo)
    judged = [
        Judged(
            mode,
            case["id"],
            case["status"],
            case["grade"],
            case["reason"] or case["message"] or "",
            case["control"] or "",
        )
        for mode in MODES
        for case in suites[mode.id]["cases"]
    ]
    for mode in MODES:
        found, collected = sum(one.mode is mode for one in judged), suites[mode.id]["collected"]
        if not found == collected == suites[MODES[0].id]["collected"]:
            raise RuntimeError(f"{mode.name}: {found} of {collected} tests were judged")
    return judged


def _false_accepted(zoo: Zoo, mode: Mode, judged: Sequence[Judged]) -> Row:
    false = [one for one in judged if one.label == "false"]
    wrong = sum(one.wrong for one in false)
    limit = ("0", wrong == 0) if mode.guarded else ("", None)
    beside = f"of {len(false)}, all of which plain pytest accepts"
    return Row(PART, f"{zoo.name}: false tests accepted, {mode.name}", str(wrong), beside, *limit)


def _honest_rejected(zoo: Zoo, mode: Mode, judged: Sequence[Judged]) -> Row:
    honest = [one for one in judged if one.label == "honest"]
    wrong = sum(one.wrong for one in honest)
    share = wrong / len(honest)
    beside = f"of {len(honest)} ({share:.1%})"
    limit = f"≤ {_HONEST_REJECTED:.0%}"
    what = f"{zoo.name}: honest tests rejected, {mode.name}"
    return Row(PART, what, str(wrong), beside, limit, share <= _HONEST_REJECTED)


def _wrong(zoo: Zoo, judged: Sequence[Judged]) -> Iterator[Row]:
    """One row a test; of the modes that judge it wrongly the last one's words."""
    wrongly: dict[str, list[Judged]] = {}
    for one in judged:
        if one.wrong:
            wrongly.setdefault(one.case, []).append(one)
    for case, those in sorted(wrongly.items(), key=lambda item: (item[1][0].label, item[0])):
        last = those[-1]
        did = "accepted though false" if last.label == "false" else "rejected though honest"
        modes = "every mode" if len(those) == len(MODES) else ", ".join(o.mode.name for o in those)
        what = f"{zoo.name}: {did}: `{case.partition('::')[2]}`"
        yield Row(PART, what, last.grade or last.status, f"{last.why} (in {modes})")


def _main() -> None:
    """Every judgement of every mode, then the rows; of the zoos that are named, or of both."""
    named = [zoo for zoo in _ZOOS if zoo.name.replace(" ", "-") in sys.argv[1:]]
    table: list[Row] = []
    for zoo in named or _ZOOS:
        judged = judgements(zoo)
        for one in judged:
            verdict = "WRONG" if one.wrong else "right"
            print(
                f"{verdict} {one.mode.name:24} {one.grade or one.status:12} {one.case}  {one.why}"
            )
        table += _rows(zoo, judged)
    print(HEADER)
    for row in table:
        print(row)


if __name__ == "__main__":
    _main()

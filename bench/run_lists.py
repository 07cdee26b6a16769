"""Looking back over many runs

A runs folder of 1,000 runs of two loops on two environments: each with the `summary.json` and the
`result.json`, of 40 cases, that a run leaves. `loopctl runs` lists all of them and says what they
tell together. Beside it what one would write without it: a Python script that reads each
`result.json` and prints its verdict, then the share of green ones and their median duration. Both
are processes of their own, started and awaited, and find the files in the memory of the system.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.project import ROOT, Project, project
from bench.table import Measure, Row, in_turn, seconds, timed
from loopctl.journal.history import RUNS, SUMMARY_NAME, RunSummary
from loopctl.journal.wording import iso

PART = "x"
_RUNS = 1_000
_ROUNDS = 7
_MOST_S = 0.5
_CASES = 40
_BEGAN = datetime(2025, 5, 1, tzinfo=UTC)

_BY_HAND = """
import json, pathlib, statistics, sys
runs = []
for folder in sorted(pathlib.Path(sys.argv[1], "runs").iterdir(), reverse=True):
    run = json.loads((folder / "result.json").read_bytes())
    cases = [case["status"] for suite in run["cycles"][-1]["suites"] for case in suite["cases"]]
    print(run["run_id"], run["verdict"], run["duration_s"], cases.count("passed"), len(cases))
    runs.append(run)
green = [run["duration_s"] for run in runs if run["verdict"] == "green"]
print(len(green) / len(runs), statistics.median(green))
"""


def rows() -> Iterator[Row]:
    """The whole list with trends, and the newest twenty."""
    with project("golden-path") as made:
        place = made.folder / "runs-dir"
        _write(place)
        by_hand = _python(made, "-c", _BY_HAND, str(place))
        for what, limit in ((f"`loopctl runs` over {_RUNS:,} runs", _RUNS), ("its newest 20", 20)):
            ours = ("-m", "loopctl", "runs", "--limit", str(limit), "--runs-dir", str(place))
            in_turn(_python(made, *ours), by_hand, 1)
            pair = in_turn(_python(made, *ours), by_hand, _ROUNDS)
            yield Row(
                PART,
                what,
                seconds(pair.ours),
                pair.beside(seconds, "a script over every `result.json`"),
                f"≤ {seconds(_MOST_S)}",
                pair.ours <= _MOST_S,
            )


def _python(made: Project, *arguments: str) -> Measure:
    return lambda: timed(lambda: made.python(*arguments, cwd=ROOT))


def _write(place: Path) -> None:
    dice = random.Random(8)
    for number in range(_RUNS):
        run = _summary(number, dice)
        folder = place / RUNS / run.run_id
        folder.mkdir(parents=True)
        document = {name: value for name, value in asdict(run).items() if name != "state"}
        (folder / SUMMARY_NAME).write_text(json.dumps(document))
        (folder / "result.json").write_text(json.dumps(_result(run)))


def _summary(number: int, dice: random.Random) -> RunSummary:
    began = _BEGAN + timedelta(minutes=10 * number)
    loop, environment = dice.choice(("shop", "chat")), dice.choice(("local", "staging"))
    verdict = dice.choices(("green", "red", "unproven", "interrupted"), (8, 2, 1, 1))[0]
    taken = dice.uniform(60, 90)
    flaky = (f"smoke::tests/test_it.py::test_{dice.randrange(_CASES)}",) * (number % 7 == 0)
    return RunSummary(
        run_id=f"{began:%Y%m%d-%H%M%S}-{loop}-{number:04x}",
        loop=loop,
        environment=environment,
        verdict=verdict,
        exit_code=0,
        stop_reason="green",
        started_at=iso(began),
        ended_at=iso(began + timedelta(seconds=taken)),
        duration_s=round(taken, 3),
        commit=f"{dice.getrandbits(160):040x}",
        tree=f"sha256:{dice.getrandbits(256):064x}",
        cycles=1,
        counts={"collected": _CASES, "passed": _CASES - len(flaky), "flaky": len(flaky)},
        stages={name: round(dice.uniform(0.1, 9), 3) for name in ("build", "deploy", "verify")},
        suites={"smoke": 5.0, "live": 12.5},
        verified={"web": "web-00001-abc"},
        flaky=flaky,
    )


def _result(run: RunSummary) -> dict[str, object]:
    cases = [
        {
            "id": f"tests/test_it.py::test_{number}",
            "status": "passed",
            "grade": "proven",
            "reason": f"receipt: GET /rooms/{number} 200 on web-00001-abc",
            "duration_s": 0.25,
            "message": None,
            "control": None,
            "quarantined": False,
        }
        for number in range(_CASES)
    ]
    return {
        "schema": 1,
        "run_id": run.run_id,
        "verdict": run.verdict,
        "duration_s": run.duration_s,
        "cycles": [{"number": 1, "suites": [{"id": "smoke", "cases": cases}]}],
    }

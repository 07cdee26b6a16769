"""A suite in shards

200 tests that sleep, their times drawn once from a lognormal distribution (median 80 ms, sigma 0.9,
seed 20), run by the product's own adapter as two shards that know the times of an earlier run, and
by `pytest -n 2 --dist worksteal`, in turn. Beside it the lower bound: half of what the tests sleep
in all, or the longest of them.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.project import environ
from bench.table import Measure, Row, in_turn, seconds, timed
from loopctl.model.evidence import Case, CaseStatus
from loopctl.model.plan import EvidenceSpec, Priority, SuiteKind, SuitePhase, SuiteSpec
from loopctl.model.references import Endpoint
from loopctl.ports.suite import SuiteContext
from loopctl.process import Stop
from loopctl.redact import Redactor
from loopctl.suites.pytest_suite import PytestSuite

PART = "n"
_TESTS = 200
_SHARDS = 2
_ROUNDS = 3
_FACTOR = 1.15


def rows() -> Iterator[Row]:
    """Shards beside the lower bound, and beside xdist."""
    draw = random.Random(20)
    slept = [0.08 * draw.lognormvariate(0, 0.9) for _ in range(_TESTS)]
    bound = max(sum(slept) / _SHARDS, *slept)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_slow.py").write_text(
            "import time, pytest\n\n"
            f"SLEPT = {slept!r}\n\n"
            f"@pytest.mark.parametrize('n', range({_TESTS}))\n"
            "def test_slow(n):\n    time.sleep(SLEPT[n])\n"
        )
        past_s = {f"test_slow.py::test_slow[{n}]": each for n, each in enumerate(slept)}
        ours, theirs = _sharded(folder, past_s), _xdist(folder)
        in_turn(ours, theirs, 1)
        pair = in_turn(ours, theirs, _ROUNDS)
    ratio = pair.ours / bound
    yield Row(
        "n",
        f"{_TESTS} tests on {_SHARDS} shards, and the lower bound",
        seconds(pair.ours),
        f"{seconds(bound)}, the lower bound ({ratio:.2f} ×)",
        f"≤ {_FACTOR} ×",
        ratio <= _FACTOR,
    )
    yield Row(
        "n",
        "the same, and xdist",
        seconds(pair.ours),
        pair.beside(seconds, "pytest -n 2 --dist worksteal"),
        "< 1 ×",
        pair.ours < pair.theirs,
    )


def _sharded(folder: Path, past_s: Mapping[str, float]) -> Measure:
    spec = SuiteSpec(
        id="slow",
        title="slow",
        priority=Priority.P1,
        phase=SuitePhase.VERIFY,
        kind=SuiteKind.PYTEST,
        run="-q -p no:cacheprovider test_slow.py",
        cwd=folder,
        python=sys.executable,
        shards=_SHARDS,
        evidence=EvidenceSpec(target=("web",)),
    )
    context = SuiteContext(
        endpoints={"web": Endpoint.of("http://127.0.0.1:9")},
        variables={},
        folder=folder / "kept",
        trace_seed="ab" * 16,
        past_s=past_s,
    )
    suite = PytestSuite(Redactor({}), environ())
    # A loop collects its suites while its services are built and become healthy.
    suite.collect(spec, context, Stop(60))

    def run() -> None:
        cases: list[Case] = []
        end = suite.run(spec, context, cases.append, Stop(120))
        if not end.complete or {case.status for case in cases} != {CaseStatus.PASSED}:
            raise RuntimeError(f"not all passed: {end}")

    return lambda: timed(run)


def _xdist(folder: Path) -> Measure:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-n", str(_SHARDS), "--dist", "worksteal", "test_slow.py"]

    def run() -> None:
        subprocess.run(
            command, cwd=folder, env=environ(), check=True, capture_output=True, timeout=120
        )

    return lambda: timed(run)

"""What the evidence rules make of the zoo

`bench/zoo` holds honest and false tests of one service, all of which pass; they were written before
the rules' results on them were looked at (`bench/zoo/README.md`). One `loopctl run` puts the
service behind the front door of the `local` platform and runs the zoo as four suites, with trace
receipts and without, with the control run and without. A test is accepted when its pass counts
under the default `evidence.require`, so is `observed` or better. gRPC does not go through the front
door, which speaks HTTP/1.1: the gRPC server is a service of its own with a `url:`, as somebody has
it whose backend is already there, and such a service has no receipts. Every wrong judgement has a
row with the modes it holds in, the grade and its reason. `python -m bench.evidence_matrix` prints
all judgements of all modes.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal

from bench.project import ROOT, Project, environ, project
from bench.table import HEADER, Row, skipped

PART = "m"
ZOO: Final = ROOT / "bench" / "zoo"
_ACCEPTED: Final = ("observed", "proven")
_HONEST_REJECTED: Final = 0.02

Label = Literal["honest", "false"]


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to run the zoo."""

    name: str
    receipts: bool
    control: bool

    @property
    def id(self) -> str:
        """As the loop file names the suite."""
        return self.name.replace(" + ", "-").replace(" ", "-")

    @property
    def guarded(self) -> bool:
        """Whether the aim of 0 false tests holds."""
        return self.receipts or self.control


MODES: Final = (
    Mode("neither", receipts=False, control=False),
    Mode("receipts", receipts=True, control=False),
    Mode("control run", receipts=False, control=True),
    Mode("receipts + control run", receipts=True, control=True),
)


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
        return "honest" if "/honest/" in self.case else "false"

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
    if missing:
        yield skipped(PART, "the zoo", f"its tests need {' and '.join(missing)}")
        return
    yield from _rows(judgements())


def _rows(judged: Sequence[Judged]) -> Iterator[Row]:
    for mode in MODES:
        its = [one for one in judged if one.mode is mode]
        yield _false_accepted(mode, its)
        yield _honest_rejected(mode, its)
    yield from _wrong(judged)


def judgements() -> Sequence[Judged]:
    """Run the zoo in every mode. Raises `RuntimeError` when a test of it is missing."""
    with project("zoo") as made, _words() as words:
        _write(made, words)
        # The false tests do not count as proof, so that the run cannot be green: exit code 3.
        document = json.loads(made.loopctl("run", "--json", code=3))
    suites = {suite["id"]: suite for suite in document["cycles"][-1]["suites"]}
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
            raise RuntimeError(f"{mode.name}: {found} of {collected} tests of the zoo were judged")
    return judged


def _false_accepted(mode: Mode, judged: Sequence[Judged]) -> Row:
    false = [one for one in judged if one.label == "false"]
    wrong = sum(one.wrong for one in false)
    limit = ("0", wrong == 0) if mode.guarded else ("", None)
    beside = f"of {len(false)}, all of which plain pytest accepts"
    return Row(PART, f"false tests accepted, {mode.name}", str(wrong), beside, *limit)


def _honest_rejected(mode: Mode, judged: Sequence[Judged]) -> Row:
    honest = [one for one in judged if one.label == "honest"]
    wrong = sum(one.wrong for one in honest)
    share = wrong / len(honest)
    beside = f"of {len(honest)} ({share:.1%})"
    limit = f"≤ {_HONEST_REJECTED:.0%}"
    what = f"honest tests rejected, {mode.name}"
    return Row(PART, what, str(wrong), beside, limit, share <= _HONEST_REJECTED)


def _wrong(judged: Sequence[Judged]) -> Iterator[Row]:
    """One row a test; of the modes that judge it wrongly the last one's words."""
    wrongly: dict[str, list[Judged]] = {}
    for one in judged:
        if one.wrong:
            wrongly.setdefault(one.case, []).append(one)
    for case, those in sorted(wrongly.items(), key=lambda item: (item[1][0].label, item[0])):
        last = those[-1]
        did = "accepted though false" if last.label == "false" else "rejected though honest"
        modes = "every mode" if len(those) == len(MODES) else ", ".join(o.mode.name for o in those)
        what = f"{did}: `{case.partition('::')[2]}`"
        yield Row(PART, what, last.grade or last.status, f"{last.why} (in {modes})")


def _write(made: Project, words: str) -> None:
    for name in ("tests", "pytest.ini"):
        copied = made.folder / "suite" / name
        if (ZOO / name).is_dir():
            shutil.copytree(ZOO / name, copied, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ZOO / name, copied)
    made.write("zoo/target.py", (ZOO / "target.py").read_text())
    health = {"path": "/health", "expect": {"status": "healthy"}, "stable_for": "0s"}
    run = {"command": ["python", "target.py"]}
    document = {
        "version": 1,
        "name": made.loop,
        "environments": {"local": {"platform": "local"}},
        "services": {
            "zoo": {"source": "../zoo", "run": run, "health": health},
            "words": {"url": f"http://{words}", "health": health},
        },
        "suites": [_suite(mode, words) for mode in MODES],
        # One after the other: what a child process met is told from its neighbours that way.
        "loop": {"max_cycles": 1, "jobs": 1},
    }
    made.write(f"loops/{made.loop}.yaml", json.dumps(document))


def _suite(mode: Mode, words: str) -> dict[str, object]:
    return {
        "id": mode.id,
        "kind": "pytest",
        "run": "tests -p no:cacheprovider",
        "cwd": "../suite",
        "env": {
            "BASE_URL": "${services.zoo.url}",
            "WS_URL": "${services.zoo.ws_url}",
            "GRPC_ADDRESS": words,
        },
        "timeout": {"suite": "5m", "test": "60s"},
        "on_fail": "continue",
        "protects": "zoo",
        "repeatable": True,
        "evidence": {
            "target": ["zoo", "words"],
            "receipts": "on" if mode.receipts else "off",
            "control": "always" if mode.control else "off",
        },
    }


@contextmanager
def _words() -> Iterator[str]:
    """The gRPC server, already there; HOST:PORT."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    server = [sys.executable, str(ZOO / "grpc_target.py")]
    with subprocess.Popen(server, env=environ(PORT=str(port))) as process:
        try:
            _await_healthy(f"http://127.0.0.1:{port}/health")
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def _await_healthy(url: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _main() -> None:
    """Every judgement of every mode, then the rows."""
    judged = judgements()
    for one in judged:
        verdict = "WRONG" if one.wrong else "right"
        print(f"{verdict} {one.mode.name:24} {one.grade or one.status:12} {one.case}  {one.why}")
    print(HEADER)
    for row in _rows(judged):
        print(row)


if __name__ == "__main__":
    _main()

"""What a history costs

Ten records of green runs, each with 20,000 templates of ten words, as large as a record may be,
kept in a folder one after the other and read again by another `FileHistory`, as a run does it when
it begins; then the five newest merged into what a failing run is held against. Beside it the same
records as plain JSON, written to one file each and parsed, without making anything of them.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.table import Row, in_turn, seconds
from loopctl.journal.earlier_runs import EarlierRuns
from loopctl.journal.green_codec import MOST_TEMPLATES
from loopctl.journal.history_files import FileHistory
from loopctl.model.baseline import Baseline, Seen
from loopctl.ports.history import RunRecord
from loopctl.process import Stop

PART = "v"
_RUNS = 10
_ROUNDS = 3
_MOST_S = 3.0
_WORDS = [f"word{n}" for n in range(4000)]


def rows() -> Iterator[Row]:
    """Writing ten, reading ten, and what one weighs."""
    records = [_record(number) for number in range(_RUNS)]
    with tempfile.TemporaryDirectory() as place:
        ours, plain = Path(place) / "ours", Path(place) / "plain.json"
        texts = [_as_text(record) for record in records]
        written = in_turn(lambda: _write(records, ours), lambda: _dump(texts, plain), _ROUNDS)
        read = in_turn(lambda: _read(ours), lambda: _parse(texts), _ROUNDS)
        sizes = [path.stat().st_size for path in (ours / "web" / "local").iterdir()]
    what = f"{_RUNS} records of {MOST_TEMPLATES:,} templates"
    beside = written.beside(seconds, "as plain JSON, one after the other")
    met = written.ours <= _MOST_S
    yield Row(PART, f"{what} written", seconds(written.ours), beside, f"≤ {_MOST_S:g} s", met)
    beside = read.beside(seconds, "parsed as plain JSON alone")
    met = read.ours <= _MOST_S
    yield Row(PART, f"{what} read and merged", seconds(read.ours), beside, f"≤ {_MOST_S:g} s", met)
    kib = f"{max(sizes) >> 10} KiB"
    yield Row(PART, "the largest of them", kib, f"{len(texts[0]) >> 10} KiB as plain JSON")


def _record(number: int) -> RunRecord:
    dice = random.Random(number)
    seen: dict[str, Seen] = {}
    while len(seen) < MOST_TEMPLATES:
        line = " ".join(dice.choices(_WORDS, k=10))
        seen[f"{line} <n> <q>"] = Seen(dice.randrange(1, 500), "web-00001-abc")
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
    green = Baseline({"web": seen}, {"web": 1_000_000}, {"web": 60.0}, version=1)
    name = f"{at:%Y%m%d-%H%M%S}-web-{number:04x}"
    return RunRecord(name, "web", "local", at, "green", green=green)


def _as_text(record: RunRecord) -> str:
    assert record.green is not None
    return json.dumps({t: s.count for t, s in record.green.templates["web"].items()})


def _write(records: Sequence[RunRecord], root: Path) -> float:
    began = time.perf_counter()
    for record in records:
        FileHistory(root).put(record, Stop(60))
    return time.perf_counter() - began


def _dump(texts: Sequence[str], path: Path) -> float:
    began = time.perf_counter()
    for text in texts:
        path.write_text(text)
    return time.perf_counter() - began


def _read(root: Path) -> float:
    began = time.perf_counter()
    past = EarlierRuns(FileHistory(root), "web", "local").past()
    merged = past.baseline(1)
    assert len(past.records) == _RUNS
    assert merged is not None
    return time.perf_counter() - began


def _parse(texts: Sequence[str]) -> float:
    began = time.perf_counter()
    for text in texts:
        json.loads(text)
    return time.perf_counter() - began

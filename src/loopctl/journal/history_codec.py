"""A record of a run as JSON, and its name: the same wherever records are kept.

One of more than 64 KiB is kept by gzip, under the same name (`zcat -f` reads both).
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final

from loopctl.inert import one_line
from loopctl.journal import green_codec
from loopctl.journal.wording import iso
from loopctl.model.evidence import CaseStatus, Grade
from loopctl.ports.history import (
    CaseRecord,
    FindingRecord,
    HistoryError,
    RemedyRecord,
    RunRecord,
)

SCHEMA: Final = 2
_READ: Final = (1, 2)
LARGEST: Final = 8 << 20
"""Bytes of the largest record that is kept, and that is read again, before it is packed."""

KEY: Final = "key"
"""The name of what holds the key of hashes, at the top of a history."""

KEY_BYTES: Final = 32
_PACKED_FROM: Final = 64 << 10
_GZIP: Final = b"\x1f\x8b"
_MOST_FINDINGS: Final = 200

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_COMMIT: Final = re.compile(r"[0-9a-f]{7,64}")
_RECORD: Final = re.compile(r"\d{8}-\d{6}-[A-Za-z0-9_-]{1,120}\.json")


def is_place(loop: str, environment: str) -> bool:
    """Whether records of such a loop and environment can be kept at all."""
    return bool(_NAME.fullmatch(loop) and _NAME.fullmatch(environment))


def is_record(name: str) -> bool:
    """Whether a file or object of that name, without its folders, is a record."""
    return _RECORD.fullmatch(name) is not None


def name_of(record: RunRecord) -> str:
    """`LOOP/ENVIRONMENT/RUN.json`; raises `HistoryError` where one of them is no name."""
    for name in (record.loop, record.environment):
        if not _NAME.fullmatch(name):
            raise HistoryError(f"{one_line(name, 120)} is no name of a loop or environment")
    file = f"{record.run_id}.json"
    if not is_record(file):
        raise HistoryError(f"{one_line(record.run_id, 120)} is no name of a run")
    return f"{record.loop}/{record.environment}/{file}"


def encoded(record: RunRecord, where: str) -> bytes:
    """The record as it is kept at `where`; raises `HistoryError` where it is too large.

    What its logs were like is left out first.
    """
    data = _to_json(record)
    if len(data) > LARGEST and record.green is not None:
        data = _to_json(replace(record, green=None))
    if len(data) > LARGEST:
        what = f"the record of the run has {len(data)} bytes, and {LARGEST} can be read again"
        raise HistoryError(what, where=where)
    # No time in it: the same record must be the same bytes.
    return data if len(data) < _PACKED_FROM else gzip.compress(data, compresslevel=3, mtime=0)


def decoded(data: bytes, name: str) -> RunRecord | None:
    """The record of that name (`LOOP/ENVIRONMENT/RUN.json`); None if it cannot be understood."""
    with contextlib.suppress(HistoryError, *_NO_RECORD):
        record = _record(json.loads(_unpacked(data)))
        return (
            record if f"{record.loop}/{record.environment}/{record.run_id}.json" == name else None
        )
    return None


def key_id(key: bytes) -> str:
    """Names a key without telling it: hashes compare only under the same one."""
    return hashlib.sha256(b"loopctl history key " + key).hexdigest()[:16]


def _unpacked(data: bytes) -> bytes:
    if not data.startswith(_GZIP):
        return data
    # No more than could have been kept: what was packed by others may unfold to anything.
    return zlib.decompressobj(wbits=31).decompress(data, LARGEST + 1)


def _to_json(record: RunRecord) -> bytes:
    document: dict[str, object] = {
        "schema": SCHEMA,
        "run_id": record.run_id,
        "loop": record.loop,
        "environment": record.environment,
        "started_at": iso(record.started_at),
        "verdict": record.verdict,
        "partial": record.partial,
        "commit": record.commit,
        "images": dict(record.images),
        "suites": {
            name: {
                "outcome": record.outcomes.get(name),
                "duration_s": record.seconds.get(name),
                "cases": {case: _case_json(facts) for case, facts in cases.items()},
            }
            for name, cases in record.suites.items()
        },
        "verified": dict(record.verified),
        "duration_s": record.duration_s,
        "stages": {name: round(seconds, 3) for name, seconds in record.durations.items()},
        "green": None if record.green is None else green_codec.to_json(record.green),
        "greens": list(record.greens),
        "configuration": dict(record.configuration),
        "hashed_by": record.hashed_by,
        "files": dict(record.files),
        "findings": [asdict(finding) for finding in record.findings[:_MOST_FINDINGS]],
        "remedies": [{**asdict(each), "at": iso(each.at)} for each in record.remedies],
        "migrations": dict(record.migrations),
        "sources": dict(record.sources),
        "told": list(record.told),
    }
    # ASCII: an id may hold half a surrogate pair, and must be the same when it is read again.
    return json.dumps(document, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def _case_json(case: CaseRecord) -> Mapping[str, object]:
    facts: dict[str, object] = {
        "status": case.status.value,
        "duration_s": round(case.duration_s, 4),
    }
    if case.grade is not None:
        facts["grade"] = case.grade.value
    if case.code is not None:
        facts["code"] = case.code
    return facts


_NO_RECORD: Final = (
    *(OSError, ValueError, TypeError, KeyError),
    *(AttributeError, OverflowError, RecursionError, IndexError, EOFError, zlib.error),
)
"""What a damaged file, or one of another version, makes the reading of it raise."""


def _record(of: Any) -> RunRecord:  # Any: JSON; every field is checked where it is read
    if int(of["schema"]) not in _READ:
        raise ValueError("of a later version")
    suites = dict(of["suites"])
    green = of.get("green")
    return RunRecord(
        run_id=_text(of["run_id"]),
        loop=_text(of["loop"]),
        environment=_text(of["environment"]),
        started_at=_moment(of["started_at"]),
        verdict=_text_or_none(of.get("verdict")),
        partial=of.get("partial") is True,
        commit=_commit(of.get("commit")),
        images=_texts(of["images"]),
        suites={name: _cases(suite["cases"]) for name, suite in suites.items()},
        outcomes={
            name: _text(suite["outcome"])
            for name, suite in suites.items()
            if suite.get("outcome") is not None
        },
        seconds={
            name: _seconds(suite["duration_s"])
            for name, suite in suites.items()
            if suite.get("duration_s") is not None
        },
        verified=_texts(of.get("verified", {})),
        duration_s=None if of.get("duration_s") is None else _seconds(of["duration_s"]),
        durations={name: _seconds(each) for name, each in dict(of.get("stages", {})).items()},
        green=None if green is None else green_codec.from_json(green),
        greens=tuple(_text(name) for name in of.get("greens", ())),
        configuration=_texts(of.get("configuration", {})),
        hashed_by=_text_or_none(of.get("hashed_by")),
        files=_texts(of.get("files", {})),
        findings=tuple(_finding(each) for each in of.get("findings", ())),
        remedies=tuple(_remedy(each) for each in of.get("remedies", ())),
        migrations=_texts(of.get("migrations", {})),
        sources=_texts(of.get("sources", {})),
        told=tuple(_text(name) for name in of.get("told", ())),
    )


def _finding(of: Mapping[str, Any]) -> FindingRecord:
    return FindingRecord(
        fingerprint=_text(of["fingerprint"]),
        signature=_text_or_none(of.get("signature")),
        title=_text(of["title"]),
        service=_text_or_none(of.get("service")),
    )


def _remedy(of: Mapping[str, Any]) -> RemedyRecord:
    mended = of.get("mended")
    return RemedyRecord(
        cause=_text(of["cause"]),
        action=_text(of["action"]),
        result=_text(of["result"]),
        at=_moment(of["at"]),
        service=_text_or_none(of.get("service")),
        mended=mended if isinstance(mended, bool) else None,
        on=_text(of.get("on", "")),
    )


def _cases(of: Mapping[str, Any]) -> Mapping[str, CaseRecord]:
    return {
        name: CaseRecord(
            CaseStatus(case["status"]),
            _seconds(case["duration_s"]),
            Grade(case["grade"]) if case.get("grade") is not None else None,
            _text_or_none(case.get("code")),
        )
        for name, case in of.items()
    }


def _commit(value: object) -> str | None:
    """A commit by its hash alone: it is asked of git, which takes much else for options."""
    text = _text_or_none(value)
    return text if text is not None and _COMMIT.fullmatch(text) else None


def _texts(of: Any) -> Mapping[str, str]:  # Any: JSON
    return {_text(name): _text(value) for name, value in dict(of).items()}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value


def _text_or_none(value: object) -> str | None:
    return None if value is None else _text(value)


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError("no duration")
    return float(value)


def _moment(value: object) -> datetime:
    at = datetime.fromisoformat(_text(value))
    if at.tzinfo is None:
        raise ValueError("no time zone")
    return at

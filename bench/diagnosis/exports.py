"""The forms in which logs reach a person: each writes the same lines another way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from bench.diagnosis.story import Line

_PROJECT: Final = "acme-staging"
_LOGS: Final = {
    "stdout": "run.googleapis.com/stdout",
    "json": "run.googleapis.com/stdout",
    "stderr": "run.googleapis.com/stderr",
    "system": "run.googleapis.com/varlog/system",
    "audit": "cloudaudit.googleapis.com/system_event",
    "req": "run.googleapis.com/requests",
}
Json = dict[str, Any]
Write = Callable[[Sequence[Line], datetime], str]


def _gcloud(lines: Sequence[Line], moment: datetime) -> str:
    """What `gcloud logging read --format=json` prints: an array, the newest first."""
    entries = [_entry(line, moment, number) for number, line in enumerate(lines)]
    return json.dumps(entries[::-1], indent=2) + "\n"


def _gcloud_oldest_first(lines: Sequence[Line], moment: datetime) -> str:
    entries = [_entry(line, moment, number) for number, line in enumerate(lines)]
    return json.dumps(entries, indent=2) + "\n"


def _json_lines(lines: Sequence[Line], moment: datetime) -> str:
    """The same entries as a sink writes them, one a line."""
    entries = (_entry(line, moment, number) for number, line in enumerate(lines))
    return "".join(json.dumps(entry, separators=(",", ":")) + "\n" for entry in entries)


def _entry(line: Line, moment: datetime, number: int) -> Json:
    at = moment + timedelta(seconds=line.at)
    entry: Json = {
        "insertId": f"68bee{number:08x}{abs(hash(line.at)) % 997:04x}",
        "logName": f"projects/{_PROJECT}/logs/{quote(_LOGS[line.kind], safe='')}",
        "receiveTimestamp": _stamp(at + timedelta(milliseconds=180)),
        "timestamp": _stamp(at),
        "resource": {
            "type": "cloud_run_revision",
            "labels": {
                "configuration_name": line.service,
                "location": "us-central1",
                "project_id": _PROJECT,
                "revision_name": line.revision,
                "service_name": line.service,
            },
        },
    }
    if line.severity:
        entry["severity"] = line.severity
    if line.instance:
        entry["labels"] = {"instanceId": line.instance}
    return entry | _payload(line)


def _payload(line: Line) -> Json:
    if line.kind == "req":
        return _request(line)
    if line.kind == "audit":
        status = {"code": 9, "message": line.text}
        return {"protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "methodName": "/Services.ReplaceService",
            "resourceName": f"namespaces/{_PROJECT}/services/{line.service}",
            "serviceName": "run.googleapis.com",
            "status": status,
        }}  # fmt: skip
    if line.kind == "json":
        told = _object(line.text)
        severity = told.pop("severity", None)
        return {"jsonPayload": told} | ({"severity": severity} if severity else {})
    return {"textPayload": line.text}


def _object(text: str) -> Json:
    return json.loads(text) if text.startswith("{") else {"message": text}


def _request(line: Line) -> Json:
    sent, _, platform = line.text.partition(" -- ")
    method, path, status, seconds = sent.split()
    request = {
        "latency": f"{seconds}s",
        "protocol": "HTTP/1.1",
        "remoteIp": "203.0.113.8",
        "requestMethod": method,
        "requestUrl": f"https://{line.service}-pnovr5vsba-uc.a.run.app{path}",
        "status": int(status),
        "userAgent": "python-httpx/0.28.1",
    }
    return {"httpRequest": request} | ({"textPayload": platform} if platform else {})


def _run_logs_read(lines: Sequence[Line], moment: datetime) -> str:
    """What `gcloud run services logs read` prints."""
    return "".join(f"{_second(line, moment)} {_said(line)}\n" for line in lines)


def _docker(lines: Sequence[Line], moment: datetime) -> str:
    """`docker logs -t` of one container."""
    return "".join(
        f"{_stamp(moment + timedelta(seconds=line.at), 9)} {text}\n"
        for line in lines
        for text in _said(line).split("\n")
    )


def _compose(lines: Sequence[Line], _moment: datetime) -> str:
    """`docker compose logs`: the service before every line, and no time."""
    wide = max(len(line.service) for line in lines) + 3
    return "".join(
        f"{line.service + '-1':<{wide}}| {text}\n"
        for line in lines
        for text in _said(line).split("\n")
    )


def _docker_file(lines: Sequence[Line], moment: datetime) -> str:
    """The json-file driver's own file."""
    return "".join(
        json.dumps({
            "log": text + "\n",
            "stream": "stderr" if line.kind == "stderr" else "stdout",
            "time": _stamp(moment + timedelta(seconds=line.at), 9),
        }) + "\n"
        for line in lines
        for text in _said(line).split("\n")
    )  # fmt: skip


def _timed_text(lines: Sequence[Line], moment: datetime) -> str:
    """A plain file: time, level, what was said."""
    return "".join(
        f"{_second(line, moment)},{int(line.at * 1000) % 1000:03} {line.severity or 'INFO'}"
        f" [{line.service}] {_said(line)}\n"
        for line in lines
    )


def _bare_text(lines: Sequence[Line], _moment: datetime) -> str:
    """What a terminal showed, and no more."""
    return "".join(_said(line) + "\n" for line in lines)


def _said(line: Line) -> str:
    if line.kind != "req":
        return line.text
    sent, _, platform = line.text.partition(" -- ")
    method, path, status, _ = sent.split()
    said = f'203.0.113.8 - "{method} {path} HTTP/1.1" {status}'
    return f"{said} {platform}" if platform else said


def _stamp(at: datetime, digits: int = 6) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}{'0' * (digits - 6)}Z"


def _second(line: Line, moment: datetime) -> str:
    return f"{moment + timedelta(seconds=line.at):%Y-%m-%d %H:%M:%S}"


FORMS: Final[Mapping[str, Write]] = {
    "gcloud": _gcloud,
    "gcloud-asc": _gcloud_oldest_first,
    "json-lines": _json_lines,
    "run-logs-read": _run_logs_read,
    "docker": _docker,
    "compose": _compose,
    "docker-file": _docker_file,
    "timed-text": _timed_text,
    "bare-text": _bare_text,
}

NAME_SERVICES: Final = frozenset({"gcloud", "gcloud-asc", "json-lines", "compose"})


def export(form: str, lines: Iterator[Line], day: int) -> str:
    """The lines by time, in that form; `day` sets the date. Raises KeyError for an unknown form."""
    moment = datetime(2025, 9, 8, 13, 58, 26, 123_456, UTC) + timedelta(days=day)
    return FORMS[form](sorted(lines, key=lambda line: line.at), moment)


def suffix(form: str) -> str:
    """How a file of that form is named."""
    return {"gcloud": ".json", "gcloud-asc": ".json", "json-lines": ".jsonl"}.get(form, ".log")

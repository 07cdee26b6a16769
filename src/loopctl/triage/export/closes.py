"""Sees in the fields of a structured line that a WebSocket was closed: how, why, by whom."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from loopctl.model.logs import RequestEntry
from loopctl.triage.export.fields import first

_CODE: Final = ("close_code", "closeCode", "ws_close_code", "wsCloseCode", "websocket.close_code")
_REASON: Final = ("close_reason", "closeReason", "ws_close_reason", "reason")
_DIGITS: Final = 4
_SERVER: Final = ("service", "server", "app", "us", "local")


def close_of(
    fields: Mapping[str, Any], at: datetime, service: str, revision: str
) -> RequestEntry | None:
    """The close that the line tells of; None where it tells of none."""
    code = first(fields, *_CODE)
    if not (code.isdecimal() and len(code) == _DIGITS and 1000 <= int(code) < 5000):
        return None
    by = first(fields, "closed_by", "closedBy", "initiator").lower()
    path = first(fields, "path", "url", "route").partition("?")[0] or "/"
    return RequestEntry(
        at,
        service,
        revision,
        "GET",
        path,
        None,
        "close",
        close_code=int(code),
        close_reason=first(fields, *_REASON) or None,
        closed_by="client" if by == "client" else "service" if by in _SERVER else None,
        age_s=_age(fields),
    )


def _age(fields: Mapping[str, Any]) -> float | None:
    for name, scale in (("age_s", 1.0), ("age_ms", 1000.0), ("duration_ms", 1000.0)):
        value = fields.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e12:
            return float(value) / scale
    return None

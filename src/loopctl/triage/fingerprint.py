"""Names for causes that stay the same from run to run.

`v1|language|innermost exception type|up to five in-app file:function`, else the masked message;
the message is a sub-key (facts/log-triage.md). No line numbers: they move with every edit.
"""

from __future__ import annotations

import hashlib
from typing import Final

from loopctl.triage.templates import mask_message
from loopctl.triage.traceback import StackTrace

VERSION: Final = "v1"
_FRAMES: Final = 5


def stack_fingerprint(trace: StackTrace) -> str:
    """The fingerprint of a traceback, its message sub-key at the end as `#` and 8 hex digits."""
    raised = trace.innermost
    places = [frame.place for frame in trace.own_frames[-_FRAMES:]]
    body = "|".join([VERSION, trace.language, raised.type, *places])
    return f"{body}#{_sub_key(raised.message)}"


def message_fingerprint(text: str) -> str:
    """The fingerprint of a failure that has no frames."""
    return f"{VERSION}|message|{mask_message(text)[:200]}"


def reason_fingerprint(reason: str) -> str:
    """The fingerprint of a failure by its reason, which is masked already."""
    return f"{VERSION}|message|{reason[:200]}"


def cause_fingerprint(signature: str, service: str | None, key: str) -> str:
    """The fingerprint of a known cause: its signature, where, and what tells two of it apart."""
    parts = [VERSION, "signature", signature, service or "", *([key] if key else [])]
    return "|".join(parts)


def _sub_key(message: str) -> str:
    return hashlib.sha256(mask_message(message).encode()).hexdigest()[:8]

"""What counts as a healthy answer. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from loopctl.evidence.field_checks import field_faults, json_of
from loopctl.evidence.front_end import front_end_answer
from loopctl.inert import one_line
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.model.plan import HealthSpec
from loopctl.ports.probe import Answer, Unreachable
from loopctl.stages.admission import advice, refusal
from loopctl.stages.callers import NOBODY, Caller

_REDIRECTS = range(300, 400)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who was asked, and by which rules. `cold`: nothing has answered before, latency is free.

    `caller` is as whom, `url` at which root.
    """

    service: str
    spec: HealthSpec
    cold: bool
    caller: Caller = NOBODY
    url: str | None = None


def check_answer(answer: Answer | Unreachable, asked: Asked) -> Fault | None:
    """None for a healthy answer, else the one fault that a person should see."""
    if isinstance(answer, Unreachable):
        return _fault(asked, FaultKind.UNREACHABLE, f"no answer: {answer.reason}", None, answer)
    if not answer.own:
        summary = f"the front door could not reach it ({answer.status})"
        return _fault(asked, FaultKind.UNREACHABLE, summary, None, answer)
    if answer.status in _REDIRECTS and answer.status not in asked.spec.status:
        target = one_line(answer.location or "nowhere")
        summary = f"{asked.spec.path} answers {answer.status}, a redirect to {target}"
        return _fault(asked, FaultKind.REDIRECT, summary, str(answer.status), answer)
    if answer.status not in asked.spec.status:
        if (kept_out := keeps_out(answer, asked)) is not None:
            return kept_out
        wanted = " or ".join(map(str, asked.spec.status))
        summary = f"{asked.spec.path} answers {answer.status}, not {wanted}"
        return _fault(asked, FaultKind.STATUS, summary, str(answer.status), answer)
    if (wrong := _wrong_field(answer.body, asked.spec.expect or {})) is not None:
        return _fault(asked, FaultKind.BODY, f"{asked.spec.path}: {wrong}", None, answer)
    limit = asked.spec.max_latency_s
    if limit is not None and not asked.cold and answer.latency_s > limit:
        summary = f"{asked.spec.path} takes {answer.latency_s:.2f} s, {limit:g} s are allowed"
        return _fault(asked, FaultKind.LATENCY, summary, f"{answer.latency_s:.3f}", answer)
    return None


def keeps_out(answer: Answer | Unreachable, asked: Asked) -> Fault | None:
    """A fault where not the service but Google's front end has answered."""
    if isinstance(answer, Unreachable):
        return None
    kind = front_end_answer(answer.status, answer.body)
    if kind is None:
        return None
    path, caller = asked.spec.path, asked.caller
    return replace(
        _fault(
            asked,
            FaultKind.NOT_ADMITTED,
            refusal(kind, answer.status, path, caller),
            str(answer.status),
            answer,
        ),
        hint=advice(kind, answer.status, path, caller, asked.service, asked.url),
    )


def _fault(
    asked: Asked, kind: FaultKind, summary: str, value: str | None, answer: Answer | Unreachable
) -> Fault:
    quote = Quote("probe", f"GET {asked.spec.path}", quoted(answer))
    return Fault(kind, f"{asked.service}: {summary}", asked.service, value, (quote,))


def quoted(answer: Answer | Unreachable) -> str:
    """The answer in one line, as evidence."""
    if isinstance(answer, Unreachable):
        return one_line(answer.reason)
    location = f" location: {answer.location}" if answer.location else ""
    return one_line(f"HTTP {answer.status} in {answer.latency_s:.3f} s{location} {answer.body}")


def _wrong_field(body: str, expected: Mapping[str, object]) -> str | None:
    if not expected:
        return None
    try:
        document = json_of(body)
    except ValueError:
        return "the answer is not JSON"
    faults = field_faults(document, expected)
    return faults[0].said(one_line) if faults else None

"""The requests of an http suite, and whether an answer is what they expect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from loopctl.evidence.field_checks import field_faults, json_of
from loopctl.model.plan import SuiteSpec
from loopctl.model.references import Endpoint
from loopctl.ports.suite import SuiteError
from loopctl.suites.declared.headers import sendable
from loopctl.suites.declared.http_client import MOST_BODY, HttpAnswer
from loopctl.suites.declared.probe_address import Address, address_of, path_of, traceparent
from loopctl.suites.declared.probe_case import Clean, as_json, filled_in, unique

if TYPE_CHECKING:
    import httpx

_VERBS = ("get", "head", "post", "put", "patch", "delete")
_MOST_SAID = 5


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request and what must come back.

    `statuses` are those that are accepted, any 2xx when there are none. `sends`: `body` goes out
    as JSON. `expected` are fields of the answer, which is JSON then; None: its body is not looked
    at. `max_latency_s` is from the start of the request, with connecting where that is
    needed, to the last byte of the answer.
    """

    id: str
    method: str
    url: str
    headers: Mapping[str, str]
    sends: bool
    body: object
    statuses: tuple[int, ...]
    expected: Mapping[str, object] | None
    max_latency_s: float | None

    def filled(self, endpoints: Mapping[str, Endpoint], suite: str) -> HttpRequest:
        """With the addresses of this run. Raises `SuiteError` for a service that has none."""
        given = [self.url, self.headers, self.body, self.expected]
        made: Any = filled_in(given, endpoints, f"{self.id} of suite {suite}")
        url, headers, body, expected = made
        return replace(self, url=url, headers=headers, body=body, expected=expected)

    def made(self, trace: str | None, suite: str) -> httpx.Request:
        """The request as httpx sends it, with the trace unless it brings one of its own.

        Raises `SuiteError` when it cannot be sent.
        """
        import httpx  # noqa: PLC0415 - costs 100 ms that most commands need not spend

        given = {"accept": "*/*", "accept-encoding": "gzip, deflate", "user-agent": "loopctl"}
        given |= {"content-type": "application/json"} if self.sends else {}
        given |= {"traceparent": traceparent(trace)} if trace else {}
        where = f"{self.id} of suite {suite}"
        given |= sendable(self.headers, where)
        try:
            headers = [(name.encode(), value.encode()) for name, value in given.items()]
            content = as_json(self.body).encode() if self.sends else None
            return httpx.Request(self.method, self.url, headers=headers, content=content)
        except (httpx.InvalidURL, ValueError) as problem:
            raise SuiteError(f"it cannot be sent: {problem}", where=where) from problem

    def address(self, endpoints: Mapping[str, Endpoint], suite: str) -> Address:
        """Where it goes, once it is filled in. Raises `SuiteError` for what is no HTTP URL."""
        try:
            if not self.url.startswith(("http://", "https://")):
                raise ValueError("it does not start with http:// or https://")
            return address_of(self.url, endpoints)
        except ValueError as problem:
            raise SuiteError(
                f"{self.url!r} cannot be asked: {problem}",
                where=f"{self.id} of suite {suite}",
                hint='write the whole URL, as "${services.NAME.url}/path"',
            ) from problem


def requests_of(spec: SuiteSpec, clean: Clean) -> tuple[HttpRequest, ...]:
    """The suite's requests in the order of the file, each with the id of its case."""
    given: Any = (spec.probe or {}).get("requests") or ()
    verbs = [next(verb for verb in _VERBS if verb in each) for each in given]
    names = unique(
        clean.line(f"{verb.upper()} {path_of(each[verb])}")
        for verb, each in zip(verbs, given, strict=True)
    )
    return tuple(
        HttpRequest(
            id=name,
            method=verb.upper(),
            url=each[verb],
            headers=each.get("headers") or {},
            sends="send" in each,
            body=each.get("send"),
            statuses=tuple(each.get("status") or ()),
            expected=each.get("json"),
            max_latency_s=each.get("max_latency"),
        )
        for name, verb, each in zip(names, verbs, given, strict=True)
    )


def faults_of(request: HttpRequest, answer: HttpAnswer, clean: Clean) -> list[str]:
    """Why the answer is not what was expected; nothing when it is. A wrong status stands alone."""
    if not _is_expected(answer.status, request.statuses):
        return [_wrong_status(request, answer, clean)]
    found = []
    if answer.is_endless:
        found.append(f"its body goes on after {MOST_BODY // 2**20} MiB")
    elif answer.is_garbled:
        found.append(_unreadable(answer, clean))
    elif request.expected is not None:
        found += _wrong_fields(request.expected, answer, clean)
    limit = request.max_latency_s
    if limit is not None and answer.latency_s > limit:
        found.append(f"took {answer.latency_s:.3f} s, {limit:g} s are allowed")
    return found


def document_of(answer: HttpAnswer) -> tuple[object] | None:
    """The answer's JSON, alone in a tuple; None when it is none."""
    if answer.is_endless or answer.undecoded is not None:
        return None
    try:
        return (json_of(answer.body),)
    except ValueError:
        return None


def _is_expected(status: int, statuses: Sequence[int]) -> bool:
    return status in statuses if statuses else 200 <= status < 300


def _wrong_status(request: HttpRequest, answer: HttpAnswer, clean: Clean) -> str:
    wanted = " or ".join(map(str, request.statuses)) or "2xx"
    said = f"answers {answer.status}"
    if answer.location is not None and 300 <= answer.status < 400:
        said += f", a redirect to {clean.line(answer.location)}, which is not followed"
        return f"{said}; {wanted} is expected"
    body = clean.line(answer.text)
    return f"{said}, not {wanted}" + (f": {body}" if body else "")


def _unreadable(answer: HttpAnswer, clean: Clean) -> str:
    return f"its body cannot be read: {clean.field(answer.undecoded or '')}"


def _wrong_fields(expected: Mapping[str, object], answer: HttpAnswer, clean: Clean) -> list[str]:
    if answer.undecoded is not None:
        return [_unreadable(answer, clean)]
    document = document_of(answer)
    if document is None:
        return [f"its body is not JSON: {clean.field(answer.text) or 'it is empty'}"]
    faults = [fault.said(clean.field) for fault in field_faults(document[0], expected)]
    more = len(faults) - _MOST_SAID
    return [*faults[:_MOST_SAID], *([f"{more} more fields are wrong"] if more > 0 else [])]

"""Upstream first: what fails only because another service does hangs under that one's failure.

Pure. A finding hangs under another where its own evidence speaks of an answer that did not come,
or of one with 5xx, and the other is about the same service or about one that this one needs. A
fault of its own, a TypeError say, never hangs under anything. Whoever failed later than it cannot
be its cause.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from loopctl.model.finding import Finding, Why
from loopctl.model.questions import WHOSE

Needs = Mapping[str, Sequence[str]]

_SEVERITIES: Final = ("critical", "high", "medium", "low")
_SLACK: Final = timedelta(seconds=30)
"""Clocks differ, and a test's time is that of its end."""

_UNREACHED: Final = re.compile(
    r"(?i)connect(?:ion)?[ _]?(?:error|refused|reset|aborted|timed? ?out|timeout|closed|failed)"
    r"|ECONN(?:REFUSED|RESET|ABORTED)|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|EAI_AGAIN|EPIPE"
    r"|ReadTimeout|RemoteDisconnected|RemoteProtocolError|ServerDisconnected|max retries exceeded"
    r"|no route to host|name or service not known|getaddrinfo|name resolution|socket hang up"
    r"|dial tcp|broken pipe|unreachable|cannot (?:reach|connect)|could not (?:reach|connect)"
    r"|failed to (?:reach|connect|fetch)|\bunavailable\b|deadline[ _]exceeded|timed out"
    r"|TimeoutError"
    r"|(?:bad|504) gateway|gateway time-?out|upstream (?:connect|request|service|server|answered)"
    r"|no healthy upstream|\b50[234]\b"
)
_ANSWERED_5XX: Final = re.compile(r"\b5\d\d\b")
_STORES: Final = re.compile(
    r"(?i)\b(?:postgres\w*|mysql|mariadb|mongo\w*|redis|memcached?|kafka|rabbitmq|amqp|elasticsearch"
    r"|smtp|cassandra|dynamodb|database)\b"
)
_HOST: Final = re.compile(r"(?i)(?:://(?:[^/@\s]*@)?|\bhost=['\"]?|dial tcp )([a-z0-9][\w.-]*)")
_NO_NAME: Final = re.compile(r"(?i)localhost|[\d.]+")


@dataclass(frozen=True, slots=True)
class Located:
    """A finding with what tells its place in the order. `began` is None where it is not known.

    `is_cause`: it may explain others; one that only tests have seen may not. `beside` are the lines
    of its service's log that stand out: whom it asked may be named in them alone.
    """

    finding: Finding
    began: datetime | None
    is_cause: bool
    beside: tuple[str, ...] = ()


def upstream_first(found: Sequence[Located], needs: Needs) -> tuple[Finding, ...]:
    """Every finding, causes before their symptoms; each of those names its cause in `under`."""
    order = _services(found, needs)
    ranked = sorted(found, key=lambda each: _rank(each, order))
    parents = {}
    for symptom in ranked:
        causes = [cause for cause in ranked if _explains(cause, symptom, needs)]
        if causes:
            parents[symptom.finding.fingerprint] = min(
                causes, key=lambda cause: _nearness(cause, symptom, needs)
            )
    told = []
    for each in ranked:
        root = _root(each, parents)
        if root is each:
            told.append(each.finding)
            told += [
                _hung(other.finding, root.finding)
                for other in ranked
                if other is not root and _root(other, parents) is root
            ]
    return tuple(told)


def reach(needs: Needs, service: str) -> frozenset[str]:
    """The services that a service needs, and those that these need."""
    found: set[str] = set()
    waiting = list(needs.get(service, ()))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += needs.get(name, ())
    return frozenset(found - {service})


def _services(found: Sequence[Located], needs: Needs) -> dict[str, int]:
    """The failing services, what is needed before what needs it, then by their first failure."""
    first: dict[str, float] = {}
    for each in found:
        if (name := each.finding.service) is not None:
            at = each.began.timestamp() if each.began is not None else float("inf")
            first[name] = min(first.get(name, at), at)
    depth = {name: len(reach(needs, name) & first.keys()) for name in first}
    ordered = sorted(first, key=lambda name: (depth[name], first[name]))
    return {name: number for number, name in enumerate(ordered)}


def _rank(each: Located, order: Mapping[str, int]) -> tuple[bool, int, int, float, str]:
    """Known causes first, the severe ones before the others, then by service."""
    finding = each.finding
    service = order.get(finding.service or "", 0)
    severity = _SEVERITIES.index(finding.severity)
    unknown = finding.signature is None
    return (unknown, severity, service, -finding.confidence, "" if unknown else finding.fingerprint)


def _explains(cause: Located, symptom: Located, needs: Needs) -> bool:
    one, other = cause.finding, symptom.finding
    if cause is symptom or not cause.is_cause or one.service is None or one.not_evidence:
        return False
    if other.not_evidence or _is_earlier(symptom, cause):
        return False
    if one.service == other.service or other.service is None:
        # A known cause of the same service is another failure, or was folded in already.
        grave = one.severity in ("critical", "high")
        by_tests = other.signature is None and not symptom.is_cause
        return grave and by_tests and _speaks_of_answers(other)
    said = [x for x in _words_of_distance(other) if not _names_another(x, one.service)]
    if one.service in reach(needs, other.service):
        return bool(said)
    return bool(said) and any(_names(x, one.service) for x in (*said, *symptom.beside))


def _is_earlier(one: Located, other: Located) -> bool:
    if one.began is None or other.began is None:
        return False
    return one.began + _SLACK < other.began


def _speaks_of_answers(finding: Finding) -> bool:
    quotes = [q.quote for q in finding.evidence if q.kind in ("test", "request", "probe")]
    return any(_UNREACHED.search(text) or _ANSWERED_5XX.search(text) for text in quotes)


def _words_of_distance(finding: Finding) -> list[str]:
    """The quotes that say that an answer did not come, or was none."""
    kinds = ("log", "test", "request", "probe", "condition")
    lines = [quote.quote for quote in finding.evidence if quote.kind in kinds]
    said = [line for line in lines if _UNREACHED.search(line)]
    if finding.signature is None:
        said += [line for line in lines if line not in said and _ANSWERED_5XX.search(line)]
    return said


def _names_another(line: str, service: str) -> bool:
    """Whether the line speaks of a host or a store that is not this service."""
    hosts = [host for host in _HOST.findall(line) if not _NO_NAME.fullmatch(host)]
    if hosts:
        return not any(service in host.lower() for host in hosts)
    return _STORES.search(line) is not None and not _names(line, service)


def _names(line: str, service: str) -> bool:
    """Whether the line names the service as the one that was asked.

    Names of services are common words: only beside a port, in an address, or as who answered.
    """
    if any(_is_address(host.lower(), service) for host in _HOST.findall(line)):
        return True
    name = re.escape(service)
    return bool(
        re.search(
            rf"(?i)\b(?:to|upstream|service|from|calling|reach) ['\"`]?{name}\b"
            rf"|(?<![\w.-]){name}(?::\d{{2,5}}|\.(?:svc|default|internal|local))\b"
            rf"|(?<![\w.-]){name}(?:[- ]service)? (?:is|was|has|answered|answers|returned|responded"
            r"|timed|unavailable|unreachable|did not|refused)\b",
            line,
        )
    )


def _is_address(host: str, service: str) -> bool:
    """`auth`, `auth.default.svc`, and on Cloud Run `auth-pnovr5vsba-uc.a.run.app`."""
    name = host.partition(".")[0]
    return name == service or (host.endswith(".run.app") and name.startswith(f"{service}-"))


def _nearness(cause: Located, symptom: Located, needs: Needs) -> tuple[bool, int, float]:
    """Its own service's failure before one of those it needs; of those the furthest upstream."""
    service = cause.finding.service or ""
    own = service == symptom.finding.service
    at = cause.began.timestamp() if cause.began is not None else float("inf")
    return (not own, len(reach(needs, service)), at)


def _root(each: Located, parents: Mapping[str, Located]) -> Located:
    """The cause at the head of the chain; of a ring, which no order resolves, each is its own."""
    seen = {each.finding.fingerprint}
    at = each
    while (parent := parents.get(at.finding.fingerprint)) is not None:
        if parent.finding.fingerprint in seen:
            return each
        seen.add(parent.finding.fingerprint)
        at = parent
    return at


def _hung(symptom: Finding, cause: Finding) -> Finding:
    """The symptom beneath its cause: what its own evidence shows is that an answer was missing."""
    whose = f"{cause.service}'s: {cause.title}"
    shown = next(
        (
            index
            for index, quote in enumerate(symptom.evidence)
            if _UNREACHED.search(quote.quote) or _ANSWERED_5XX.search(quote.quote)
        ),
        None,
    )
    link = Why(WHOSE, whose, "hypothesis" if shown is None else "inferred", shown)
    whys = tuple(why for why in symptom.whys if why.status != "hypothesis")
    # What mends its cause mends it: nothing is to be done to who only waits.
    title = f"Fails with {cause.service}" if symptom.signature is None else symptom.title
    return replace(symptom, title=title, under=cause.fingerprint, whys=(*whys, link), remedy=None)

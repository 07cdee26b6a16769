"""Lines by which a platform, an engine or a build tool itself says what went wrong. Pure.

Cloud Run's are in facts/cloud-run.md section 2; the others are Docker's, Kubernetes', BuildKit's
and those of servers that end because their application did not start.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from loopctl.model.endings import NO_COMMAND, ending_of, signal_name
from loopctl.model.finding import FaultKind
from loopctl.triage.regexes import Regex

_OUT_OF_MEMORY: Final = FaultKind.OUT_OF_MEMORY
_NEVER_READY: Final = FaultKind.NEVER_READY
_REFUSED: Final = FaultKind.CONTROL_PLANE


@dataclass(frozen=True, slots=True)
class Saying:
    """What a line says went wrong. `exact`: how a process ended, not only that it is not there.

    `words` stand behind the service's name; without them the line says it best. `port` is the one
    that the service was told.
    """

    kind: FaultKind
    words: str = ""
    value: str | None = None
    exact: bool = False
    port: str | None = None
    service: str = ""


@dataclass(frozen=True, slots=True)
class _Rule:
    """`needs` is a text that every such line holds: looked for first."""

    needs: str
    regex: re.Pattern[str]
    kind: FaultKind
    words: str = ""
    value: str | None = None
    exact: bool = False


def _rule(
    needs: str,
    regex: str,
    kind: FaultKind,
    words: str = "",
    value: str | None = None,
    *,
    exact: bool = False,
) -> _Rule:
    return _Rule(needs, re.compile(regex), kind, words, value, exact)


_ENDS: Final = ("Container ", "Uncaught signal", "emory", "xec likely", "resolve binary")
_RULES: Final = (
    # Servers that give up.
    _rule(
        "startup failed. Exiting",
        r"Application startup failed\. Exiting",
        FaultKind.EXIT_CODE,
        "its application did not start",
        exact=True,
    ),
    _rule(
        "Worker failed to boot",
        r"Worker failed to boot",
        FaultKind.EXIT_CODE,
        "its worker did not start",
        exact=True,
    ),
    _rule(
        "exited with code",
        r"\bWorker \(pid:\d+\) exited with code (?P<value>[1-9]\d*)\b",
        FaultKind.EXIT_CODE,
        "its worker ended with exit code {value}",
        exact=True,
    ),
    _rule(
        "panic: ",
        r"^panic: (?!.*recovered)",
        FaultKind.EXIT_CODE,
        "it panicked",
        exact=True,
    ),
    _rule(
        "panicked at",
        r"^thread 'main'.{0,40} panicked at",
        FaultKind.EXIT_CODE,
        "it panicked",
        exact=True,
    ),
    _rule(
        "Exception in thread",
        r'^Exception in thread "main"',
        FaultKind.EXIT_CODE,
        "an exception ended its main thread",
        exact=True,
    ),
    _rule(
        "Node.js v",
        r"^Node\.js v\d+\.\d+\.\d+$",
        FaultKind.EXIT_CODE,
        "an uncaught exception ended it",
        exact=True,
    ),
    # Docker and Kubernetes.
    _rule(
        "exited with code",
        r"^(?:(?:container )?(?P<service>[A-Za-z][\w.-]{0,80}?)(?:[-_]\d+)?\x20*\|? ?)?"
        # 130 and 143: it was asked to end, and did
        r"exited with code (?!(?:130|143)\b)(?P<value>[1-9]\d*)(?: \(.*\))?\s*$",
        FaultKind.EXIT_CODE,
        "its process ended with exit code {value}",
        exact=True,
    ),
    _rule("OOMKilled", r"\bOOMKilled\b(?!\W{0,3}false)", _OUT_OF_MEMORY, exact=True),
    _rule(
        "Out of memory: Kill", r"Out of memory: Kill(?:ed)? process \d+", _OUT_OF_MEMORY, exact=True
    ),
    _rule(
        "Exit Code:",
        r"^\s*Exit Code:\s+(?P<value>[1-9]\d*)\s*$",
        FaultKind.EXIT_CODE,
        "its process ended with exit code {value}",
        exact=True,
    ),
    _rule("Back-off restarting", r"Back-off restarting failed container", _NEVER_READY),
    _rule("CrashLoopBackOff", r"\bCrashLoopBackOff\b", _NEVER_READY),
    _rule(
        "mage",
        r"\b(?:ErrImagePull|ImagePullBackOff|Failed to pull image \"?\S+)",
        _REFUSED,
        "the image was not found or may not be read: {line}",
    ),
    _rule(
        "probe failed",
        r"(?:STARTUP|Startup|Readiness) (?:\w+ )?probe failed",
        _NEVER_READY,
    ),
    _rule("probe failed", r"(?:LIVENESS|Liveness) (?:\w+ )?probe failed", FaultKind.UNSTABLE),
    # Cloud Run's conditions.
    _rule(
        "port",
        r"[Ff]ailed to start(?: and|\. Failed to start and then) listen on the port"
        r"(?:.{0,60}PORT=(?P<port>\d{1,5}))?",
        _NEVER_READY,
    ),
    _rule("startup probe checks", r"failed the configured startup probe checks", _NEVER_READY),
    _rule("could not start", r"the instance could not start successfully", _NEVER_READY),
    _rule("not found", r"\bImage '\S{1,300}' not found", _REFUSED),
    _rule("read the image", r"must have permission to read the image", _REFUSED),
    _rule("on secret", r"Permission denied on secret", _REFUSED),
    _rule("was not found", r"Secret projects/\S{1,200} was not found", _REFUSED),
    _rule("uota", r"Quota exceeded for |RESOURCE_EXHAUSTED.{0,80}[Qq]uota", _REFUSED),
    _rule("maxScale", r"maxScale may not exceed", _REFUSED),
    _rule("ontainer import", r"Container import failed|error during container import", _REFUSED),
    _rule("denied on", r"Permission '[\w.]{1,100}' denied on ", _REFUSED),
    _rule("PERMISSION_DENIED", r"\bPERMISSION_DENIED\b", _REFUSED),
    _rule("manifest", r"\bmanifest (?:for \S{1,300} not found|unknown)", _REFUSED),
    # Builds.
    _rule(
        "failed to resolve source metadata",
        r"failed to resolve source metadata for (?P<value>\S{1,300}):",
        _REFUSED,
        "the base image {value} cannot be had: {line}",
    ),
    _rule(
        "did not complete successfully",
        r"process .{1,400} did not complete successfully: exit code: (?P<value>\d+)",
        FaultKind.BUILD_STEP,
    ),
    _rule(
        "returned a non-zero code",
        r"The command .{1,400} returned a non-zero code: (?P<value>\d+)",
        FaultKind.BUILD_STEP,
    ),
    _rule(
        "build step",
        r"build step \d+ .{1,200} failed: ",
        FaultKind.BUILD_STEP,
    ),
)
_ANY: Final = Regex("|".join(map(re.escape, {*_ENDS, *(rule.needs for rule in _RULES)})))
_AUDITED: Final = re.compile(
    r"Ready condition status changed to False for (?:Revision|Service|Configuration) "
    r"(?P<name>\S{1,64}) with message: "
)
# 137 stays a code: it is how a container ends that used too much memory.
_ENDED_BY: Final = {"139": "SIGSEGV", "134": "SIGABRT"}


def saying_of(line: str) -> Saying | None:
    """What one line says went wrong; None for a line that says no such thing."""
    if _ANY.search(line) is None:
        return None
    if any(need in line for need in _ENDS) and (ending := ending_of(line)) is not None:
        if ending.value == "0" or ending.value == signal_name(15):
            return None  # it was asked to end, and did
        if ending.value == NO_COMMAND:
            return Saying(FaultKind.EXIT_CODE, ending.words, ending.value, exact=True)
        return Saying(ending.kind, ending.words, ending.value, exact=True)
    for rule in _RULES:
        if rule.needs in line and (match := rule.regex.search(line)) is not None:
            return _said(rule, match, line)
    return None


def condition_of(message: str) -> Saying:
    """What a status of the audit log says: always that something went wrong."""
    text = _AUDITED.sub("", message)
    return saying_of(text) or Saying(_REFUSED)


def _said(rule: _Rule, match: re.Match[str], line: str) -> Saying:
    named = match.groupdict()
    value = named.get("value") or rule.value
    if rule.kind is FaultKind.EXIT_CODE and value in _ENDED_BY:
        killer = _ENDED_BY[value]
        return Saying(FaultKind.SIGNAL, f"its process was killed by {killer}", killer, exact=True)
    words = rule.words.format(value=value, line=line.strip()[:300])
    return Saying(
        rule.kind, words, value, rule.exact, named.get("port"), named.get("service") or ""
    )

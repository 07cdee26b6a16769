"""Java's stack traces, also Kotlin's, Scala's and .NET's: causes, and what was suppressed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from loopctl.triage.lines import Line
from loopctl.triage.traceback import RaisedLine, StackFrame, StackTrace

JAVA_FRAME: Final = re.compile(
    r"at (?P<called>[^\s()]+\.[^\s().]+)(?P<args>\([^()]*\))"
    r"(?: in (?P<file>.+):line (?P<line>\d{1,9}))?"
    r"(?: ~?\[[^\]]*\])?\s*$"
)
_PLACE: Final = re.compile(r"\((?P<file>[^():]+\.\w+):(?P<line>\d{1,9})\)")
_THROWN: Final = re.compile(
    r"(?<![\w$.])(?P<type>[\w$.]{0,200}?(?:Exception|Error|Throwable|Failure|Fault)[\w$]{0,80})"
    r"(?:: (?P<message>.*)|:?\s*$)"
)
_NAMED: Final = re.compile(
    r"(?<![\w$.])(?P<type>[\w$.]{1,200}\.[A-Z][\w$]{0,80})(?:: (?P<message>.*))?$"
)
_STEP: Final = re.compile(r"\s*(?:(?P<how>Caused by|Suppressed|Wrapped by): |---> )(?P<rest>.*)$")
_LAMBDA: Final = re.compile(r"(?<=\w)\$\d+|\$\$Lambda\S*|(?:\$\$\w+)?\$\$[0-9a-f]+")
_NOT_OURS: Final = re.compile(
    r"(?:java|javax|jakarta|jdk|sun|com\.sun|kotlin|kotlinx|scala|groovy|clojure|akka|play|feign"
    r"|org\.(?:springframework|apache|hibernate|eclipse|jboss|postgresql|junit|mockito|slf4j|aspectj"
    r"|codehaus|jetbrains|gradle|glassfish|reactivestreams)|ch\.qos|reactor|redis\.clients|oracle"
    r"|com\.(?:fasterxml|zaxxer|mysql|google|mongodb|netflix|amazonaws|microsoft|rabbitmq)|okhttp3"
    r"|io\.(?:netty|grpc|undertow|micrometer|quarkus|vertx|micronaut|lettuce|ktor|projectreactor"
    r"|opentelemetry)|net\.(?:bytebuddy|sf)|retrofit2|software\.amazon|System|Microsoft)\."
)

_SUPPRESSED: Final = -1000


def read_java(lines: Sequence[Line]) -> StackTrace | None:
    """Read the lines of a stack trace, its header among the first."""
    exceptions: list[RaisedLine] = []
    frames: list[StackFrame] = []
    head, rest = _head(lines)
    depth = cause = 0
    dotnet = False
    for line in lines:
        stripped = line.body.lstrip()
        if stripped.startswith("at "):
            if found := JAVA_FRAME.match(stripped):
                dotnet = dotnet or (not _PLACE.search(found["args"]) and _is_dotnet(found))
                frames.append(_frame(found, line))
        elif (step := _STEP.match(line.body)) and line is not head:
            exceptions.append(_raised(head, rest, depth, frames))
            head, rest, frames = line, step["rest"], []
            depth = _depth(step["how"], line.body, cause)
            cause = cause if depth == _SUPPRESSED else depth
    exceptions.append(_raised(head, rest, depth, frames))
    return StackTrace(tuple(exceptions), "dotnet" if dotnet else "java")


def _is_dotnet(found: re.Match[str]) -> bool:
    return (
        found["file"] is not None
        or found["args"] == "()"
        or " " in found["args"].replace("Native Method", "").replace("Unknown Source", "")
    )


def _depth(how: str | None, body: str, depth: int) -> int:
    if how == "Suppressed" or (how == "Caused by" and body[:1] in " \t"):
        return _SUPPRESSED
    return depth - 1 if how == "Wrapped by" else depth + 1


def _head(lines: Sequence[Line]) -> tuple[Line, str]:
    before: list[Line] = []
    for line in lines:
        if line.body.lstrip().startswith("at "):
            break
        before.append(line)
    for line in before:
        if _THROWN.search(line.body):
            step = _STEP.match(line.body)
            return line, step["rest"] if step else line.body
    line = (before or list(lines))[-1 if before else 0]
    return line, line.body


def _raised(head: Line, text: str, depth: int, frames: Sequence[StackFrame]) -> RaisedLine:
    found = _THROWN.search(text) or _NAMED.search(text)
    kind, message = (
        (found["type"], found["message"] or "") if found else ("Exception", text.strip())
    )
    return RaisedLine(kind, message, head.number, head.text, depth, tuple(reversed(frames)))


def _frame(found: re.Match[str], line: Line) -> StackFrame:
    cls, _, method = _LAMBDA.sub("", found["called"].rpartition("/")[2]).rpartition(".")
    folder = cls.rpartition(".")[0].replace(".", "/")
    if found["file"]:
        file, number = found["file"], int(found["line"])
    elif place := _PLACE.search(found["args"]):
        file, number = f"{folder}/{place['file']}", int(place["line"])
    else:
        file, number = f"{folder}/{cls.rpartition('.')[2]}", 0
    in_app = _NOT_OURS.match(cls) is None and "$$" not in found["called"]
    return StackFrame(file, number, method, "", line.number, in_app, line.text)

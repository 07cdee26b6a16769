"""Go's panics and fatal errors, with the stack of the goroutine that died."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from loopctl.triage.lines import Line
from loopctl.triage.traceback import RaisedLine, StackFrame, StackTrace

_OPENS: Final = re.compile(
    r"(?P<before>.{0,80}?\b)(?:(?:http: )?panic(?: serving [^ ]+)?: |fatal error: )"
)
_GOROUTINE: Final = re.compile(r"goroutine \d+(?: gp=\S+ m=\S+(?: mp=\S+)?)? \[[^\]]*\]:\s*$")
_PLACE: Final = re.compile(r"\s+(?P<file>\S.*?\.(?:go|s)):(?P<line>\d{1,9})(?: \+0x[0-9a-f]+)?\s*$")
_CALL: Final = re.compile(
    r"(?P<function>[\w./*()\[\]{}~·%,@-]+?)\((?:[^()]*|\.\.\.|\{.*\}.*)\)\s*$"
)
_BETWEEN: Final = re.compile(
    r"\[signal |\[recovered\]|created by |exit status \d+|panic: |fatal error: |goroutine |runtime"
    r"|\.\.\.additional frames|\.\.\.\d+ frames elided|r\w{1,5} +0x|cs +0x|fs +0x|gs +0x|PC=|SIG"
)
_HEAD: Final = re.compile(
    r"(?:\bpanic(?: serving [^ ]+)?|(?P<fatal>\bfatal error)): (?P<runtime>runtime error: )?"
    r"(?P<said>.*)$"
)
_RECOVERED: Final = re.compile(r" \[recovered[^\]]*\]$")
_NOT_OURS: Final = ("/pkg/mod/", "/vendor/", "/usr/local/go/src/", "/usr/lib/go", "/libexec/src/")
_STANDARD: Final = re.compile(
    r"(?:runtime|net|internal|encoding|sync|syscall|os|io|fmt|reflect|strings|strconv|bytes|bufio"
    r"|context|database|crypto|errors|html|log|math|mime|path|regexp|sort|testing|text|time|unicode"
    r"|slices|maps|container|compress|archive|embed|expvar|flag|go|hash|iter|plugin|vendor)$"
)
_MOST_HELD: Final = 6


class GoBlock:
    """The lines of one panic, as they come in; `confirmed` by the first goroutine."""

    def __init__(self, before: str, confirmed: bool) -> None:
        self.before = before
        self.confirmed = confirmed
        self._held = 1

    @staticmethod
    def opened_by(body: str) -> GoBlock | None:
        """A block where the line may be the first of a panic, None where it cannot."""
        if body.startswith("goroutine "):
            return GoBlock("", confirmed=True) if _GOROUTINE.match(body) else None
        if ("panic" in body or "fatal error: " in body) and (found := _OPENS.match(body)):
            return GoBlock(found["before"], confirmed=False)
        return None

    def takes(self, body: str) -> bool:
        """Whether the line belongs to this panic, or may; it is taken then."""
        if body.startswith("goroutine ") and _GOROUTINE.match(body):
            self.confirmed = True
            return True
        if not body.strip() or body[0] == "\t" or _BETWEEN.match(body):
            return True
        if self.confirmed:
            return bool(_CALL.match(body) or _PLACE.match(body))
        self._held += 1
        return self._held <= _MOST_HELD and body[0] in " ("


def read_go(lines: Sequence[Line]) -> StackTrace:
    """Read the lines of a panic: the first goroutine is the one that died."""
    head = lines[0]
    kind, message = _named(head.body)
    frames: list[StackFrame] = []
    call, goroutines = "", 0
    for line in lines:
        if line.body.startswith("goroutine "):
            goroutines += 1
            if goroutines > 1 and frames:
                break
        elif found := _PLACE.match(line.body):
            if call:
                frames.append(_frame(found, call, line))
            call = ""
        else:
            call = _function(line.body)
    raised = RaisedLine(kind, message, head.number, head.text, 0, _since_panic(frames))
    return StackTrace((raised,), "go")


def _named(text: str) -> tuple[str, str]:
    found = _HEAD.search(text)
    if found is None:
        return "goroutine", text.strip()
    kind = "fatal error" if found["fatal"] else "runtime error" if found["runtime"] else "panic"
    return kind, _RECOVERED.sub("", found["said"])


def _function(body: str) -> str:
    if body.startswith("created by "):
        # Who started the goroutine is not on its stack.
        return ""
    found = _CALL.match(body)
    return found["function"] if found else body.strip() if "." in body else ""


def _since_panic(frames: Sequence[StackFrame]) -> tuple[StackFrame, ...]:
    """Innermost last. What runs between the panic and its end is not where it came from."""
    for index in range(len(frames) - 1, -1, -1):
        if frames[index].function in ("panic", "runtime.gopanic", "runtime.sigpanic"):
            return tuple(reversed(frames[index + 1 :]))
    return tuple(reversed(frames))


def _frame(found: re.Match[str], call: str, line: Line) -> StackFrame:
    file = found["file"]
    package = call.partition(".")[0] if "/" not in call else call.partition("/")[0]
    standard = _STANDARD.match(package) is not None and (
        file.startswith(f"{package}/") or f"/src/{package}/" in file
    )
    in_app = not standard and not any(mark in file for mark in _NOT_OURS) and call != "panic"
    function = call.rpartition("/")[2]
    return StackFrame(file, int(found["line"]), function, "", line.number, in_app, line.text)

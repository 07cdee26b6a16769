"""Logs and files of a CI job, read as GitHub's runner and GitLab read them.

GitHub: ActionCommand.cs, ActionCommandManager.cs and FileCommandManager.cs of actions/runner.
GitLab: "Custom collapsible sections" of its manual.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

KNOWN = frozenset(
    {
        *("add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group"),
        *("notice", "remove-matcher", "save-state", "set-env", "set-output", "stop-commands"),
        *("warning", "internal-set-repo-path"),
    }
)
# What .NET's TrimStart takes for white space, and a little more.
_WHITE = "".join(map(chr, (*range(9, 14), *range(28, 33), 0x85, 0xA0, 0x1680))) + (
    "".join(map(chr, (*range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0xFEFF)))
)


@dataclass(frozen=True, slots=True)
class Command:
    """A line that the runner obeys, its properties and data as it understands them."""

    name: str
    data: str
    properties: Mapping[str, str] = field(default_factory=dict)


def command_of(line: str) -> Command | None:
    """The command that one line of a step's output is to the runner; None for plain text."""
    return _second(line) or _first(line)


def commands_of(output: str) -> list[Command]:
    """Those of a whole output. The runner reads it line by line; a lone `\\r` ends a line, too."""
    found = (command_of(line) for line in re.split(r"\r\n|\r|\n", output))
    return [command for command in found if command]


def _second(line: str) -> Command | None:
    """`::name key=value,…::data`, at the start of a line but for white space."""
    text = line.lstrip(_WHITE)
    end = text.find("::", 2)
    if not text.startswith("::") or end < 0:
        return None
    codes = (("%0D", "\r"), ("%0A", "\n"))
    more = ((":", "%3A"), (",", "%2C"))
    return _made(text[2:end], ",", text[end + 2 :], codes, more)


def _first(line: str) -> Command | None:
    """`##[name key=value;…]data`, anywhere in a line."""
    start = line.find("##[")
    end = line.find("]", start) if start >= 0 else -1
    if end < 0:
        return None
    codes = (("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"))
    return _made(line[start + 3 : end], ";", line[end + 1 :], codes, ())


def _made(
    info: str,
    divider: str,
    data: str,
    codes: Iterable[tuple[str, str]],
    more: Iterable[tuple[str, str]],
) -> Command | None:
    name, _, rest = info.partition(" ")
    if name.lower() not in KNOWN:
        return None
    pairs = [pair.partition("=") for pair in rest.strip().split(divider) if "=" in pair]
    of_properties = (*codes, *((code, char) for char, code in more))
    properties = {key: _undone(value, of_properties) for key, _, value in pairs if value}
    return Command(name.lower(), _undone(data, codes), properties)


def _undone(text: str, codes: Iterable[tuple[str, str]]) -> str:
    for code, char in (*codes, ("%25", "%")):
        text = text.replace(code, char)
    return text


def outside_of_groups(output: str) -> list[str]:
    """The lines that a person sees who opens no group."""
    shown: list[str] = []
    inside = False
    for line in output.splitlines():
        command = command_of(line)
        if command and command.name in ("group", "endgroup"):
            assert inside is (command.name == "endgroup"), f"groups are not nested: {line}"
            inside = command.name == "group"
        elif not inside:
            shown.append(line)
    assert not inside, "a group is left open"
    return shown


@dataclass(frozen=True, slots=True)
class Section:
    """A section of GitLab's log; `lines` are what it folds, without its own header."""

    name: str
    began: int
    ended: int
    options: str
    header: str
    lines: tuple[str, ...]


_MARK = re.compile(
    r"section_(?P<what>start|end):(?P<at>\d+):(?P<name>[a-zA-Z0-9_.-]+)"
    r"(?:\[(?P<options>[^\]]*)\])?\r\x1b\[0K"
)


def sections_of(output: str) -> Iterator[Section]:
    """The sections of a log, none of which may be left open or be nested."""
    start: re.Match[str] | None = None
    header, lines = "", []
    for line in output.split("\n"):
        marks = list(_MARK.finditer(line))
        if not marks:
            lines.append(line)
            continue
        (mark,) = marks
        if mark["what"] == "start":
            assert start is None, f"a section in a section: {line!r}"
            start, header, lines = mark, line[mark.end() :].removeprefix("\x1b[0K"), []
            continue
        assert start is not None, f"a section that never began: {line!r}"
        assert start["name"] == mark["name"]
        times = int(start["at"]), int(mark["at"])
        yield Section(mark["name"], *times, start["options"] or "", header, tuple(lines))
        start = None
    assert start is None, "a section is left open"


def values_of(file: str) -> dict[str, str]:
    """What a file of outputs sets: `NAME=VALUE`, or `NAME<<END` with the lines up to END."""
    values: dict[str, str] = {}
    lines = iter(file.splitlines())
    for line in lines:
        name, mark, value = line.partition("=")
        key, heredoc, end = line.partition("<<")
        if heredoc and len(key) < len(name):
            said: list[str] = []
            for inner in lines:
                if inner == end:
                    break
                said.append(inner)
            values[key] = "\n".join(said)
        elif line:
            assert mark, f"no output: {line!r}"
            values[name] = value
    return values

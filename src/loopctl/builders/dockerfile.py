"""A Dockerfile as a list of instructions and stages. Pure, and it never fails.

It knows what BuildKit's parser knows; what it does not, the reader of an instruction says to be
not understood, so that nothing is guessed.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from loopctl.builders.dockerfile_words import NotUnderstoodError, expand

_DIRECTIVE: Final = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*\Z")
_HEREDOC: Final = re.compile(r"\d*<<(-?)(['\"]?)([^<'\"\s]+)\2\Z")
_FLAG: Final = re.compile(r"--([a-z][a-z-]*)(?:=(\S*))?(?:\s+|\Z)")
_WITH_HEREDOCS: Final = frozenset({"RUN", "COPY", "ADD"})
_WITH_FLAGS: Final = frozenset({"FROM", "COPY", "ADD", "RUN", "HEALTHCHECK"})
_JSON_FORMS: Final = frozenset({"COPY", "ADD", "RUN", "CMD", "ENTRYPOINT", "SHELL", "VOLUME"})


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction. `words` are its arguments, unexpanded; `text` is it on one line.

    `flags` are those with two dashes before the arguments; `heredocs` counts the texts that it
    brings along. `line` is where it begins, from 1.
    """

    line: int
    keyword: str
    words: tuple[str, ...]
    text: str
    flags: tuple[tuple[str, str], ...] = ()
    heredocs: int = 0

    @property
    def rest(self) -> str:
        """What follows the keyword, as it stands there."""
        return self.text.partition(" ")[2]


@dataclass(frozen=True, slots=True)
class Stage:
    """From one FROM to the next. `base` is as written, `name` the one behind AS."""

    index: int
    base: str
    name: str | None
    line: int
    instructions: tuple[Instruction, ...]

    @property
    def label(self) -> str:
        """Its name, or its number where it has none."""
        return self.name or str(self.index)


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A whole one. `syntax` is the frontend that it asks for, `head` what stands before FROM."""

    head: tuple[Instruction, ...]
    stages: tuple[Stage, ...]
    escape: str = "\\"
    syntax: str | None = None

    def target(self, name: str | None) -> Stage | None:
        """The stage of that name or number, the last one for None; None when there is none."""
        return (self.stages[-1] if self.stages else None) if name is None else self.stage(name)

    def stage(self, name: str, before: int | None = None) -> Stage | None:
        """The last stage of that name (or number) among those `before` an index."""
        among = self.stages[:before]
        for stage in reversed(among):
            if stage.name is not None and stage.name.lower() == name.lower():
                return stage
        return among[int(name)] if name.isdecimal() and int(name) < len(among) else None


def parse(text: str) -> Dockerfile:
    """The instructions of a Dockerfile."""
    lines = text.removeprefix("\ufeff").splitlines()
    directives = dict(_directives(lines))
    escape = directives.get("escape", "\\")
    instructions = tuple(_instructions(lines, escape))
    starts = [at for at, each in enumerate(instructions) if each.keyword == "FROM"]
    ends = [*starts[1:], len(instructions)][: len(starts)]
    stages = tuple(
        _stage(index, instructions[start], instructions[start + 1 : end])
        for index, (start, end) in enumerate(zip(starts, ends, strict=True))
    )
    head = instructions[: starts[0]] if starts else ()
    return Dockerfile(head, stages, escape, directives.get("syntax"))


def global_arguments(dockerfile: Dockerfile, given: Mapping[str, str]) -> Mapping[str, str]:
    """What the ARGs before the first FROM come to. Those not understood are left out."""
    known: dict[str, str] = {}
    for each in dockerfile.head:
        for name, default in assignments(each, dockerfile.escape) if each.keyword == "ARG" else ():
            if name in given:
                known[name] = given[name]
            elif default is not None:
                try:
                    known[name] = expand(default, known, dockerfile.escape)
                except NotUnderstoodError:
                    known.pop(name, None)
    return known


def assignments(instruction: Instruction, escape: str = "\\") -> Sequence[tuple[str, str | None]]:
    """The names and (raw) values of an ARG or ENV; None where an ARG has no default."""
    words = _shell_words(instruction.rest, escape)
    if instruction.keyword == "ENV" and words and "=" not in words[0]:
        # The old form: one name, and all that follows.
        name, _, value = instruction.rest.strip().partition(" ")
        return [(name, value.strip())]
    pairs = [word.partition("=") for word in words]
    return [(name, value if equals else None) for name, equals, value in pairs]


def external_images(
    dockerfile: Dockerfile | str,
    args: Mapping[str, str] | None = None,
    target: str | None = None,
    platform: str | None = None,
) -> tuple[str, ...]:
    """The images from outside that the target needs: bases, and what COPY and mounts take from.

    By name, variables filled in, in the order of their appearance, without stages and `scratch`;
    what is not understood is left out. `platform` (`linux/amd64`) is what the engine builds for.
    """
    parsed = parse(dockerfile) if isinstance(dockerfile, str) else dockerfile
    goal = parsed.target(target)
    if goal is None:
        return ()
    known = {**platform_arguments(platform), **global_arguments(parsed, args or {})}
    found: dict[str, None] = {}
    waiting, seen = [goal], set[int]()
    while waiting:
        stage = waiting.pop()
        if stage.index in seen:
            continue
        seen.add(stage.index)
        for name in _references(stage, known, parsed.escape):
            inner = parsed.stage(name, stage.index)
            if inner is not None:
                waiting.append(inner)
            elif name and name.lower() != "scratch":
                found[name] = None
    return tuple(found)


def platform_arguments(platform: str | None) -> Mapping[str, str]:
    """The ARGs that BuildKit knows by itself, where what is built for is known."""
    if platform is None:
        return {}
    system, _, rest = platform.partition("/")
    machine, _, variant = rest.partition("/")
    parts = {"PLATFORM": platform, "OS": system, "ARCH": machine, "VARIANT": variant}
    return {f"{of}{part}": value for of in ("TARGET", "BUILD") for part, value in parts.items()}


def _references(stage: Stage, known: Mapping[str, str], escape: str) -> Iterator[str]:
    """What a stage takes from: its base, and the `from` of COPY and of mounts."""
    with contextlib.suppress(NotUnderstoodError):
        yield expand(stage.base, known, escape)
    for each in stage.instructions:
        for flag, value in each.flags:
            if flag == "from":
                yield value
            elif flag == "mount":
                parts = (part.partition("=") for part in value.split(","))
                yield from (name for key, _, name in parts if key == "from")


def _directives(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        found = _DIRECTIVE.match(line.strip())
        if found is None or found[1].lower() not in {"escape", "syntax", "check"}:
            return
        yield found[1].lower(), found[2]


def _instructions(lines: Sequence[str], escape: str) -> Iterator[Instruction]:
    continued = re.compile(re.escape(escape) + r"[ \t]*\Z")
    at = 0
    while at < len(lines):
        start, line = at, lines[at].lstrip()
        at += 1
        if not line or line.startswith("#"):
            continue
        joined, more = continued.subn("", line, count=1)
        while more and at < len(lines):
            follows = lines[at]
            at += 1
            # Comments and empty lines do not end what a backslash goes on with.
            if follows.strip() and not follows.lstrip().startswith("#"):
                follows, more = continued.subn("", follows, count=1)
                joined += follows
        if joined.strip():
            instruction, at = _with_heredocs(_instruction(joined.strip(), start + 1), lines, at)
            yield instruction


def _instruction(text: str, line: int) -> Instruction:
    keyword, _, rest = text.replace("\t", " ").partition(" ")
    keyword, rest = keyword.upper(), text[len(keyword) :].strip()
    flags: list[tuple[str, str]] = []
    while keyword in _WITH_FLAGS and (found := _FLAG.match(rest)):
        flags.append((found[1], found[2] if found[2] is not None else "true"))
        rest = rest[found.end() :]
    return Instruction(
        line=line,
        keyword=keyword,
        words=_listed(keyword, rest),
        text=f"{keyword} {text[len(keyword) :].strip()}",
        flags=tuple(flags),
    )


def _listed(keyword: str, rest: str) -> tuple[str, ...]:
    if keyword in _JSON_FORMS and rest.startswith("["):
        try:
            listed = json.loads(rest)
        except ValueError:
            listed = None
        if isinstance(listed, list) and all(isinstance(each, str) for each in listed):
            return tuple(listed)
    return tuple(rest.split())


def _with_heredocs(
    instruction: Instruction, lines: Sequence[str], at: int
) -> tuple[Instruction, int]:
    if instruction.keyword not in _WITH_HEREDOCS or instruction.rest.lstrip().startswith("["):
        return instruction, at
    count = 0
    for found in filter(None, map(_HEREDOC.match, _shell_words(instruction.rest))):
        strips, _, name = found.groups()
        end = next(
            (
                n
                for n in range(at, len(lines))
                if (lines[n].lstrip("\t") if strips else lines[n]) == name
            ),
            None,
        )
        if end is None:
            # To a shell, or to a parser of before heredocs, it is only text.
            break
        count, at = count + 1, end + 1
    return replace(instruction, heredocs=count), at


def _stage(index: int, start: Instruction, instructions: tuple[Instruction, ...]) -> Stage:
    words = start.words
    named = len(words) == 3 and words[1].upper() == "AS"
    base = words[0] if words else ""
    return Stage(index, base, words[2] if named else None, start.line, instructions)


def _shell_words(text: str, escape: str = "\\") -> Sequence[str]:
    """Split at blanks that stand in no quotes and behind no escape; both stay in the words."""
    words, word, quote, escaped = list[str](), "", "", False
    for char in text:
        if char.isspace() and not quote and not escaped:
            if word:
                words.append(word)
            word = ""
            continue
        word += char
        if escaped:
            escaped = False
        elif char == escape and quote != "'":
            escaped = True
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
    return [*words, word] if word else words

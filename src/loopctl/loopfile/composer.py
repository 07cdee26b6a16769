"""Makes a tree of PyYAML's parse events: places kept, bombs refused, little typed.

The pure Python loader is used on purpose: libyaml's crashes on deep nesting, and the pure one
yields events without recursion, so that a limit here ends the work at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn, Protocol

import yaml

from loopctl.loopfile.marks import Mark, Source, inert, quoted
from loopctl.loopfile.nodes import Entry, Node, Scalar, Sequence, Table
from loopctl.loopfile.problems import Problems, refuse, start_of

LIMIT_DEPTH = 64
LIMIT_NODES = 50_000

_MERGE = "<<"
_OWN_ANCHOR = "an alias refers to the value that it stands in"


def compose_text(source: Source, problems: Problems) -> Table:
    """The one document in `source`, whose top is a map. Raises `UsageError` when there is none."""
    composer = _Composer(source, problems)
    try:
        return composer.document()
    except yaml.MarkedYAMLError as error:
        _refuse_syntax(source, error)
    except (ValueError, OverflowError) as error:
        # PyYAML lets escapes such as "\UFFFFFFFF" and version numbers of 5,000 digits through.
        refuse(composer.here, f"this is not valid YAML: {inert(str(error))}")


def _refuse_syntax(source: Source, error: yaml.MarkedYAMLError) -> NoReturn:
    at = error.problem_mark or error.context_mark
    mark = Mark(source, at.line + 1, at.column + 1) if at else start_of(source)
    context = f" {error.context}" if error.context else ""
    said = inert(f"{error.problem or 'not valid YAML'}{context}")
    line = source.lines[mark.line - 1] if mark.line <= len(source.lines) else ""
    tab = "\t" in line[: mark.column]
    refuse(mark, f"this is not valid YAML: {said}", "indent with spaces, not tabs" if tab else None)


class _YamlMark(Protocol):
    line: int
    column: int


class _Composer:
    def __init__(self, source: Source, problems: Problems) -> None:
        self._source = source
        self._problems = problems
        self._events = self._numbered()
        self._anchors: dict[str, Node | None] = {}
        self._nodes = 0
        self.here = start_of(source)

    def document(self) -> Table:
        start = next((e for e in self._events if not isinstance(e, yaml.StreamStartEvent)), None)
        if not isinstance(start, yaml.DocumentStartEvent):
            refuse(self.here, "the file has no document in it", quotes=False)
        root = self._node(next(self._events), 0)
        next(self._events)
        if not isinstance(next(self._events), yaml.StreamEndEvent):
            refuse(self.here, "a second document starts here", "one loop per file", quotes=False)
        if not isinstance(root, Table):
            refuse(root.mark, "a loop file is a map of keys", "start with `version: 1`")
        return root

    def _numbered(self) -> Iterator[yaml.Event]:
        text = "\n".join(self._source.lines)
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            self.here = self._mark(event.start_mark)
            yield event

    def _mark(self, mark: _YamlMark | None) -> Mark:
        assert mark is not None  # a parsed event always has its marks
        return Mark(self._source, mark.line + 1, mark.column + 1)

    def _node(self, event: yaml.Event, depth: int) -> Node:
        here = self.here
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        self._count(1)
        self._check_tag(event, here)
        anchor: str | None = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = None
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        else:
            if depth >= LIMIT_DEPTH:
                refuse(here, f"nested more than {LIMIT_DEPTH} levels deep", quotes=False)
            mapping = isinstance(event, yaml.MappingStartEvent)
            node = self._table(here, depth) if mapping else self._sequence(here, depth)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _alias(self, event: yaml.AliasEvent, depth: int) -> Node:
        anchor = str(event.anchor)
        if anchor not in self._anchors:
            refuse(self.here, f"no anchor {quoted(anchor)} before this alias")
        node = self._anchors[anchor]
        if node is None:
            refuse(self.here, _OWN_ANCHOR, quotes=False)
        self._count(node.size)
        if depth + node.height > LIMIT_DEPTH:
            refuse(self.here, f"nested more than {LIMIT_DEPTH} levels deep", quotes=False)
        return node

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > LIMIT_NODES:
            message = f"more than {LIMIT_NODES:,} values, aliases counted as what they stand for"
            refuse(self.here, message, quotes=False)

    def _check_tag(self, event: yaml.Event, mark: Mark) -> None:
        if getattr(event, "tag", None) is not None:
            hint = "leave the tag away; quotes make text of anything"
            self._problems.add(mark, "tags are not allowed", hint)

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        text = event.value
        if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in text):
            self._problems.add(self.here, "an escape here makes a character that no text can hold")
            text = ""
        end = self._mark(event.end_mark)
        return Scalar(
            self.here, (end.line, end.column), text, plain=event.style is None and event.tag is None
        )

    def _sequence(self, mark: Mark, depth: int) -> Sequence:
        items: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return Sequence(mark, tuple(items), *_extent(items))

    def _table(self, mark: Mark, depth: int) -> Table:
        entries: dict[str, Entry] = {}
        merge: Entry | None = None
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, depth)
            entry = Entry(key.text, key.mark, self._node(next(self._events), depth + 1))
            if key.plain and key.text == _MERGE:
                self._refuse_twice(merge, entry)
                merge = entry
            else:
                self._refuse_twice(entries.get(entry.key), entry)
                entries.setdefault(entry.key, entry)
        if merge is not None:
            self._merge(entries, merge)
        return Table(mark, entries, *_extent([entry.value for entry in entries.values()]))

    def _key(self, event: yaml.Event, depth: int) -> Scalar:
        if not isinstance(event, yaml.ScalarEvent):
            refuse(self.here, "a key must be plain text", quotes=False)
        node = self._node(event, depth + 1)
        assert isinstance(node, Scalar)
        return node

    def _refuse_twice(self, first: Entry | None, again: Entry) -> None:
        if first is not None:
            hint = f"it is already given in line {first.mark.line}"
            self._problems.add(again.mark, f"the key {quoted(again.key)} is given twice", hint)

    def _merge(self, entries: dict[str, Entry], merge: Entry) -> None:
        value = merge.value
        tables = value.items if isinstance(value, Sequence) else (value,)
        for table in tables:
            if not isinstance(table, Table):
                self._problems.add(table.mark, "`<<` takes a map or a list of maps")
                continue
            for key, entry in table.entries.items():
                entries.setdefault(key, entry)


def _extent(below: list[Node]) -> tuple[int, int]:
    size = 1 + sum(node.size for node in below)
    return size, 1 + max((node.height for node in below), default=0)

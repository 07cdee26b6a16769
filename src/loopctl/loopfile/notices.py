"""`notify`: checks, and the notices of the chosen environment. No message quotes a URL."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from typing import Final

from loopctl.loopfile.assemble_services import given
from loopctl.loopfile.chosen import Chosen
from loopctl.loopfile.marks import near, quoted
from loopctl.loopfile.nodes import Node, Origin, Scalar, Sequence, Table
from loopctl.loopfile.problems import Problems
from loopctl.loopfile.variables import unset_in
from loopctl.model.notice import (
    Every,
    NoticeKind,
    NoticeSpec,
    is_http,
    kind_of,
    parts_of,
    place_of,
    secret_name,
    secrets_of,
)
from loopctl.model.state import Verdict
from loopctl.redact import Secret

URL: Final = re.compile(r"[a-z][a-z0-9+.-]{0,40}://\S+")
INSTALL: Final = "pip install 'loopctl[notify]' (with the Python that runs loopctl)"


def of_environment(notify: Node, name: str, variables: Mapping[str, str]) -> Node:
    """`notify` without what is for other environments alone: their values need not resolve.

    A URL whose variable is not set is left as it is written: nobody is kept from running a loop by
    a webhook that is another's.
    """
    if not isinstance(notify, Sequence):
        return notify
    mine = (item for item in notify.items if _is_for(item, name))
    return Sequence(notify.mark, tuple(_left_open(item, variables) for item in mine))


def _left_open(item: Node, variables: Mapping[str, str]) -> Node:
    url = item.entries.get("url") if isinstance(item, Table) else None
    if url is None or not isinstance(item, Table) or not isinstance(url.value, Scalar):
        return item
    if unset_in(url.value.text, variables) is None:
        return item
    left = replace(url, value=replace(url.value, origin=Origin.UNRESOLVED))
    return Table(item.mark, {**item.entries, "url": left})


def _is_for(item: Node, name: str) -> bool:
    wanted = item.get("environments") if isinstance(item, Table) else None
    names = wanted.items if isinstance(wanted, Sequence) else (wanted,) if wanted else ()
    texts = [each.text for each in names if isinstance(each, Scalar)]
    return not texts or name in texts or any("${" in text for text in texts)


def check_notices(chosen: Chosen, written: Table, problems: Problems) -> None:
    """Every notice of the chosen environment, and the environments that any of them names."""
    known = [entry.key for entry in written.table("environments").named()] or [chosen.environment]
    for item in written.items("notify"):
        wanted = item.get("environments") if isinstance(item, Table) else None
        for name in wanted.items if isinstance(wanted, Sequence) else (wanted,):
            if isinstance(name, Scalar) and "${" not in name.text and name.text not in known:
                hint = near(name.text, known) or f"there is {', '.join(map(quoted, known))}"
                problems.add(name.mark, f"there is no environment {quoted(name.text)}", hint)
    for item in chosen.document.items("notify"):
        if isinstance(item, Table) and (url := item.scalar("url")) is not None:
            _check_url(url, item.text("kind"), problems)


def _check_url(url: Scalar, kind: str | None, problems: Problems) -> None:
    if not URL.fullmatch(url.text):
        if "${" in url.text:  # a literal one, which the schema takes for a variable that is not set
            problems.add(url.mark, '"url" must be a URL')
        return
    parts = parts_of(url.text)
    if parts is None:
        problems.add(url.mark, '"url" names no host', "https://host/path")
        return
    chosen = NoticeKind(kind) if kind in set(NoticeKind) else kind_of(parts)
    if chosen is NoticeKind.APPRISE:
        if find_spec("apprise") is None:
            what = f"{parts.scheme}:// is spoken by apprise, which is not installed beside loopctl"
            problems.add(url.mark, what, INSTALL)
    elif not is_http(parts):
        problems.add(url.mark, f"`kind: {chosen.value}` wants an http:// or https:// URL")


def notices_of(chosen: Chosen) -> tuple[NoticeSpec, ...]:
    """The notices of the chosen environment, in the order of the file; it has been judged."""
    items = (item for item in chosen.document.items("notify") if isinstance(item, Table))
    mine = (item for item in items if _is_mine(item, chosen.environment))
    return tuple(_notice(n, item, chosen.variables) for n, item in enumerate(mine, start=1))


def _is_mine(item: Table, environment: str) -> bool:
    wanted = list(_texts(item.get("environments")))
    return not wanted or environment in wanted


def _texts(node: Node | None) -> Iterator[str]:
    nodes = node.items if isinstance(node, Sequence) else (node,)
    return (each.text for each in nodes if isinstance(each, Scalar))


def _notice(number: int, item: Table, variables: Mapping[str, str]) -> NoticeSpec:
    every, url, written = item.text("every"), item.text("url"), item.get("url")
    unset = None
    if isinstance(written, Scalar) and written.origin is Origin.UNRESOLVED:
        unset = unset_in(written.text, variables)
    parts = parts_of(url) if url else None
    kind = item.text("kind")
    known = NoticeKind(kind) if kind else kind_of(parts) if parts else None
    return NoticeSpec(
        number,
        tuple(dict.fromkeys(map(Verdict, _texts(item.get("on"))))),
        known,
        **given(
            url=Secret(secret_name(number, 0), url) if url else None,
            place=place_of(parts, known) if parts and known else None,
            every=Every(every) if every else None,
            unset=unset,
        ),
    )


def secrets_in(notices: tuple[NoticeSpec, ...]) -> Iterator[tuple[str, Secret]]:
    """What redaction must know of them, by name."""
    for notice in notices:
        texts = secrets_of(notice.url.reveal()) if notice.url else ()
        for part, text in enumerate(texts):
            name = secret_name(notice.number, part)
            yield name, Secret(name, text)

"""Checks that names agree: of the loop, its environments, services and suites."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from loopctl.loopfile.chosen import Chosen
from loopctl.loopfile.marks import Mark, near, quoted
from loopctl.loopfile.nodes import Node, Scalar, Sequence, Table
from loopctl.loopfile.problems import Problems
from loopctl.model.references import mentioned

_ONLY = {
    "registry": "docker",
    "after_green": "cloud-run",
    **dict.fromkeys(["project", "region", "repository", "endpoint"], "cloud-run"),
    **dict.fromkeys(["transport", "impersonate", "keep_revisions"], "cloud-run"),
}
_REQUIRED = {"cloud-run": ("project", "region")}


def check_names(chosen: Chosen, environments: Table, problems: Problems) -> None:
    """The loop's name, the keys of all `environments`, and every name that refers to another."""
    document = chosen.document
    name = document.scalar("name")
    if name and name.text != chosen.path.stem:
        stem = quoted(chosen.path.stem)
        problems.add(name.mark, f"the name is not that of the file, {stem}", f"name: {stem[1:-1]}")
    for entry in environments.named():
        if isinstance(entry.value, Table):
            _check_platform(entry.value, problems)
    for entry in document.table("impact").named():
        _check_known(entry.key, entry.mark, chosen.service_names, "service", problems)
    _check_needs_of_services(chosen, problems)
    _check_suites(chosen, problems)
    _check_triggers(chosen, problems)
    _check_references(chosen, problems)


def _check_platform(environment: Table, problems: Problems) -> None:
    platform = environment.text("platform")
    if platform is None:
        return
    for key in _REQUIRED.get(platform, ()):
        if environment.get(key) is None:
            problems.add(environment.mark, f'"{key}" is missing: {platform} needs it')
    for key, owner in _ONLY.items():
        if owner != platform and environment.get(key) is not None:
            message = f'"{key}" is for platform {owner}; this one is {quoted(platform)[1:-1]}'
            problems.add(environment.entries[key].mark, message)


def _check_known(
    name: str, mark: Mark, known: Iterable[str], what: str, problems: Problems
) -> None:
    names = list(known)
    if name not in names:
        hint = near(name, names) or f"there is {', '.join(map(quoted, names[:10])) or 'none'}"
        problems.add(mark, f"there is no {what} {quoted(name)}", hint)


def _names(node: Node | None) -> Iterator[Scalar]:
    for item in node.items if isinstance(node, Sequence) else ():
        if isinstance(item, Scalar) and isinstance(item.value, str):
            yield item


def _check_needs_of_services(chosen: Chosen, problems: Problems) -> None:
    needs: dict[str, list[Scalar]] = {}
    for entry in chosen.services.named():
        table = entry.value if isinstance(entry.value, Table) else Table(entry.mark, {})
        needs[entry.key] = list(_names(table.get("needs")))
    _check_graph(needs, "service", problems)


def _check_suites(chosen: Chosen, problems: Problems) -> None:
    needs: dict[str, list[Scalar]] = {}
    for suite in chosen.suites:
        name = suite.scalar("id")
        if name and name.text in needs:
            problems.add(name.mark, f"the suite {quoted(name.text)} is given twice")
        elif name:
            needs[name.text] = list(_names(suite.get("needs")))
        protects = suite.scalar("protects")
        targets = [protects] if protects else []
        for target in [*targets, *_names(suite.get("evidence", "target"))]:
            _check_known(target.text, target.mark, chosen.service_names, "service", problems)
    _check_graph(needs, "suite", problems)


def _check_triggers(chosen: Chosen, problems: Problems) -> None:
    known = {
        "service": chosen.service_names,
        "suite": tuple(name for suite in chosen.suites if (name := suite.text("id"))),
    }
    for rule in chosen.document.items("remediate", "rules"):
        for what, names in known.items():
            named = rule.scalar("when", what) if isinstance(rule, Table) else None
            if named is not None:
                _check_known(named.text, named.mark, names, what, problems)


def _check_graph(needs: Mapping[str, list[Scalar]], what: str, problems: Problems) -> None:
    for wanted in needs.values():
        for need in wanted:
            _check_known(need.text, need.mark, needs, what, problems)
    done: set[str] = set()
    for start in needs:
        _walk(start, needs, done, problems)


def _walk(
    start: str, needs: Mapping[str, list[Scalar]], done: set[str], problems: Problems
) -> None:
    """Note the cycles met from `start`, iteratively: a chain may be as long as a file."""
    if start in done:
        return
    path = {start: iter(needs[start])}
    while path:
        at = next(reversed(path))
        need = next(path[at], None)
        if need is None:
            done.add(at)
            del path[at]
        elif need.text in path:
            names = list(path)
            circle = [*names[names.index(need.text) :], need.text]
            shown = " → ".join(quoted(name, 50)[1:-1] for name in circle[:12])
            problems.add(need.mark, f"these need each other: {shown}", "take one `needs` away")
        elif need.text in needs and need.text not in done:
            path[need.text] = iter(needs[need.text])


def _check_references(chosen: Chosen, problems: Problems) -> None:
    """`${services.NAME.url}` may stand where the run fills it in, and name what is up by then."""
    for scalar, place in _referring(chosen.document, ()):
        if place[:1] == ("environments",) or (place[:1] and place[0].startswith("x-")):
            continue
        for name in sorted(mentioned(scalar.text)):
            if not _is_filled(place):
                message = "the address of a service is not known here"
                problems.add(scalar.mark, message, "it is in `env`, `run` and `url` of suites")
            elif name not in chosen.service_names:
                _check_known(name, scalar.mark, chosen.service_names, "service", problems)
            elif place[0] == "services" and name not in _all_needs(chosen, place[1]):
                message = f"{quoted(place[1])} refers to {quoted(name)} and does not need it"
                hint = f"needs: [{name}]" if name != place[1] else "it is told PORT when it starts"
                problems.add(scalar.mark, message, hint)


def _is_filled(place: tuple[str, ...]) -> bool:
    match place:
        case ("services", _, "run", "env" | "command", *_):
            return True
        case ("suites", "env" | "run" | "url" | "requests" | "send", *_):
            return True
        case _:
            return False


def _referring(node: Node, place: tuple[str, ...]) -> Iterator[tuple[Scalar, tuple[str, ...]]]:
    match node:
        case Scalar():
            if "${services." in node.text:
                yield node, place
        case Sequence():
            for item in node.items:
                yield from _referring(item, place)
        case Table():
            for entry in node.entries.values():
                yield from _referring(entry.value, (*place, entry.key))


def _all_needs(chosen: Chosen, service: str) -> frozenset[str]:
    found: set[str] = set()
    waiting = [service]
    while waiting:
        for need in _names(chosen.services.get(waiting.pop(), "needs")):
            if need.text not in found:
                found.add(need.text)
                waiting.append(need.text)
    return frozenset(found) - {service}

"""Services, each with all that was found for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from loopctl.authoring.drafting.candidates import Candidate
from loopctl.authoring.drafting.draft import Noted, ServiceDraft, told
from loopctl.authoring.drafting.names import service_name
from loopctl.authoring.drafting.on_cloud_run import on_cloud_run, service_of
from loopctl.authoring.drafting.secret_names import is_secret_name, is_secret_value
from loopctl.authoring.drafting.values import from_compose
from loopctl.authoring.drafting.variables import with_variables
from loopctl.authoring.drafting.yaml_lines import scalar
from loopctl.authoring.looking.facts import Certainty, CloudRunDeploy, Fact, Looked, Route
from loopctl.authoring.looking.health_paths import is_health, order
from loopctl.authoring.looking.source_code import is_test
from loopctl.authoring.looking.tree import Tree

_MIGRATIONS: Final = re.compile(
    r"(?:^|/)(?:migrations|alembic/versions|migrations/versions|db/migrate)$"
)


def draft_services(
    found: Sequence[Candidate], looked: Looked, tree: Tree
) -> tuple[tuple[ServiceDraft, ...], tuple[tuple[str, CloudRunDeploy], ...], tuple[str, ...]]:
    """The services, the deployments that belong to them, and what belongs to none."""
    deploys, left = _matched(found, looked.deploys)
    names: dict[str, str] = {}
    for each in found:
        deploy = deploys.get(each.name)
        on_google = service_of(deploy) if deploy else None
        taken = [name for name in (*names.values(), *(c.name for c in found)) if name != each.name]
        names[each.name] = service_name(on_google, taken) if on_google else each.name
        if on_google and names[each.name] != on_google:
            # Too long for a candidate, or somebody's already: the name is Google's to know.
            names[each.name] = on_google if on_google not in taken else names[each.name]
    by_compose = {c.compose.name: names[c.name] for c in found if c.compose is not None}
    images = {
        each.name: next((p.value[0] for p in each.ports if p.value[0]), None)
        for each in looked.compose
        if each.context is None
    }
    drafts = [
        _draft(each, names[each.name], looked, tree, by_compose, images, deploys.get(each.name))
        for each in found
    ]
    placed = tuple((names[name], deploy) for name, deploy in deploys.items())
    return tuple(_without_circles(drafts)), placed, tuple(left)


def _matched(
    found: Sequence[Candidate], deploys: Sequence[CloudRunDeploy]
) -> tuple[dict[str, CloudRunDeploy], list[str]]:
    """One deployment for each service: the one that fits best, production's only at last."""
    chosen: dict[str, CloudRunDeploy] = {}
    left: list[str] = []
    scores = {
        (deploy.place, each.name): _score(each, deploy, len(found))
        for deploy in deploys
        for each in found
    }
    best = {
        d.place: max((scores[d.place, each.name] for each in found), default=0) for d in deploys
    }
    for deploy in sorted(deploys, key=lambda d: (-best[d.place], _is_production(d), d.place)):
        score = best[deploy.place]
        fits = [each.name for each in found if score and scores[deploy.place, each.name] == score]
        if len(fits) != 1:
            why = "no service here is known to be deployed by it"
        elif fits[0] in chosen:
            why = f"another place deploys {fits[0]}, too"
        else:
            chosen[fits[0]] = deploy
            continue
        left.append(f"{deploy.place} ({deploy.how}): {why}")
    return chosen, left


def _is_production(deploy: CloudRunDeploy) -> bool:
    said = f"{deploy.service} {deploy.place.file} {deploy.flag('project') or ''}"
    return re.search(r"prod(?:uction)?\b", said) is not None


def _score(each: Candidate, deploy: CloudRunDeploy, number: int) -> int:
    if is_test(deploy.place.file):
        return 0
    source, image = deploy.flag("source"), deploy.flag("image")
    folder = source.value.removeprefix("./").rstrip("/") or "." if source else None
    if folder is not None and folder == each.context:
        return 5
    service = service_of(deploy) or ""
    last = (image.value if image else "").rpartition("/")[2].partition(":")[0].partition("@")[0]
    if each.name in (service, last):
        return 4
    if each.name in service.split("-") or each.name in last.split("-"):
        return 3
    if each.name in service or (service and service in each.name):
        return 2
    return 1 if number == 1 else 0


def _draft(
    each: Candidate,
    name: str,
    looked: Looked,
    tree: Tree,
    by_compose: Mapping[str, str],
    images: Mapping[str, int | None],
    deploy: CloudRunDeploy | None,
) -> ServiceDraft:
    health, other = _health(each, looked, tree, deploy)
    service = ServiceDraft(
        name=name,
        source=each.context,
        why=str(each.place),
        dockerfile=each.image.file if each.image else None,
        target=each.compose.target if each.compose else None,
        start=each.start,
        port=_port(each, looked),
        needs=tuple(
            Noted(by_compose[need.value], told(need))
            for need in (each.compose.needs if each.compose else ())
            if need.value in by_compose and by_compose[need.value] != name
        ),
        health=health,
        other_health=other,
        migrations=tuple(_migrations(each, tree)),
        cloud_run=on_cloud_run(deploy) if deploy else None,
    )
    service = _with_arguments(each, service)
    waits = [need for need in (each.compose.needs if each.compose else ()) if need.value in images]
    if waits:
        said = ", ".join(need.value for need in waits)
        remark = f"DECIDE: it needs {said} ({waits[0].place}), which loopctl does not start"
        service = replace(service, remarks=(*service.remarks, remark))
    return with_variables(each, service, looked, by_compose, images)


def _port(each: Candidate, looked: Looked) -> Noted[int] | None:
    image, compose = each.image, each.compose
    if image is None:
        return None
    if image.ports:
        return Noted(image.ports[0].value, told(image.ports[0]))
    if compose and compose.ports:
        return Noted(compose.ports[0].value[1], told(compose.ports[0]))
    if image.launch and image.launch.value.port:
        return Noted(image.launch.value.port, told(image.launch))
    hint = next((h for h in looked.hints if h.value[0] in ("port", f"port {each.name}")), None)
    return (
        Noted(int(hint.value[1]), f"GUESSED: {hint}") if hint and hint.value[1].isdigit() else None
    )


def _health(
    each: Candidate, looked: Looked, tree: Tree, deploy: CloudRunDeploy | None
) -> tuple[Noted[str], str | None]:
    """The path, and another one for Cloud Run where the first would never reach the container."""
    found = list(_health_paths(each, looked, tree, deploy))
    if not found:
        root = next((r for r in _own_routes(each, looked) if r.value.path == "/"), None)
        if root is not None:
            note = f"GUESSED: {root} answers it; DECIDE: a path that tells whether it is well"
            return Noted("/", note), "/"
        note = "GUESSED: nothing names a health path; DECIDE: what answers 200 when it is well"
        return Noted("/", note), "/"
    other = next((path.value for path in found if path.value != "/healthz"), "/")
    return found[0], other


def _health_paths(
    each: Candidate, looked: Looked, tree: Tree, deploy: CloudRunDeploy | None
) -> Iterator[Noted[str]]:
    image, compose = each.image, each.compose
    for fact in (compose.health if compose else None, image.health if image else None):
        if fact is not None:
            yield Noted(fact.value, told(fact))
    probe = deploy.flag("health") if deploy else None
    if probe is not None and probe.value.startswith("/"):
        yield Noted(probe.value, told(probe))
    for hint in looked.hints:
        kind, _, of = hint.value[0].partition(" ")
        if kind == "health" and of in ("", each.name):
            yield Noted(hint.value[1], told(hint))
    routes = [r for r in _own_routes(each, looked) if r.value.method == "GET"]
    routes.sort(key=lambda r: (order(r.value.path)[0], r.certainty is Certainty.GUESSED))
    for route in sorted(routes, key=lambda r: order(r.value.path)):
        if is_health(route.value.path):
            before = _prefixed(each, tree)
            note = f"GUESSED: {route}, and a prefix at {before} may stand before it"
            yield Noted(route.value.path, note if before else told(route))


def _own_routes(each: Candidate, looked: Looked) -> list[Fact[Route]]:
    return [route for route in looked.routes if each.owns(route.place.file)]


def _prefixed(each: Candidate, tree: Tree) -> str | None:
    """Where routers are put below a prefix that plain reading does not follow."""
    form = re.compile(r"\.(?:include_router|register_blueprint|mount)\(.*prefix")
    for path in tree.below(each.context, "*.py"):
        for number, line in enumerate(tree.lines(path), start=1):
            if form.search(line):
                return f"{path}:{number}"
    return None


def _migrations(each: Candidate, tree: Tree) -> Iterator[str]:
    seen: dict[str, None] = {}
    for path in tree.below(each.context, "*.py", "*.sql", "*.rb"):
        folder, _, name = path.rpartition("/")
        if _MIGRATIONS.search(folder) and each.owns(path) and name != "__init__.py":
            inner = folder if each.context == "." else folder[len(each.context) + 1 :]
            if re.fullmatch(r"[\w./-]+", inner):
                seen[f"{inner}/*.{name.rpartition('.')[2]}"] = None
    yield from list(seen)[:5]


def _with_arguments(each: Candidate, service: ServiceDraft) -> ServiceDraft:
    arguments = {}
    remarks = list(service.remarks)
    for fact in each.compose.args if each.compose else ():
        given, value = fact.value.name, fact.value.value
        written = from_compose(value) if value else None
        if value and (is_secret_name(given) or is_secret_value(value)):
            remarks.append(f"build argument {given} ({fact.place}) looks like a secret: not copied")
        elif written and not written.startswith("${"):
            arguments[given] = Noted(scalar(written), told(fact))
    remarks += [
        f"DECIDE: {want.place} wants the build argument {want.value}"
        for want in (each.image.wants if each.image else ())
        if want.value not in arguments
    ]
    return replace(service, args=tuple(arguments.items()), remarks=tuple(remarks))


def _without_circles(drafts: Sequence[ServiceDraft]) -> Iterator[ServiceDraft]:
    """Needs that close a circle are left away, and the addresses that came with them."""
    after: dict[str, set[str]] = {}

    def leads(start: str, end: str) -> bool:
        seen, waiting = set[str](), [start]
        while waiting:
            at = waiting.pop()
            if at == end:
                return True
            if at not in seen:
                seen.add(at)
                waiting += after.get(at, ())
        return False

    for draft in drafts:
        kept, dropped = [], set[str]()
        for need in draft.needs:
            if leads(need.value, draft.name):
                dropped.add(need.value)
            else:
                kept.append(need)
                after.setdefault(draft.name, set()).add(need.value)
        gone = [
            name
            for name, noted in draft.env
            if any(f"${{services.{need}." in noted.value for need in dropped)
        ]
        remarks = (
            *draft.remarks,
            *(f"{name} left away: the services need each other" for name in gone),
        )
        env = tuple((name, noted) for name, noted in draft.env if name not in gone)
        yield replace(draft, needs=tuple(kept), env=env, remarks=remarks)

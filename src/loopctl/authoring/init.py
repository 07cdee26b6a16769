"""`init`: from a folder to a loop file that validates, or to what it lacks."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, Final

from loopctl.authoring.drafting.candidates import candidates
from loopctl.authoring.drafting.draft import Draft, Noted, ServiceDraft, told
from loopctl.authoring.drafting.loop_text import text_of
from loopctl.authoring.drafting.names import loop_name
from loopctl.authoring.drafting.on_cloud_run import cloud_place
from loopctl.authoring.drafting.services import draft_services
from loopctl.authoring.drafting.suites import draft_suites
from loopctl.authoring.drafting.yaml_lines import literal, scalar
from loopctl.authoring.looking.facts import CloudRunDeploy, Fact, Looked, Place, Variable
from loopctl.authoring.looking.repository import look
from loopctl.authoring.looking.tree import Tree, folder_of, joined
from loopctl.errors import Problem, UsageError
from loopctl.loopfile.env_file import read_env_file
from loopctl.loopfile.resolve import load
from loopctl.loopfile.schema import LOOP_NAME

FOLDER: Final = "loops"
_GATED: Final = "app"
_OWNERS: Final = ("CODEOWNERS", ".github/CODEOWNERS", "docs/CODEOWNERS")
_RUNBOOKS: Final = ("docs/runbook.md", "docs/RUNBOOK.md", "RUNBOOK.md", "runbook.md")
_FILLED: Final = {"GCP_PROJECT": "a-project"}


@dataclass(frozen=True, slots=True)
class Initial:
    """A loop file, not written yet: `path` is where it belongs. `gaps` is what nothing tells."""

    path: Path
    text: str
    name: str
    environments: tuple[str, ...]
    services: tuple[str, ...]
    suites: tuple[str, ...]
    gaps: tuple[str, ...]
    left_out: tuple[str, ...]
    found: Looked

    def document(self) -> Mapping[str, Any]:
        """For `--json`; values of variables are left out: they may be secrets."""
        return {
            "schema": 1,
            "loop": self.name,
            "file": str(self.path),
            "environments": list(self.environments),
            "services": list(self.services),
            "suites": list(self.suites),
            "gaps": list(self.gaps),
            "left_out": list(self.left_out),
            "found": _plain(self.found),
        }


def initial(root: Path, *, name: str | None = None, environment: str | None = None) -> Initial:
    """The loop file for a folder. Its text is the same as long as the folder is.

    `environment` becomes the default one. Raises `UsageError` for a folder in which nothing can be
    read, a name that no loop can have, and an environment that would not be written.
    """
    if not root.is_dir():
        raise UsageError("nothing was written", [Problem(f"{root} is not a folder")])
    looked, tree = look(root)
    if not tree.files:
        hint = "run it in the folder of a repository, or name that: loopctl init DIR"
        raise UsageError("nothing was written", [Problem(f"there is no file in {root}", hint=hint)])
    draft = _draft(looked, tree, _named(name, looked), environment)
    path = root / FOLDER / f"{draft.name}.yaml"
    try:
        draft, text = _valid(path, draft)
    except UsageError as error:
        what = "nothing was written: what init made of this folder does not validate; report it"
        raise UsageError(what, error.problems) from error
    return Initial(
        path=path,
        text=text,
        name=draft.name,
        environments=draft.environments,
        services=tuple(service.name for service in draft.services)
        or ((draft.gated.value,) if draft.gated else ()),
        suites=tuple(suite.id for suite in draft.suites),
        gaps=draft.gaps,
        left_out=draft.left_out,
        found=looked,
    )


def _named(name: str | None, looked: Looked) -> Noted[str]:
    if name is None:
        return Noted(loop_name(looked.name.value), told(looked.name))
    if not re.fullmatch(LOOP_NAME, name):
        hint = "letters, digits, - and _, from a letter or a digit"
        raise UsageError("nothing was written", [Problem("no loop can have that name", hint=hint)])
    return Noted(name, "as given")


def _draft(looked: Looked, tree: Tree, name: Noted[str], environment: str | None) -> Draft:
    found, left = candidates(looked, tree)
    services, deploys, unmatched = draft_services(found, looked, tree)
    services, environments, apart = _environments(services, deploys)
    gated = None if services else Noted(_GATED, "not deployed: it must run already")
    suites, no_suites = draft_suites(looked, services, gated.value if gated else None, tree)
    cloud = cloud_place([deploy for _, deploy in deploys]) if "staging" in environments else None
    wants_file = set(environments) & {"local", "docker"} and any(looked.compose)
    return Draft(
        name=name.value,
        why_name=name.note,
        services=services,
        suites=suites,
        environments=environments,
        default=_default(services, environments, environment),
        cloud=cloud,
        gated=gated,
        gated_url=Noted(scalar("${APP_URL:-http://127.0.0.1:8080}"), "DECIDE: where it answers")
        if gated
        else None,
        owner=_owner(tree),
        runbook=_runbook(tree),
        left_out=(*left, *apart, *_images(looked), *no_suites, *unmatched, *_ci(looked)),
        gaps=tuple(_gaps(services, suites, environments, looked)),
        env_file=_env_file(looked, tree) if wants_file else None,
    )


def _environments(
    services: tuple[ServiceDraft, ...], deploys: Sequence[tuple[str, CloudRunDeploy]]
) -> tuple[tuple[ServiceDraft, ...], tuple[str, ...], list[str]]:
    """The environments in which all of the services can be; those that fit in none are left."""
    apart: list[str] = []
    startable = [service for service in services if service.start is not None]
    buildable = [service for service in services if service.builds_image]
    if services and len(startable) < len(services) > len(buildable):
        kept = buildable if len(buildable) >= len(startable) else startable
        lacks = "Dockerfile" if kept is buildable else "command that starts it here"
        apart = [f"{s.name} ({s.why}): it has no {lacks}" for s in services if s not in kept]
        services = tuple(kept)
    names: list[str] = []
    if services and all(service.start is not None for service in services):
        names.append("local")
    if services and all(service.builds_image for service in services):
        names.append("docker")
        if deploys:
            names.append("staging")
    if "local" not in names:
        apart += [
            f"no environment `local`: nothing tells how {s.name} is started without Docker"
            for s in services
            if s.start is None
        ][:3]
    return services, tuple(names), apart


def _default(
    services: Sequence[ServiceDraft], environments: Sequence[str], wanted: str | None
) -> str:
    if wanted is not None:
        if wanted not in environments:
            there = ", ".join(environments) or "none"
            problem = Problem(f"there would be no environment {wanted!r}", hint=f"there is {there}")
            raise UsageError("nothing was written", [problem])
        return wanted
    sure = all(service.start is not None and service.start.listens for service in services)
    if "docker" in environments and not ("local" in environments and sure):
        return "docker"
    return environments[0] if environments else "local"


def _owner(tree: Tree) -> Noted[str] | None:
    for path in _OWNERS:
        for number, line in enumerate(tree.lines(path), start=1):
            words = line.partition("#")[0].split()
            if len(words) > 1 and words[0] == "*" and literal(words[1]):
                return Noted(scalar(literal(words[1]) or ""), str(Place(path, number)))
    return None


def _runbook(tree: Tree) -> Noted[str] | None:
    path = next((path for path in _RUNBOOKS if tree.has(path)), None)
    return Noted(scalar(path), "it is there") if path else None


def _env_file(looked: Looked, tree: Tree) -> Noted[str] | None:
    """The `.env` that compose would read by itself, where it is everybody's and can be read."""
    folder = next((folder_of(each.place.file) for each in looked.compose), ".")
    path = joined(folder, ".env")
    ignored = (
        line.strip().lstrip("/")
        for name in (".gitignore", joined(folder, ".gitignore"))
        for line in tree.lines(name)
    )
    if not tree.has(path) or {".env", ".env*", "*.env"} & set(ignored) or literal(path) is None:
        return None
    try:
        read_env_file(tree.root / path)
    except UsageError:
        return None
    return Noted(path, "compose reads it, too; for ${…} here, never sent as it is")


def _images(looked: Looked) -> list[str]:
    """What compose only pulls: loopctl deploys no image without a digest, and no database."""
    said = []
    for each in looked.compose:
        if each.context is None and each.image is not None:
            ports = ", ".join(str(p.value[0]) for p in each.ports if p.value[0])
            at = f", at port {ports} of this machine" if ports else ", with no port published here"
            start = f"start it with `docker compose up -d {each.name}`"
            said.append(f"{each.name} ({each.place}): the image {each.image}{at}; {start}")
    return said


def _ci(looked: Looked) -> list[str]:
    return [f"CI runs `{fact.value[:80]}` ({fact.place})" for fact in looked.ci[:5]]


def _gaps(
    services: Sequence[ServiceDraft],
    suites: Sequence[Any],
    environments: Sequence[str],
    looked: Looked,
) -> list[str]:
    said: list[str] = []
    if not services:
        said.append(
            "nothing here says what is deployed: no Dockerfile, no compose file with a build, no "
            "code whose start is known. The service below is only asked; give it a `source` instead"
        )
    if not any(suite.kind != "http" for suite in suites):
        said.append("no test here meets a service; the suite below asks only what is plain to see")
    if services and not environments:
        said.append("nothing says how these services are started")
    said += [f"not read: {what}" for what in looked.passed_over if _matters(what)][:5]
    return said


def _matters(passed_over: str) -> bool:
    """Whether it may well have changed what is written: no asset of a page, no deep folder."""
    return not passed_over.endswith(": too deep") and ".js: too large" not in passed_over


def _valid(path: Path, draft: Draft) -> tuple[Draft, str]:
    """The draft and its text; without the `env_file` where the file is not valid with it."""
    try:
        return draft, _checked(path, draft)
    except UsageError:
        if draft.env_file is None:
            raise
        # A value in there is no text for what it would be filled in with: `true`, say.
        plain = replace(draft, env_file=None)
        return plain, _checked(path, plain)


def _checked(path: Path, draft: Draft) -> str:
    """The text, which validates in each of its environments; raises `UsageError`."""
    text, environments = text_of(draft), draft.environments
    for name in environments:
        load(path, environment=name, variables=_FILLED, text=text)
    load(path, environment=None, variables={}, text=text)
    return text


def _plain(value: Any) -> Any:
    match value:
        case Variable():
            return {"name": value.name}
        case Place():
            return str(value)
        case Fact():
            return {
                "value": _plain(value.value),
                "at": str(value.place),
                "certainty": value.certainty.value,
                **({"how": value.how} if value.how else {}),
            }
        case frozenset():
            return sorted(value)
        case tuple() | list():
            return [_plain(each) for each in value]
        case Enum():
            return value.value
        case _ if dataclasses.is_dataclass(value):
            return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        case _:
            return value

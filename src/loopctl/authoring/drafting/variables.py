"""What a service is told: variables of compose files, and those that its code cannot do without."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from loopctl.authoring.drafting.candidates import Candidate
from loopctl.authoring.drafting.draft import Noted, SecretDraft, ServiceDraft, told
from loopctl.authoring.drafting.secret_names import (
    composed_url,
    development_value,
    is_secret_name,
    is_secret_value,
)
from loopctl.authoring.drafting.values import Addressed, addressed, from_compose
from loopctl.authoring.drafting.yaml_lines import scalar
from loopctl.authoring.looking.facts import Fact, Looked, Variable

# loopctl tells these itself, or they are a machine's own.
_OWN: Final = re.compile(
    r"PORT|HOST|PATH|HOME|USER|PWD|SHELL|LANG|TZ|TMPDIR|TERM|CI|NODE_ENV|HOSTNAME|K_[A-Z]+"
    r"|PYTHON\w*|GITHUB_\w+|LOG_LEVEL|DEBUG|NO_COLOR|VIRTUAL_ENV"
)
_MAY_BE_EMPTY: Final = re.compile(r"|\$\w+|\$\{\w+(?::?-)?\}")
_SHOWN: Final = 8


@dataclass
class _Told:
    """What is gathered for one service."""

    service: ServiceDraft
    env: dict[str, Noted[str]] = field(default_factory=dict)
    secrets: dict[str, SecretDraft] = field(default_factory=dict)
    docker: dict[str, Noted[str]] = field(default_factory=dict)
    needs: dict[str, Noted[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def knows(self, name: str) -> bool:
        return name in self.env or name in self.secrets or _OWN.fullmatch(name) is not None


def with_variables(
    each: Candidate,
    service: ServiceDraft,
    looked: Looked,
    by_compose: Mapping[str, str],
    images: Mapping[str, int | None],
) -> ServiceDraft:
    """The service with its variables; `by_compose` and `images` as for `addressed`."""
    gathered = _Told(service, needs={need.value: need for need in service.needs})
    others = {key: name for key, name in by_compose.items() if name != service.name}
    for fact in each.compose.env if each.compose else ():
        if not _OWN.fullmatch(fact.value.name):
            _from_compose(gathered, fact, addressed(fact.value.value or "", others, images))
    for file in each.compose.env_files if each.compose else ():
        said = f"DECIDE: compose gives it {file.value} too ({file.place}), which was not read"
        gathered.remarks.append(said)
    also = list(_from_code(gathered, each, looked))
    if also:
        more = f", and {len(also) - _SHOWN} more" if len(also) > _SHOWN else ""
        gathered.remarks.append(f"Its code also reads {', '.join(also[:_SHOWN])}{more}")
    return replace(
        service,
        env=tuple(gathered.env.items()),
        secrets=tuple(gathered.secrets.values()),
        own_addresses=tuple(gathered.docker.items()),
        needs=tuple(gathered.needs.values()),
        remarks=(*service.remarks, *gathered.remarks),
    )


def _from_compose(told_of: _Told, fact: Fact[Variable], leads: Addressed | None) -> None:
    name, value = fact.value.name, fact.value.value or ""
    if is_secret_name(name) and _MAY_BE_EMPTY.fullmatch(value):
        said = f"{name} ({fact.place}) is a secret that may be empty: not given unless you add it"
        told_of.remarks.append(said)
    elif is_secret_name(name) or is_secret_value(value):
        told_of.secrets[name] = _secret(fact, leads)
    elif leads is not None:
        _leading(told_of, fact, leads)
    elif (written := from_compose(value)) is None:
        said = f"DECIDE: {name} ({fact.place}) has a form that is not understood here"
        told_of.remarks.append(said)
    elif fact.value.value is None:
        note = f"{told(fact)}, from your environment"
        told_of.env[name] = Noted(scalar(f"${{{name}:-}}"), note)
    else:
        told_of.env[name] = Noted(scalar(written), told(fact))


def _leading(told_of: _Told, fact: Fact[Variable], leads: Addressed) -> None:
    note = told(fact)
    if leads.image:
        note += f"; {leads.image} is not started by loopctl"
    if leads.needs:
        need = Noted(leads.needs, f"{fact.place} names its address")
        told_of.needs.setdefault(leads.needs, need)
    if leads.docker:
        inside = Noted(scalar(leads.docker), "this machine, from inside a container")
        told_of.docker[fact.value.name] = inside
    told_of.env[fact.value.name] = Noted(scalar(leads.text), note)


def _from_code(told_of: _Told, each: Candidate, looked: Looked) -> Iterator[str]:
    """Put in what the code needs; what it only asks for comes out, with its place."""
    seen: set[str] = set()
    for read in sorted(looked.reads, key=lambda r: not r.value.needed):
        name = read.value.name
        if name in seen or told_of.knows(name) or not each.owns(read.place.file):
            continue
        seen.add(name)
        if not read.value.needed:
            yield f"{name} ({read.place})"
        elif is_secret_name(name):
            fact = Fact(Variable(name), read.place, read.certainty, "the code reads it")
            told_of.secrets[name] = _secret(fact, None)
        else:
            note = f"DECIDE: {read.place} wants a value"
            told_of.env[name] = Noted(scalar(f"${{{name}:-}}"), note)


def _secret(fact: Fact[Variable], leads: Addressed | None) -> SecretDraft:
    name, known = fact.value.name, fact.value.value
    here, inside = _hosts(leads)
    composed = composed_url(known, here) if known else None
    if composed is not None and known:
        return SecretDraft(
            name, composed, told(fact), composed_url(known, inside) if inside else None
        )
    value = f"${{{name}:-{development_value(known, here)}}}"
    docker = f"${{{name}:-{development_value(known, inside)}}}" if inside else None
    return SecretDraft(name, value, told(fact), docker)


def _hosts(leads: Addressed | None) -> tuple[str | None, str | None]:
    """Host and port, from this machine and from inside a container, of what compose only pulls."""
    if leads is None or leads.docker is None or "://" not in leads.text:
        return None, None
    first, second = (
        re.split(r"[/?]", text.partition("://")[2], maxsplit=1)[0]
        for text in (leads.text, leads.docker)
    )
    return first, second

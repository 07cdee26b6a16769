"""What a loop file will say, before it is text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from loopctl.authoring.looking.facts import Certainty, Fact, Start

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Noted(Generic[T]):
    """A value of the loop file, and the comment that says where it comes from."""

    value: T
    note: str = ""


@dataclass(frozen=True, slots=True)
class SecretDraft:
    """A secret; `value` is text for the loop file, with a default for development.

    `docker` is the same from inside a container, where that differs.
    """

    name: str
    value: str
    note: str = ""
    docker: str | None = None


@dataclass(frozen=True, slots=True)
class OnCloudRun:
    """What the cloud-run environment says of one service; `run` by keys of the loop file."""

    run: tuple[tuple[str, Noted[str]], ...] = ()
    env: tuple[tuple[str, Noted[str]], ...] = ()
    secrets: tuple[tuple[str, Noted[str]], ...] = ()
    wants_token: Noted[bool] = field(default_factory=lambda: Noted(value=False))
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceDraft:
    """One service. `source` is a folder of the tree; `remarks` are for the person."""

    name: str
    source: str
    why: str
    dockerfile: str | None = None
    target: str | None = None
    args: tuple[tuple[str, Noted[str]], ...] = ()
    start: Start | None = None
    port: Noted[int] | None = None
    needs: tuple[Noted[str], ...] = ()
    env: tuple[tuple[str, Noted[str]], ...] = ()
    secrets: tuple[SecretDraft, ...] = ()
    health: Noted[str] = field(default_factory=lambda: Noted("/"))
    other_health: str | None = None
    migrations: tuple[str, ...] = ()
    cloud_run: OnCloudRun | None = None
    remarks: tuple[str, ...] = ()
    own_addresses: tuple[tuple[str, Noted[str]], ...] = ()

    @property
    def builds_image(self) -> bool:
        """Whether a Dockerfile says how."""
        return self.dockerfile is not None


@dataclass(frozen=True, slots=True)
class SuiteDraft:
    """One suite; `env` values are YAML texts with references in them."""

    id: str
    why: str
    priority: str = "P1"
    kind: str = "pytest"
    run: Noted[str] | None = None
    cwd: str | None = None
    python: Noted[str] | None = None
    env: tuple[tuple[str, Noted[str]], ...] = ()
    requests: tuple[Noted[str], ...] = ()
    collect_min: Noted[int] | None = None
    require: Noted[str] | None = None
    protects: str | None = None
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CloudPlace:
    """Where the cloud-run environment is."""

    project: Noted[str]
    region: Noted[str]
    repository: Noted[str]
    direct: Noted[bool] = field(default_factory=lambda: Noted(value=False))


@dataclass(frozen=True, slots=True)
class Draft:
    """A whole loop file. `gated`: the one service that is only asked, where none is deployed."""

    name: str
    why_name: str
    services: tuple[ServiceDraft, ...]
    suites: tuple[SuiteDraft, ...]
    environments: tuple[str, ...]
    default: str
    cloud: CloudPlace | None = None
    gated: Noted[str] | None = None
    gated_url: Noted[str] | None = None
    owner: Noted[str] | None = None
    runbook: Noted[str] | None = None
    left_out: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    env_file: Noted[str] | None = None


def told(fact: Fact[T]) -> str:
    """Where a fact was read, as a comment says it."""
    return f"GUESSED: {fact}" if fact.certainty is Certainty.GUESSED else str(fact)

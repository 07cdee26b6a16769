"""What the readers hand over: values, each with the place where it was read and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from loopctl.loopfile.marks import inert

T = TypeVar("T")


class Certainty(StrEnum):
    """Whether a file says it, or it only looks like it."""

    FOUND = "found"
    GUESSED = "guessed"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line of a file, counted from 1; 0 means the file as a whole. Paths are the tree's own."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{inert(self.file)}:{self.line}" if self.line else inert(self.file)


@dataclass(frozen=True, slots=True)
class Fact(Generic[T]):
    """A value and where it was read. `how` says in a word what said so (`EXPOSE`)."""

    value: T
    place: Place
    certainty: Certainty = Certainty.FOUND
    how: str = ""

    def __str__(self) -> str:
        said = f", {self.how}" if self.how else ""
        return f"{self.place}{said}"


@dataclass(frozen=True, slots=True)
class Launch:
    """What starts a process. A `line` is for a shell; `port` is written in it as a number."""

    words: tuple[str, ...] = ()
    line: str | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable that a service is given. `value` None: only its name is known."""

    name: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """A Dockerfile: `context` is the folder that it is built from, `wants` ARGs without default."""

    file: str
    context: str
    certainty: Certainty
    launch: Fact[Launch] | None = None
    ports: tuple[Fact[int], ...] = ()
    health: Fact[str] | None = None
    wants: tuple[Fact[str], ...] = ()


@dataclass(frozen=True, slots=True)
class ComposeService:
    """A service of a compose file. `context` None: nothing of it is built here."""

    name: str
    place: Place
    context: str | None = None
    dockerfile: str | None = None
    target: str | None = None
    args: tuple[Fact[Variable], ...] = ()
    image: str | None = None
    ports: tuple[Fact[tuple[int | None, int]], ...] = ()
    env: tuple[Fact[Variable], ...] = ()
    env_files: tuple[Fact[str], ...] = ()
    needs: tuple[Fact[str], ...] = ()
    health: Fact[str] | None = None
    launch: Fact[Launch] | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """How a folder's own code is started on this machine, and what is done there before.

    `context` is what it is copied with, the folder itself or one above. `listens` None: nothing
    tells whether it reads PORT.
    """

    folder: str
    language: str
    launch: Fact[Launch]
    steps: tuple[str, ...] = ()
    listens: bool | None = None
    context: str | None = None


@dataclass(frozen=True, slots=True)
class EnvRead:
    """A variable that code asks its environment for; `needed`: without a value it fails."""

    name: str
    needed: bool


@dataclass(frozen=True, slots=True)
class Route:
    """An address that code answers."""

    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Package:
    """A package.json."""

    folder: str
    place: Place
    name: str
    scripts: tuple[Fact[tuple[str, str]], ...]
    depends: frozenset[str]
    manager: str
    locked: bool
    main: str = ""


@dataclass(frozen=True, slots=True)
class TestFile:
    """A file of pytest's: how many functions, and which markers; `partly`: those not on all."""

    path: str
    tests: int
    markers: frozenset[str] = frozenset()
    partly: frozenset[str] = frozenset()
    imports: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class UrlRead:
    """The variable by which tests find a service; `suffix` is the path that its default has."""

    name: str
    suffix: str = ""
    websocket: bool = False


@dataclass(frozen=True, slots=True)
class PytestTree:
    """All tests that one pytest would run. `folder` is where it is run, `config` what says so."""

    folder: str
    config: Place | None
    testpaths: tuple[str, ...]
    markers: tuple[Fact[str], ...]
    narrowed: bool
    files: tuple[TestFile, ...]
    urls: tuple[Fact[UrlRead], ...]
    in_process: Fact[str] | None
    base_url_plugin: Fact[str] | None = None


@dataclass(frozen=True, slots=True)
class Runner:
    """Tests that another runner than pytest runs. `line` writes its JUnit report to {junit}."""

    name: str
    folder: str
    place: Place
    line: str
    urls: tuple[Fact[UrlRead], ...] = ()
    note: str | None = None


@dataclass(frozen=True, slots=True)
class CloudRunDeploy:
    """A deployment to Cloud Run that some file describes; `flags` by their gcloud names."""

    service: str | None
    place: Place
    flags: tuple[Fact[tuple[str, str]], ...] = ()
    how: str = "gcloud run deploy"

    def flag(self, *names: str) -> Fact[str] | None:
        """The last value given for one of these flags."""
        found = [each for each in self.flags if each.value[0] in names]
        if not found:
            return None
        last = found[-1]
        return Fact(last.value[1], last.place, last.certainty, f"--{last.value[0]}")


@dataclass(frozen=True, slots=True)
class Looked:
    """All that was found; `passed_over` says what was not read, and why."""

    name: Fact[str]
    images: tuple[Image, ...] = ()
    compose: tuple[ComposeService, ...] = ()
    starts: tuple[Start, ...] = ()
    reads: tuple[Fact[EnvRead], ...] = ()
    routes: tuple[Fact[Route], ...] = ()
    packages: tuple[Package, ...] = ()
    pytest: tuple[PytestTree, ...] = ()
    runners: tuple[Runner, ...] = ()
    deploys: tuple[CloudRunDeploy, ...] = ()
    hints: tuple[Fact[tuple[str, str]], ...] = ()
    ci: tuple[Fact[str], ...] = ()
    passed_over: tuple[str, ...] = field(default=())

"""Which folders of a repository are services that a loop can deploy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from loopctl.authoring.drafting.names import of_folder, service_name
from loopctl.authoring.drafting.yaml_lines import literal
from loopctl.authoring.looking.dockerfiles import read_image
from loopctl.authoring.looking.facts import ComposeService, Image, Looked, Place, Start
from loopctl.authoring.looking.source_code import is_test
from loopctl.authoring.looking.tree import Tree, is_within

_LIMIT: Final = 30
_NO_SERVICE: Final = re.compile(
    r"(?:^|/)(?:tests?|e2e|fixtures?|examples?|samples?|docs?|\.devcontainer|\.github|ci|hack|scripts"
    r"|benchmarks?|load-?generator|tools)(?:/|$)"
)
_VARIANT: Final = re.compile(r"Dockerfile\.(?!prod|production|web|api|server|app)|.*\.(?:dev|test)")
_GRPC: Final = re.compile(
    r"grpc\.NewServer\(|grpc\.server\(|grpc\.aio\.server\(|new grpc\.Server\(|MapGrpcService|"
    r"io\.grpc\.ServerBuilder"
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A service, perhaps; `folders_of_others` lie in its folder and are not its own."""

    name: str
    context: str
    place: Place
    image: Image | None
    compose: ComposeService | None
    start: Start | None
    folders_of_others: frozenset[str] = field(default_factory=frozenset)

    def owns(self, path: str) -> bool:
        """Whether a file is this service's and nobody else's."""
        others = any(is_within(path, folder) for folder in self.folders_of_others)
        return is_within(path, self.context) and not others


def candidates(looked: Looked, tree: Tree) -> tuple[tuple[Candidate, ...], tuple[str, ...]]:
    """What can be deployed and asked over HTTP; and what was left out, each with the reason."""
    left: list[str] = []
    found = list(_from_compose(looked, tree, left))
    if not found:
        found = list(_from_images(looked, left))
    if not found:
        found = list(_from_starts(looked))
    kept: list[Candidate] = []
    folders = {folder for each in found for folder in (each.context, _home(each))}
    for each in found[:_LIMIT]:
        others = frozenset(
            folder
            for folder in folders
            if is_within(folder, each.context) and not is_within(_home(each), folder)
        )
        owner = Candidate(
            each.name, each.context, each.place, each.image, each.compose, each.start, others
        )
        reason = _not_http(owner, looked, tree)
        if reason:
            left.append(f"{each.name} ({each.place}): {reason}")
        else:
            kept.append(owner)
    left += [f"{each.name}: more than {_LIMIT} services" for each in found[_LIMIT:]]
    return tuple(kept), tuple(left)


def _home(each: Candidate) -> str:
    """Where its Dockerfile lies: several are often built from the repository's root."""
    home = (each.image.file.rpartition("/")[0] or ".") if each.image else each.context
    return home if is_within(home, each.context) else each.context


def _from_compose(looked: Looked, tree: Tree, left: list[str]) -> Iterator[Candidate]:
    taken: set[str] = set()
    covered: set[str] = set()
    for each in looked.compose:
        if each.context is None:
            continue
        name = service_name(each.name, taken)
        taken.add(name)
        file = each.dockerfile
        image = read_image(tree, file, each.context, each.target) if file else None
        covered |= {each.dockerfile} if each.dockerfile else set()
        start = _start(looked, each.context, each.dockerfile)
        yield Candidate(name, each.context, each.place, image, each, start)
    if taken:
        left += [
            f"{image.file}: no service of the compose file is built from it"
            for image in looked.images
            if image.file not in covered and not _is_other(image)
        ]


def _from_images(looked: Looked, left: list[str]) -> Iterator[Candidate]:
    taken: set[str] = set()
    plain = {image.context for image in looked.images if image.file.endswith("Dockerfile")}
    for image in looked.images:
        base = image.file.rpartition("/")[2]
        if _is_other(image) or (_VARIANT.fullmatch(base) and image.context in plain):
            left.append(f"{image.file}: it looks like no service of this product")
            continue
        own = image.file.rpartition("/")[0] if image.context == "." else image.context
        name = service_name(of_folder(own or ".", looked.name.value), taken)
        taken.add(name)
        start = _start(looked, image.context, image.file)
        yield Candidate(name, image.context, Place(image.file, 1), image, None, start)


def _is_other(image: Image) -> bool:
    return _NO_SERVICE.search(image.file.rpartition("/")[0]) is not None


def _from_starts(looked: Looked) -> Iterator[Candidate]:
    taken: set[str] = set()
    for start in looked.starts:
        if _NO_SERVICE.search(start.folder):
            continue
        name = service_name(of_folder(start.folder, looked.name.value), taken)
        taken.add(name)
        yield Candidate(name, start.folder, start.launch.place, None, None, start)
        if start.folder == ".":
            # What is below it is its own.
            return


def _start(looked: Looked, folder: str, dockerfile: str | None = None) -> Start | None:
    """How what is built from a folder starts: the code beside its Dockerfile, else the folder's."""
    beside = dockerfile.rpartition("/")[0] or "." if dockerfile else folder
    found = [start for start in looked.starts if start.context == folder]
    nearest = [start for start in found if start.folder == beside]
    return next(iter([*nearest, *(start for start in found if start.folder == folder)]), None)


def _not_http(each: Candidate, looked: Looked, tree: Tree) -> str | None:
    """Why it cannot be asked whether it is well; None when it can."""
    if _speaks_grpc(each, looked, tree):
        return "it speaks gRPC, and health is asked over HTTP"
    compose, image = each.compose, each.image
    written = (each.context, image.file if image else "", each.start.folder if each.start else "")
    if any(literal(text) is None for text in written):
        return "its folder has a name that no loop file can hold"
    if compose is not None and (compose.ports or compose.health):
        return None
    if compose is not None and compose.launch is not None and compose.launch.value.port is None:
        return "compose gives it a command of its own, no port and no health check: a worker?"
    if image is not None and (
        image.ports or image.health or (image.launch and image.launch.value.port)
    ):
        return None
    if each.start is not None and each.start.listens:
        return None
    if any(each.owns(route.place.file) for route in looked.routes):
        return None
    if compose is None and each.start is not None:
        return None
    if compose is None and image is not None and image.launch is not None:
        return None
    return "nothing says that it listens: no port, no health check, no route"


def _speaks_grpc(each: Candidate, looked: Looked, tree: Tree) -> bool:
    if any(each.owns(route.place.file) for route in looked.routes):
        return False
    names = ("*.go", "*.py", "*.js", "*.ts", "*.cs", "*.java")
    return any(
        _GRPC.search(tree.text(path))
        for path in list(tree.below(each.context, *names))[:300]
        if each.owns(path) and not is_test(path)
    )

"""A zoo of Dockerfiles, each built for real: the map says what really is in the image."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet
from engine_rig import BASE, real_engine
from image_rig import BUILDKIT, LEGACY, Images, service, source_of, write

from loopctl.builders.context import context_of
from loopctl.builders.copy_map import CopyMap, copy_map
from loopctl.builders.engine_images import EngineImages
from loopctl.builders.provenance import told_by_bases
from loopctl.process import Stop

FILES: Mapping[str, str | tuple[str, int]] = {
    "a.txt": "a",
    "b.txt": "b",
    "c.md": "c",
    "run.sh": ("#!/bin/sh\n", 0o755),
    "empty": "",
    "with space.txt": "space",
    "-dash": "dash",
    "ünïcode/naïve.txt": "unicode",
    "new\nline": "newline",
    "dir/one.py": "one",
    "dir/two.py": ("two", 0o755),
    "dir/sub/deep.py": "deep",
    "dir/sub/lnk": "-> deep.py",
    "other/one.py": "the other one",
    "lnk.txt": "-> a.txt",
    "lnkdir": "-> dir",
    "far/dangling": "-> nowhere",
    "far/outside": "-> /etc/passwd",
    "far/up": "-> ../a.txt",
    ".hidden/.file": "hidden",
    "x[1].txt": "brackets",
}

#: What BuildKit understands; `legacy` those that the old builder must agree on.
ZOO: Mapping[str, str] = {
    "whole": "COPY . /x/",
    "whole by workdir": "WORKDIR /x\nCOPY . .",
    "whole, relative": "WORKDIR /x\nWORKDIR y/z\nCOPY . ./",
    "into the root": "COPY dir /",
    "one file": "COPY a.txt /x",
    "one file into a folder": "COPY a.txt /x/",
    "one file into a folder of before": "WORKDIR /x\nCOPY a.txt /x",
    "one file into a folder that a RUN made": "RUN mkdir /x\nCOPY a.txt /x",
    "one file into a folder of the base": "COPY a.txt /etc",
    "one file in place of another": "COPY a.txt /x/f\nCOPY b.txt /x/f",
    "several": "COPY a.txt b.txt dir /x/",
    "a folder's content": "COPY dir /x/dir",
    "a folder's content, slashes": "COPY dir/ /x\nCOPY ./dir/. /y/\nCOPY /dir/sub /z",
    "folders merged": "COPY dir /x\nCOPY other /x",
    "glob": "COPY *.txt /x/",
    "glob of folders": "COPY d* o* /x/",
    "glob within a folder": "COPY dir/*.py /x/",
    "glob in the middle": "COPY */one.py /x/",
    "glob of everything": "COPY * /x/",
    "glob that finds one": "COPY a*.txt /x",
    "glob of one letter": "COPY ?.txt /x/",
    "glob with a class": "COPY [ab].txt /x/",
    "glob with a negated class": "COPY [^a].txt /x/",
    "json": 'COPY ["with space.txt", "-dash", "/x y/"]',
    "json with a variable": 'ARG N=space\nCOPY ["with $N.txt", "/x/"]',
    "quotes": "COPY \"a.txt\" 'b.txt' /x/",
    "escaped brackets": 'COPY ["x[[]1].txt", "/x/"]',
    "a link to a file": "COPY lnk.txt /x/",
    "a link to a file, renamed": "COPY lnk.txt /x",
    "a link to a folder": "COPY lnkdir /x/",
    "through a link": "COPY lnkdir/sub /x/\nCOPY lnkdir/one.py /y/",
    "links below": "COPY far /x/\nCOPY dir /y",
    "a file over a link": "COPY . /x/\nCOPY b.txt /x/lnk.txt",
    "a file through a link": "COPY . /x/\nCOPY b.txt /x/lnkdir/one.py",
    "a folder through a link": "COPY . /x/\nCOPY other /x/lnkdir",
    "a folder through a link with a slash": "COPY . /x/\nCOPY other /x/lnkdir/",
    "a folder over itself": "COPY dir /x/far\nCOPY far /x/far/",
    "through a link of the base": "RUN mkdir /real && ln -s /real /x\nCOPY dir /x/\n",
    "dots": "COPY ./dir/../a.txt /x/../y/./z/",
    "above the root": "COPY ../../a.txt /../x/",
    "variables": "ARG A=dir\nARG B\nENV C=/x/${B:-none} D=$A\nCOPY $D/ ${C}/${B:+set}/",
    "variables given": "ARG GIVEN=dir\nCOPY ${GIVEN} /x/${GIVEN}",
    "old env": "ENV P /x y\nCOPY a.txt $P/",
    "env of the base": "COPY a.txt /x/${PATH:+yes}/",
    "unset": "COPY a.txt$NOPE /x${NOPE}/",
    "arg within": "ARG V=1\nENV V=2\nCOPY a.txt /x/$V/",
    "escape in a word": r"COPY a\.txt /x\$y/",
    "continued": "COPY a.txt \\\n  # a comment\n  b.txt \\\n\n  /x/",
    "lower case": "copy a.txt /x/\nworkdir /y\nadd b.txt .",
    "add": "ADD a.txt dir /x/",
    "add folder": "ADD dir /x",
    "chown": "COPY --chown=7:7 dir /x/",
    "empty": "COPY empty /x/",
    "dot at the end": "COPY a.txt /x/.",
    "dot folder": "COPY dir /x/.",
    "hidden": "COPY .hidden /x/",
    "volume": "VOLUME /x\nCOPY a.txt /x/",
    "onbuild": "ONBUILD COPY a.txt /nope/\nCOPY b.txt /x/",
    "tabs": "COPY\ta.txt\t /x/",
    "heredoc that is none": "RUN echo '<<EOF'\nCOPY a.txt /x/",
}
BUILDKIT_ONLY: Mapping[str, str] = {
    "chmod": "COPY --chmod=750 dir /x/",
    "chmod above nine bits": "COPY --chmod=4755 dir /x/",
    "several onto one name": "COPY a.txt b.txt /x",
    "glob of nothing": "COPY zz* a.txt /x/",
    "arg over env": "ENV V=1\nARG V=2\nCOPY a.txt /x/$V/",
    "arg given over env": "ENV GIVEN=env\nARG GIVEN\nCOPY a.txt /x/$GIVEN/",
    "arg of nothing under env": "ENV V=env\nARG V\nCOPY a.txt /x/$V/",
    "unicode": 'COPY ["ünïcode", "/x/ü/"]',
    "newline": "COPY new* /x/",
}
#: Whole ones; `final` is what is built.
STAGES: Mapping[str, str] = {
    "from a stage": f"FROM {BASE} AS one\nCOPY dir /d\nFROM {BASE}\nCOPY --from=one /d /x/",
    "from a stage by number": f"FROM {BASE}\nCOPY . /d\nFROM {BASE}\nCOPY --from=0 /d/*.txt /x/",
    "a file from a stage": f"FROM {BASE} AS one\nCOPY dir /d\nFROM scratch\n"
    "COPY --from=one /d/one.py /x",
    "from two": f"FROM {BASE} AS a\nCOPY dir /d\nFROM {BASE} AS b\nCOPY --from=a /d /e\n"
    f"FROM {BASE}\nCOPY --from=b /e/sub /x/\nCOPY --from=a /d/two.py /x/",
    "on a stage": f"FROM {BASE} AS one\nWORKDIR /x\nENV Q=q\nCOPY dir .\nFROM one\nCOPY other $Q/",
    "onbuild of a stage": f"FROM {BASE} AS one\nONBUILD COPY a.txt /x/\nFROM one\nCOPY b.txt /x/",
    "links from a stage": f"FROM {BASE} AS one\nCOPY . /d\nFROM {BASE}\n"
    "COPY --from=one /d/lnkdir /x\nCOPY --from=one /d/lnk.txt /y/",
    "scratch": "FROM scratch\nCOPY a.txt /x\nCOPY dir /d",
    "args before": "ARG WHICH=scratch\nARG D=dir\nFROM $WHICH\nARG D\nCOPY $D /x/",
    "args of a parent": f"FROM {BASE} AS one\nARG D=dir\nFROM one\nCOPY $D /x/$D/",
    "args of a parent, asked for again": f"FROM {BASE} AS one\nARG D=dir\nARG GIVEN\nFROM one\n"
    "ARG D\nARG GIVEN=nope\nCOPY $D /x/$GIVEN/",
    "env of a parent over its args": f"FROM {BASE} AS one\nENV D=dir\nARG D=other\n"
    "COPY $D /y/\nFROM one\nCOPY $D /x/",
    "pattern of a stage": f"FROM {BASE} AS one\nCOPY dir /d\nFROM {BASE}\nCOPY --from=one /d/* /x/",
    "not needed": f"FROM {BASE} AS no\nCOPY . /no\nFROM {BASE} AS yes\nCOPY dir /x",
    "named as another": f"FROM {BASE} AS A\nCOPY dir /d\nFROM {BASE}\nCOPY --from=a /d /x",
    "backtick": f"# escape=`\nFROM {BASE}\nCOPY a.txt `\n b.txt /x/",
    "directives": f"# escape=\\\n\n# c\n\nFROM {BASE}\nCOPY dir /x",
}


#: What is built for every change; the others are as true, and a minute more.
TELLING = frozenset(
    {
        *("whole by workdir", "into the root", "one file into a folder that a RUN made"),
        *("a folder's content, slashes", "folders merged", "glob in the middle"),
        *("glob with a negated class", "links below", "a folder through a link"),
        *("through a link of the base", "variables", "arg over env", "several onto one name"),
        *("from two", "onbuild of a stage", "links from a stage", "args of a parent"),
        *("env of a parent over its args", "args before"),
        *("readmitted", "all but", "deep in the middle"),
    }
)
TELLING_OF_OLD = frozenset({"whole", "links below", "variables"})


def zoo(names: Iterable[str], telling: frozenset[str] = TELLING) -> Sequence[ParameterSet]:
    """Tests by name, slow where they are not among the telling ones."""
    return [pytest.param(name, marks=() if name in telling else pytest.mark.slow) for name in names]


@pytest.fixture(scope="module")
def images() -> Iterator[Images]:
    made = Images(real_engine())
    yield made
    made.remove()
    assert made.containers() == []


@pytest.fixture(scope="module")
def bare(images: Images) -> Mapping[str, tuple[int, bytes | str]]:
    return images.holds(BASE)


def mapped(images: Images, folder: Path, **build: str) -> CopyMap:
    context = context_of(source_of(folder), "Dockerfile")
    spec = service(args={"GIVEN": "other"})
    bases = told_by_bases(EngineImages(images.engine), context.text, spec, Stop(30))
    return copy_map(
        context.text,
        context.sent,
        args={"GIVEN": "other"},
        links=context.links,
        bases=bases,
        is_archive=context.is_archive,
    )


def expected(made: CopyMap, folder: Path, inside: Mapping[str, object]) -> dict[str, object]:
    """What the map says, as the image would have it; an open choice is made by the image."""
    told: dict[str, object] = {}
    for path, placed in made.placed.items():
        real = folder / placed.source
        where = path if placed.inside is None or path in inside else placed.inside
        content = str(real.readlink()) if placed.is_link else real.read_bytes()
        mode = placed.mode
        if mode is not None and mode > 0o777:
            mode &= 0o777  # what 20.10 makes of it
        told[where] = (mode or 0, content)
    return told


def check(images: Images, bare: Mapping[str, object], folder: Path, version: str) -> None:
    context = context_of(source_of(folder), "Dockerfile")
    image = images.build(context, version=version, buildargs='{"GIVEN": "other"}')
    really = {p: f for p, f in images.holds(image).items() if bare.get(p) != f}
    made = mapped(images, folder)
    told = expected(made, folder, really)
    # A link of the base leads elsewhere: the map has the way there as it is written.
    if any(
        "through a link of the base" in step.text or "/real" in step.text for step in made.steps
    ):
        told = {path.replace("/x/", "/real/"): f for path, f in told.items()}
        really = {p: f for p, f in really.items() if p != "/x"}
    assert told == really
    assert made.uncovered == ()


@pytest.mark.parametrize("name", zoo([*ZOO, *BUILDKIT_ONLY]))
def test_the_map_is_what_buildkit_makes(
    images: Images, bare: Mapping[str, object], tmp_path: Path, name: str
) -> None:
    text = {**ZOO, **BUILDKIT_ONLY}[name]
    write(tmp_path, {**FILES, "Dockerfile": f"FROM {BASE}\n{text}\n"})
    check(images, bare, tmp_path, BUILDKIT)


@pytest.mark.parametrize(
    "name", zoo([each for each in ZOO if each != "above the root"], TELLING_OF_OLD)
)
def test_the_map_is_what_the_old_builder_makes(
    images: Images, bare: Mapping[str, object], tmp_path: Path, name: str
) -> None:
    write(tmp_path, {**FILES, "Dockerfile": f"FROM {BASE}\n{ZOO[name]}\n"})
    check(images, bare, tmp_path, LEGACY)


@pytest.mark.parametrize("name", zoo(STAGES))
def test_the_map_follows_stages(
    images: Images, bare: Mapping[str, object], tmp_path: Path, name: str
) -> None:
    write(tmp_path, {**FILES, "Dockerfile": STAGES[name] + "\n"})
    context = context_of(source_of(tmp_path), "Dockerfile")
    image = images.build(context, buildargs='{"GIVEN": "other"}')
    really = {p: f for p, f in images.holds(image).items() if bare.get(p) != f}
    really = {p: f for p, f in really.items() if not p.startswith(("/dev/", "/etc/", "/.docker"))}
    assert expected(mapped(images, tmp_path), tmp_path, really) == really


def test_what_add_unpacks_is_listed_and_not_guessed(images: Images, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("inner"), io.BytesIO(b""))
    text = f"FROM {BASE}\nADD a.tgz plain.gz /x/\n"
    write(tmp_path, {"a.tgz": packed.getvalue(), "plain.gz": "no archive", "Dockerfile": text})
    image = images.build(context_of(source_of(tmp_path), "Dockerfile"))
    made = mapped(images, tmp_path)
    assert "/x/inner" in images.holds(image)
    assert list(made.placed) == ["/x/plain.gz"]
    assert "a.tgz is unpacked" in " ".join(made.uncovered)


IGNORED: Mapping[str, str] = {
    "a name": "a.txt",
    "a folder": "dir",
    "a folder with a slash": "dir/",
    "rooted": "/dir/sub",
    "a glob": "*.txt",
    "a deep glob": "**/*.py",
    "deep in the middle": "**/sub/*",
    "everything below": "dir/**",
    "readmitted": "dir\n!dir/sub/deep.py",
    "all but": "*\n!dir/one.py\n!a.txt",
    "all but a folder": "**\n!dir",
    "last wins": "!a.txt\n*.txt\n!b.txt",
    "comments and blanks": "# a.txt\n\n  b.txt  \n #c.md",
    "classes": "[ab].txt\nx\\[1\\].txt",
    "dots": "./a.txt\ndir/../b.txt",
    "one letter": "?.txt",
    "hidden": ".*",
    "readmitted by a glob": "dir/*\n!dir/*.py",
}


@pytest.mark.parametrize("name", zoo(IGNORED))
def test_what_is_ignored_is_what_the_docker_client_leaves_out(
    images: Images, bare: Mapping[str, object], tmp_path: Path, name: str
) -> None:
    """BuildKit's own client is the judge: it sends the folder, and reads `.dockerignore` itself."""
    client = Path("/usr/bin/docker")
    if not client.exists():
        pytest.skip("no docker client of the engine's age at /usr/bin/docker")
    # The client of 2022 lets names with a newline through its wildcards; later ones do not.
    plain = {path: given for path, given in FILES.items() if "\n" not in path}
    write(
        tmp_path,
        {
            **plain,
            "Dockerfile": "FROM scratch\nCOPY . /x/\n",
            ".dockerignore": IGNORED[name] + "\n",
        },
    )
    tag = f"loopctl-test-{images.mark}:{len(images.made)}"
    label = f"dev.loopctl.test.provenance={images.mark}"
    subprocess.run(
        [str(client), "build", "-q", "--no-cache", "--label", label, "-t", tag, str(tmp_path)],
        check=True,
        capture_output=True,
        env={**os.environ, "DOCKER_BUILDKIT": "1", "DOCKER_HOST": images.engine.address},
    )
    images.made.append(tag)
    really = {p[3:] for p in images.holds(tag) if p.startswith("/x/")}
    context = context_of(source_of(tmp_path), "Dockerfile")
    assert {file.path for file in context.files} == really

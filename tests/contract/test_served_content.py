"""What a running container may do to the files that it was proven to hold; a real engine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_rig import BASE, real_engine
from image_rig import MARK, Images, source_of, write
from slow import but_slow

from loopctl.builders.context import context_of
from loopctl.engine.changes import paths_of
from loopctl.platforms.docker_engine.served import served_otherwise
from loopctl.process import Stop

DOCKERFILE = f"""FROM {BASE}
RUN mkdir -p /evil/app /real/app && echo evil > /evil/app/chat.py && ln -s /real /linked
COPY . /srv/app/
COPY chat.py /etc/app/chat.py
COPY chat.py /linked/app/
COPY chat.py /kept/
VOLUME /kept
VOLUME /srv/app/data
VOLUME /srv/app/spool
"""
FILES = {
    "chat.py": "print(1)\n",
    "pkg/__init__.py": "",
    "pkg/inner.py": "",
    "data/rules.json": "{}",
    "data/rules.py": "",
    "spool.py": "",
    "Dockerfile": DOCKERFILE,
}
ROOTS = ("/srv/app", "/etc/app/chat.py", "/linked/app/chat.py", "/kept")


@pytest.fixture(scope="module")
def images() -> Iterator[Images]:
    made = Images(real_engine())
    yield made
    made.remove()


@pytest.fixture(scope="module")
def image(images: Images, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = write(tmp_path_factory.mktemp("app"), FILES)
    return images.build(context_of(source_of(folder), "Dockerfile"))


@contextlib.contextmanager
def running(images: Images, image: str) -> Iterator[str]:
    with images.engine.api(Stop(60), 60) as api:
        made = str(api.create_container(image, ["sleep", "99"], labels={MARK: images.mark})["Id"])
        try:
            api.start(made)
            yield made
        finally:
            api.remove_container(made, v=True, force=True)


def told(images: Images, image: str, script: str, roots: tuple[str, ...] = ROOTS) -> list[str]:
    """What is told of a container that has run this."""
    with running(images, image) as container:
        with images.engine.api(Stop(60), 60) as api:
            run = api.exec_create(container, ["sh", "-ec", script], user="0")["Id"]
            printed = api.exec_start(run)
            assert api.exec_inspect(run)["ExitCode"] == 0, printed
        found = served_otherwise(images.engine, container, image, roots, Stop(60))
    assert images.containers() == []
    return list(found)


BROKEN = {
    "rm -rf /etc/app; ln -s /evil/app /etc/app": ["/etc/app is no folder any more"],
    "rm -rf /etc/app": ["/etc/app is deleted"],
    "rm -rf /etc/app; cp -a /evil/app /etc/": ["/etc/app/chat.py is changed"],
    "rm -rf /etc/app; echo file > /etc/app": ["/etc/app is no folder any more"],
    "mv /real /gone; ln -s /evil /real": ["/real is no folder any more"],
    "echo 2 > /real/app/chat.py": ["/real/app/chat.py is changed"],
    "rm /linked; ln -s /evil /linked": ["/linked is no folder any more"],
    "mkdir /srv/app/chat; : > /srv/app/chat/__init__.py": [
        "/srv/app/chat/__init__.py stands in front of /srv/app/chat.py"
    ],
    ": > /srv/app/chat.cpython-311-x86_64-linux-gnu.so": [
        "/srv/app/chat.cpython-311-x86_64-linux-gnu.so stands in front of /srv/app/chat.py"
    ],
    ": > /etc/app/chat.so": ["/etc/app/chat.so stands in front of /etc/app/chat.py"],
    ": > /srv/app/pkg/inner.pyc": [
        "/srv/app/pkg/inner.pyc stands in front of /srv/app/pkg/inner.py"
    ],
    ": > /srv/app/pkg/__init__.abi3.so": [
        "/srv/app/pkg/__init__.abi3.so stands in front of /srv/app/pkg/__init__.py"
    ],
    "mkdir /p; : > /p/__init__.py; ln -s /p /srv/app/chat": [
        "/srv/app/chat stands in front of /srv/app/chat.py"
    ],
    "echo '[]' > /srv/app/data/rules.json": ["/srv/app/data/rules.json is changed"],
    "rm /srv/app/data/rules.json": ["/srv/app/data/rules.json is deleted"],
    "chmod 700 /kept/chat.py": ["/kept/chat.py is changed"],
    "rm /kept/chat.py; ln -s /evil/app/chat.py /kept/chat.py": ["/kept/chat.py is changed"],
    "mkdir /kept/chat; : > /kept/chat/__init__.py": [
        "/kept/chat/__init__.py stands in front of /kept/chat.py"
    ],
    ": > /srv/app/spool/__init__.py": [
        "/srv/app/spool/__init__.py stands in front of /srv/app/spool.py"
    ],
}

OWN_BUSINESS = {
    "nothing": "true",
    "a cache of Python's own": "mkdir -p /srv/app/__pycache__; : > /srv/app/__pycache__/chat.pyc",
    "data": "mkdir /srv/app/chat; : > /srv/app/chat/log.txt; mkdir /srv/app/state; : > /srv/app/x",
    "new code": ": > /srv/app/more.py; : > /srv/app/more.so; : > /srv/app/pkg.so.bak",
    "beside what is above": ": > /srv/new; chmod 711 /srv; : > /etc/other; : > /real/other",
    "files in a volume": "echo 1 > /kept/db; mkdir /srv/app/data/d; : > /srv/app/spool/mail",
    "links": "ln -s /etc /srv/app/chat; ln -s nowhere /srv/app/spool2",
}


#: One of each kind; the others are for a night.
QUICK = frozenset(
    [*list(BROKEN)[:1], *list(BROKEN)[5:6], *list(BROKEN)[8:11], *list(BROKEN)[14:15]]
)


@pytest.mark.parametrize("script", but_slow(BROKEN, QUICK))
def test_a_container_that_runs_other_files_is_told(images: Images, image: str, script: str) -> None:
    assert told(images, image, script) == BROKEN[script]


@pytest.mark.parametrize("name", OWN_BUSINESS)
def test_what_a_service_adds_is_its_own_business(images: Images, image: str, name: str) -> None:
    assert told(images, image, OWN_BUSINESS[name]) == []


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("rm -rf /srv; ln -s /evil /srv", "/srv is no folder any more"),
        ("rm -rf /srv", "/srv is deleted"),
        pytest.param(
            "rm -rf /srv; echo file > /srv",
            "/srv is no folder any more",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_folder_above_all_source_that_is_gone_is_told(
    images: Images, tmp_path: Path, script: str, expected: str
) -> None:
    text = f"FROM {BASE}\nRUN mkdir -p /evil/app\nCOPY chat.py /srv/app/\n"
    write(tmp_path, {"chat.py": "", "Dockerfile": text})
    made = images.build(context_of(source_of(tmp_path), "Dockerfile"))
    assert told(images, made, script, ("/srv/app",)) == [expected]


def test_where_a_path_leads_is_followed_to_its_end(images: Images, image: str) -> None:
    with running(images, image) as container, paths_of(images.engine, container, Stop(30)) as paths:
        assert paths.real("/linked/app/chat.py") == "/real/app/chat.py"
        assert paths.real("/srv/nowhere/x") == "/srv/nowhere/x"
        assert paths.is_link("/linked")
        assert not paths.is_folder("/linked")
        assert paths.is_folder("/linked/app")
        assert not paths.is_there("/srv/app/chat.py/x")

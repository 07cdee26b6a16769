"""A base image without a network: Debian's own Python, busybox, and what they link to.

With the packages that `examples/chat` needs, where LOOPCTL_BASE_PACKAGES names a folder that has
them: its Dockerfile then needs neither pip nor an index.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlencode

from engines import packages
from engines.asked import Asked
from engines.client import EngineClient
from engines.packages import PYTHON

NAME = "loopctl-base:local"
PACKAGES = "LOOPCTL_BASE_PACKAGES"
_EXAMPLES = ("h11", "websockets")
_RECORD = "base-image.json"
_CHANGES = ["ENV PATH=/usr/local/bin:/usr/bin:/bin", 'CMD ["python"]']
_COMMANDS = """
cat chmod chown cp dd du echo env false find grep head id kill ln ls mkdir mv nc ps rm rmdir sed sh
sleep sort stat tail tar test touch tr true uname wc yes
"""
_FOLDERS = {"tmp": 0o1777, "etc": 0o755, "root": 0o700, "app": 0o755}
_PASSWD = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n"
# Half of the library's bytes; no service needs them.
_LEFT_OUT = re.compile(
    r"/(test|tests|idlelib|ensurepip|lib2to3|turtledemo|tkinter|pydoc_data|config-\d[^/]*)(/|$)"
)
_ASK_PYTHON = """
import json, os, sys, sysconfig
print(json.dumps([os.path.realpath(sys.executable), sysconfig.get_path("stdlib")]))
"""


def up(asked: Asked) -> str:
    """See that the engine has it; where it came from, in words."""
    client = EngineClient(asked)
    if client.image_id(NAME) is not None:
        return "was there already"
    packages.provide("base image")
    with tempfile.TemporaryFile() as archive:
        with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as root:
            _fill(root)
            _put_packages(root, asked.environ.get(PACKAGES))
        size = archive.tell()
        archive.seek(0)
        repo, _, tag = NAME.partition(":")
        query = urlencode({"repo": repo, "tag": tag, "changes": _CHANGES}, doseq=True)
        made = client.import_image(query, archive)
    asked.folder.mkdir(parents=True, exist_ok=True)
    (asked.folder / _RECORD).write_text(json.dumps({"engine": asked.engine, "id": made}))
    return f"made, {size >> 20} MiB"


def down(asked: Asked) -> str | None:
    """Remove it from an engine that is not ours; None where there is nothing to remove, or where
    its name has been given to another since.
    """
    record = asked.folder / _RECORD
    try:
        made = json.loads(record.read_text())
    except (OSError, ValueError):
        return None
    there = Asked(asked.folder, made["engine"], asked.registry, asked.environ)
    client, said = EngineClient(there), None
    if client.answers() and client.image_id(NAME) == made["id"]:
        kept = client.remove_image(NAME)
        said = f"{NAME} stays: {kept}" if kept else f"removed {NAME} from {made['engine']}"
    record.unlink()
    return said


def _fill(root: tarfile.TarFile) -> None:
    command, library = (Path(path) for path in json.loads(_output(str(PYTHON), "-c", _ASK_PYTHON)))
    busybox = Path(_output("sh", "-c", "command -v busybox").strip())
    version = command.name
    _put_files(root, [command, *_tree(library)])
    _put_libraries(root, [command, busybox, *library.glob("lib-dynload/*.so")])
    root.add(busybox.resolve(), "bin/busybox", filter=_by_root)
    for name in _COMMANDS.split():
        _link(root, f"bin/{name}", "busybox")
    for name in ("python3", "python"):
        _link(root, f"usr/bin/{name}", version)
    for name, mode in _FOLDERS.items():
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        root.addfile(entry)
    entry = tarfile.TarInfo("etc/passwd")
    entry.size = len(_PASSWD)
    root.addfile(entry, io.BytesIO(_PASSWD))


def _put_packages(root: tarfile.TarFile, folder: str | None) -> None:
    """Where Debian's Python looks for packages; pure ones, since it is another build of Python."""
    for name in _EXAMPLES if folder else ():
        package = Path(folder or "") / name
        for path in sorted(package.rglob("*.py")):
            place = Path("usr/lib/python3/dist-packages") / path.relative_to(package.parent)
            root.add(path, str(place), recursive=False, filter=_by_root)


def _tree(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if not _LEFT_OUT.search(str(path))]


def _put_files(root: tarfile.TarFile, paths: Iterable[Path]) -> None:
    for path in paths:
        root.add(path, str(path).lstrip("/"), recursive=False, filter=_by_root)


def _put_libraries(root: tarfile.TarFile, programs: Iterable[Path]) -> None:
    """Under the names by which the loader looks for them, each with its content."""
    found: set[str] = set()
    for program in programs:
        # It fails for one that is linked statically, and there is nothing to add then.
        ran = subprocess.run(
            ["ldd", str(program)], capture_output=True, text=True, check=False, timeout=30
        )
        found.update(re.findall(r"(/\S+) \(0x", ran.stdout))
    for name in sorted(found):
        root.add(Path(name).resolve(), name.lstrip("/"), filter=_by_root)


def _link(root: tarfile.TarFile, name: str, to: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, to
    root.addfile(entry)


def _by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    # Python's compiled files name their source's time in whole seconds.
    entry.mtime = int(entry.mtime)
    return entry


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout

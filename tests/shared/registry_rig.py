"""A registry of a test's own, which it may fill, forbid to write, and kill."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from engine_rig import absent

USER = "oauth2accesstoken"
WORD = "s3cret-word"


@dataclass
class Registry:
    """`host:port`, and the process that answers there."""

    address: str
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def own_registry(
    *, read_only: bool = False, megabytes: int | None = None, wants_login: bool = False
) -> Iterator[Registry]:
    """Debian's docker-registry on a free port; `megabytes` of disk are all that it has.

    `wants_login`: it lets nobody in but `USER` with `WORD`.
    """
    program = shutil.which("docker-registry")
    if program is None:
        absent("docker-registry is not installed")
    folder = Path(tempfile.mkdtemp(prefix="lc-registry-"))
    data = folder / "data"
    data.mkdir()
    if megabytes is not None:
        _mount(data, megabytes)
    address = f"127.0.0.1:{_free_port()}"
    config = folder / "config.yml"
    config.write_text(
        "version: 0.1\n"
        "log: {level: error}\n"
        "storage:\n"
        f"  filesystem: {{rootdirectory: {data}}}\n"
        f"  maintenance: {{readonly: {{enabled: {str(read_only).lower()}}}}}\n"
        f"http: {{addr: '{address}'}}\n" + (_kept_for(folder) if wants_login else "")
    )
    process = subprocess.Popen(
        [program, "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _await(address, process)
        yield Registry(address, process)
    finally:
        process.kill()
        process.wait()
        if megabytes is not None:
            subprocess.run(["umount", str(data)], check=True)
        shutil.rmtree(folder)


def _kept_for(folder: Path) -> str:
    """`USER` and the bcrypt hash of `WORD`."""
    hashed = "$2b$04$TuFZpcqs/vfnm7F4fg0OIe4zjlOmW2d2Wd4y3UUYl2YNf0KWrsMBK"
    users = folder / "users"
    users.write_text(f"{USER}:{hashed}\n")
    return f"auth: {{htpasswd: {{realm: tests, path: {users}}}}}\n"


def _mount(folder: Path, megabytes: int) -> None:
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    done = subprocess.run(["mount", *options], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a full disk needs the right to mount one: {done.stderr.strip()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the registry ended with {process.returncode}"
        try:
            with urllib.request.urlopen(f"http://{address}/v2/", timeout=1):
                return
        except urllib.error.HTTPError as error:
            error.close()
            return  # it wants a login
        except OSError:
            pass
        time.sleep(0.02)
    raise AssertionError(f"no registry at {address} after 10 s")

"""What Debian packages this machine still needs."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from engines.trouble import CannotError

_PATIENCE_S = 900
PYTHON = Path("/usr/bin/python3")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def _whole_python() -> bool:
    """`python3-minimal` has the command, and not the library that a server needs."""
    if not PYTHON.exists():
        return False
    asking = [str(PYTHON), "-c", "import http.server, json, ssl"]
    return subprocess.run(asking, capture_output=True, check=False, timeout=30).returncode == 0


#: For each part: the packages it needs, and how to see that one is there already.
NEEDED: dict[str, dict[str, Callable[[], object]]] = {
    "engine": {
        "docker.io": lambda: shutil.which("dockerd"),
        "iptables": lambda: shutil.which("iptables"),
        "iproute2": lambda: shutil.which("ip"),
        "ca-certificates": CERTIFICATES.exists,
    },
    "registry": {"docker-registry": lambda: shutil.which("docker-registry")},
    "base image": {
        "busybox-static": lambda: shutil.which("busybox"),
        "python3": _whole_python,
    },
    # What tests are held against comes as an npm package.
    "npm": {"npm": lambda: shutil.which("npm")},
}


def provide(part: str) -> None:
    """Install what `part` lacks; raises `CannotError` where that cannot be."""
    lacking = [name for name, there in NEEDED[part].items() if not there()]
    if not lacking:
        return
    names = " ".join(lacking)
    if shutil.which("apt-get") is None:
        raise CannotError(
            f"the {part} needs what Debian calls {names}, and this is no Debian",
            "install the same from your distribution, or start engine and registry yourself",
        )
    if os.geteuid() != 0:
        raise CannotError(
            f"the {part} needs {names}, and only root may install that",
            f"sudo apt-get install --no-install-recommends {names}",
        )
    sys.stderr.write(f"installing {names}\n")
    _update()
    said = _apt("install", "--yes", "--no-install-recommends", *lacking)
    still = [name for name in lacking if not NEEDED[part][name]()]
    if still:
        raise CannotError(f"apt-get could not install {' '.join(still)}:\n{said}")
    if "docker-registry" in lacking:
        _no_open_registry()


@functools.cache
def _update() -> None:
    """Once: without its lists a bare machine knows no package.

    A mirror that is down need not be one of those wanted: installing will tell.
    """
    _apt("update")


def _apt(*words: str) -> str:
    """Run it without a question; the end of what it said."""
    command = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", *words]
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return _run(command, environ)


def _run(command: Sequence[str], environ: dict[str, str]) -> str:
    ran = subprocess.run(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_PATIENCE_S,
        check=False,
    )
    return "\n".join(ran.stdout.decode(errors="replace").splitlines()[-8:])


def _no_open_registry() -> None:
    """Debian's own service would listen on every address of the machine, without a login."""
    if Path("/run/systemd/system").is_dir():
        _run(["systemctl", "disable", "--now", "docker-registry"], dict(os.environ))

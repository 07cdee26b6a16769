"""A machine of a test's own: its processes, network, /run and mounts are nobody else's.

An engine that is started wrongly can take another one's bridge away. So the tests of `make engines`
start all of theirs in name spaces, which end with the test and everything in them.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from engine_rig import absent

TOOLS: Final = Path(__file__).resolve().parents[2] / "tools"
_INTERPRETER: Final = sys.executable
# A shell, because the first process of a machine has to reap the others.
_INIT: Final = (
    "mount -t tmpfs tmpfs /run && mkdir /run/lock && ip link set lo up && echo ready"
    " && while :; do sleep 1; done"
)


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str
    seconds: float

    def __str__(self) -> str:
        return f"exit {self.code} after {self.seconds:.1f} s\n{self.out}\n--- stderr\n{self.err}"


@dataclass(frozen=True, slots=True)
class Machine:
    """`folder` is on the disk, and short: it holds sockets."""

    init: int
    folder: Path

    @property
    def engines_dir(self) -> Path:
        return self.folder / "engines"

    def run(self, *command: str, **environ: str) -> Ran:
        began = time.monotonic()
        ran = subprocess.run(
            ["nsenter", "-t", str(self.init), "-n", "-m", "-p", *command],
            env={"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr, time.monotonic() - began)

    def did(self, *command: str, **environ: str) -> str:
        """What it printed; it must have worked."""
        ran = self.run(*command, **environ)
        assert ran.code == 0, f"{command}: {ran}"
        return ran.out.strip()

    def engines(self, what: str, **environ: str) -> Ran:
        """`make engines` (up) or `make engines-down` (down), with a folder of this machine's."""
        told = {"LOOPCTL_ENGINES_DIR": str(self.engines_dir), "PYTHONPATH": str(TOOLS), **environ}
        return self.run(_INTERPRETER, "-B", "-m", "engines", what, **told)

    def docker(self, *words: str, host: str = "unix:///var/run/docker.sock") -> str:
        return self.did("/usr/bin/docker", "-H", host, *words)

    def processes(self) -> list[str]:
        """The commands of all that run here, but for those that keep and ask the machine."""
        lines = self.did("ps", "-eo", "stat=,args=").splitlines()
        living = [args for stat, args in (line.split(None, 1) for line in lines) if stat[0] != "Z"]
        return [args for args in living if not args.startswith(("sh -c mount", "ps ", "sleep 1"))]

    def network(self) -> tuple[list[str], str]:
        """The names of the interfaces, and every rule but the counters."""
        links = json.loads(self.did("ip", "-j", "link"))
        rules = [self.did("iptables", "-t", table, "-S") for table in ("filter", "nat")]
        return sorted(link["ifname"] for link in links), "\n".join(rules)

    def start_engine(self, name: str) -> str:
        """An engine of somebody else's, on `docker0`, as Debian would start it; its address."""
        place = self.folder / name
        place.mkdir()
        flags = [f"--data-root={place}/data", f"--exec-root={place}/exec", f"--pidfile={place}/pid"]
        command = ["dockerd", f"--host=unix://{place}/sock", *flags]
        self.did("sh", "-c", f"setsid {' '.join(command)} >{place}/log 2>&1 </dev/null &")
        address = f"unix://{place}/sock"
        _until(lambda: self.run("/usr/bin/docker", "-H", address, "version").code == 0)
        return address


@contextlib.contextmanager
def a_machine() -> Iterator[Machine]:
    """One that has nothing but the packages of this one; it ends with all that runs on it."""
    _needs("dockerd", "docker-registry", "unshare", "nsenter", "ip", "iptables", "ps")
    folder = Path(tempfile.mkdtemp(prefix="lc-machine-", dir="/tmp"))
    spaces = ["--net", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"]
    keeper = subprocess.Popen(["unshare", *spaces, "sh", "-c", _INIT], stdout=subprocess.PIPE)
    try:
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == b"ready\n", "the name spaces could not be made"
        [init] = Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children").read_text().split()
        yield Machine(int(init), folder)
    finally:
        keeper.send_signal(signal.SIGKILL)
        keeper.communicate(timeout=20)
        _until(lambda: _removed(folder))


def _removed(folder: Path) -> bool:
    """The mounts go with the last process, a moment after it."""
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def _needs(*commands: str) -> None:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    missing = [command for command in commands if shutil.which(command, path=path) is None]
    if missing:
        absent(f"this machine has no {', '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("only root may make a machine of name spaces")


def _until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)

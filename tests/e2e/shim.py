"""Faults that are the world's: a broken device, a clock that is set. See `shim.c`."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from rig import Project

SOURCE = Path(__file__).with_name("shim.c")


@dataclass(frozen=True, slots=True)
class Shim:
    """The library, and the files by which a test says what is wrong, at any moment."""

    library: Path
    disk: Path
    clock: Path

    @staticmethod
    def built(place: Path) -> Shim:
        """Compile it; skips the test where there is no compiler."""
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("a broken device and a wrong clock need a C compiler")
        library = place / "shim.so"
        flags = ("-shared", "-fPIC", "-O1", "-Wall", "-Werror")
        command = [compiler, *flags, "-o", str(library), str(SOURCE)]
        subprocess.run(command, check=True, timeout=60)
        return Shim(library, place / "disk", place / "clock")

    @property
    def env(self) -> Mapping[str, str]:
        """What a process is given to meet these faults."""
        return {
            "LD_PRELOAD": str(self.library),
            "SHIM_DISK": str(self.disk),
            "SHIM_CLOCK": str(self.clock),
        }

    def breaks(self, part: str, number: int = errno.EIO) -> None:
        """From now on the files whose path holds `part` take nothing more."""
        scratch = self.disk.with_suffix(".new")
        scratch.write_text(f"{number} {part}\n")
        scratch.replace(self.disk)

    def mends(self) -> None:
        """All files take what is written again."""
        self.disk.unlink(missing_ok=True)

    def sets_clock(self, seconds: int) -> None:
        """The time of day is off by so many seconds."""
        scratch = self.clock.with_suffix(".new")
        scratch.write_text(f"{seconds}\n")
        scratch.replace(self.clock)

    def hosts(self, project: Project) -> None:
        """Start the environment's host, which keeps nothing of a run's environment, with it."""
        command = [sys.executable, "-P", "-m", "loopctl.platforms.host"]
        subprocess.run(
            [*command, str(project.root), "local", str(project.runs_dir)],
            cwd="/",
            env={**project.env, **self.env},
            check=True,
            timeout=20,
            capture_output=True,
        )

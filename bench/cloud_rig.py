"""The emulated Cloud Run of the bench: started, asked which calls it had, and gone afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from bench.project import ROOT, environ

PROJECT, REGION = "bench", "us-central1"


@dataclass(frozen=True, slots=True)
class CloudRun:
    """A running emulator; `grpc` and `rest` are its endpoints."""

    grpc: str
    rest: str
    process: subprocess.Popen[str]

    def calls(self) -> list[tuple[float, str]]:
        """Time of day and method of those since this was asked last."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("calls\n")
        self.process.stdin.flush()
        return [(at, method) for at, method in json.loads(self.process.stdout.readline())]


@contextmanager
def cloud_run(
    kind: Literal["process", "docker"], what: Mapping[str, Any], reads: int | None = None
) -> Iterator[CloudRun]:
    """One whose images or secrets are `what`, as `bench.cloud_emulator` says."""
    granted = [] if reads is None else [str(reads)]
    with subprocess.Popen(
        [sys.executable, "-m", "bench.cloud_emulator", kind, json.dumps(what), *granted],
        cwd=ROOT,
        env={**environ(), "PYTHONPATH": str(ROOT / "tests")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            grpc, rest = process.stdout.readline().split()
            yield CloudRun(grpc, rest, process)
            process.communicate(timeout=60)
        finally:
            process.kill()

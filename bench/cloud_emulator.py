"""Cloud Run in a process of its own, which tells what was asked of it.

`python -m bench.cloud_emulator process|docker WHAT [READS]` prints its gRPC and its REST endpoint.
For each line of its standard input it prints, as JSON, the calls since the line before, each with
the time of day and the method; it ends with its input. For processes `WHAT` is a JSON object of
what images run: `{"IMAGE": {"argv": […], "cwd": "…", "env": {…}}}`; for containers one of secrets'
values. `READS` of the logs are granted in a minute, without it as many as Google does by default.
It needs `tests` on its path, where the emulator lives.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from emulator.run_runtime import Runtime
from emulator.run_runtime_process import ProcessRuntime, Program
from emulator.server import Emulator

_PROJECT, _REGION = "bench", "us-central1"


def _serve(runtime: Runtime, secrets: dict[str, str], reads: int | None) -> None:
    with Emulator(_PROJECT, _REGION, runtime=runtime) as emulator:
        if reads is not None:
            emulator.read_quota.limit = reads
        emulator.secrets.update({name: {"1": value} for name, value in secrets.items()})
        print(emulator.grpc_endpoint, emulator.rest_endpoint, flush=True)
        told = 0
        for _ in sys.stdin:
            calls = emulator.calls[told:]
            told += len(calls)
            print(json.dumps([[each.at, each.method] for each in calls]), flush=True)


def _programs(images: dict[str, Any]) -> dict[str, Program]:
    return {
        image: Program(tuple(each["argv"]), Path(each["cwd"]), each["env"])
        for image, each in images.items()
    }


def _main(kind: str, what: str, reads: str = "") -> None:
    granted = int(reads) if reads else None
    if kind == "process":
        _serve(ProcessRuntime(_programs(json.loads(what))), {}, granted)
        return
    from emulator.run_runtime_docker import DockerRuntime  # noqa: PLC0415

    _serve(DockerRuntime(), json.loads(what), granted)


if __name__ == "__main__":
    _main(*sys.argv[1:])

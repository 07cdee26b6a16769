"""The emulator by itself, for people: `PYTHONPATH=tests python -m emulator --help`."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys
import threading
from pathlib import Path

from emulator.run_runtime import Runtime
from emulator.run_runtime_process import ProcessRuntime, Program
from emulator.server import Emulator


def main() -> int:
    """Serve until SIGINT or SIGTERM."""
    asked = _arguments()
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    with Emulator(
        asked.project,
        asked.region,
        runtime=_runtime(asked.runtime, asked.programs),
        time_scale=asked.time_scale,
        grpc_port=asked.grpc_port,
        rest_port=asked.rest_port,
    ) as emulator:
        for name, _, value in (given.partition("=") for given in asked.secret):
            emulator.secrets[name] = {"latest": value, "1": value}
        print(f"gRPC {emulator.grpc_endpoint}")
        print(f"REST {emulator.rest_endpoint}", flush=True)
        over.wait()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("emulator", description="Cloud Run on this machine.")
    parser.add_argument("--project", default="p")
    parser.add_argument("--region", default="us-central1")
    parser.add_argument("--runtime", choices=("docker", "process"), default="docker")
    parser.add_argument(
        "--programs", type=Path, help='for processes: a JSON file, {"IMAGE": "COMMAND LINE"}'
    )
    parser.add_argument(
        "--secret", action="append", default=[], metavar="NAME=VALUE", help="may be given often"
    )
    parser.add_argument("--time-scale", type=float, default=1.0, help="of probes and timeouts")
    parser.add_argument("--grpc-port", type=int, default=0)
    parser.add_argument("--rest-port", type=int, default=0)
    return parser.parse_args()


def _runtime(kind: str, programs: Path | None) -> Runtime:
    if kind == "docker":
        from emulator.run_runtime_docker import DockerRuntime  # noqa: PLC0415

        return DockerRuntime()
    told = json.loads(programs.read_text("utf-8")) if programs is not None else {}
    return ProcessRuntime(
        {image: Program(tuple(shlex.split(line)), Path.cwd()) for image, line in told.items()}
    )


if __name__ == "__main__":
    sys.exit(main())

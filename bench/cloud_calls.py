"""What a run on Cloud Run asks of the API

`loopctl run` of one service and one suite, by `candidate` on a service that is there and serves,
over gRPC: once green, once with a suite that fails, so that the candidate is taken away again. The
emulator counts what it is asked: calls of the Admin API, and reads of the logs, whose quota is 60 a
minute by default; both for the whole command, from its lease to its reports. Beside each number are
the methods.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator

from bench.cloud_rig import PROJECT, REGION, CloudRun, cloud_run
from bench.project import Project, project
from bench.table import Row
from bench.tiny import SERVICE, SUITE

PART = "q"
_READS = "ListLogEntries"
_IMAGES = tuple(f"registry.example.test/apps/web@sha256:{n:064x}" for n in range(3))


def rows() -> Iterator[Row]:
    """A first run, which is not counted, a green one and a red one."""
    with project("asked", "staging") as made:
        made.write("web/service.py", SERVICE)
        env = {"MOMENT": str(made.folder / "moment"), "AFTER": "0.5", "CRASH": ""}
        program = {
            "argv": [sys.executable, "-S", "service.py"],
            "cwd": str(made.folder / "web"),
            "env": env,
        }
        with cloud_run("process", dict.fromkeys(_IMAGES, program)) as cloud:
            for image, name, code in zip(_IMAGES, ("", "green", "red"), (0, 0, 1), strict=True):
                write_loop(made, cloud, image, red=code != 0)
                made.loopctl("run", code=code)
                calls = Counter(method for _, method in cloud.calls())
                if name:
                    yield from _rows(name, calls)


def _rows(name: str, calls: Counter[str]) -> Iterator[Row]:
    run = {method: count for method, count in calls.items() if method != _READS}
    beside = ", ".join(f"{count} {method}" for method, count in Counter(run).most_common())
    yield Row(PART, f"calls of the Admin API, a {name} run", str(sum(run.values())), beside)
    yield Row(PART, f"reads of the logs, a {name} run", str(calls[_READS]))


def write_loop(made: Project, cloud: CloudRun, image: str, *, red: bool) -> None:
    """The loop of one service, which is that image, and one suite."""
    test = SUITE.format(tests=3)
    made.write("tests/test_web.py", test.replace('== b"ok"', '!= b"ok"') if red else test)
    document = {
        "version": 1,
        "name": made.loop,
        "environments": {
            made.environment: {
                "platform": "cloud-run",
                "project": PROJECT,
                "region": REGION,
                "endpoint": cloud.grpc,
            }
        },
        "services": {
            "web": {
                "image": image,
                "provenance": "none",
                "health": {"path": "/health", "stable_for": "0s", "timeout": "30s"},
            }
        },
        "suites": [
            {
                "id": "smoke",
                "priority": "P1",
                "kind": "pytest",
                "run": "tests -p no:cacheprovider",
                "cwd": "..",
                "env": {"BASE_URL": "${services.web.url}"},
                "timeout": {"suite": "5m", "test": "30s"},
                "protects": "web",
                "evidence": {"require": "observed", "target": ["web"]},
            }
        ],
    }
    made.write(f"loops/{made.loop}.yaml", json.dumps(document))

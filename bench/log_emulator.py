"""The emulator of Cloud Logging in a process of its own, with so many lines of one revision.

`python -m bench.log_emulator grpc|rest ENTRIES` prints its port once they are there, and ends with
its standard input. It needs `tests` on its path, where the emulator lives.
"""

from __future__ import annotations

import sys
import time

from bench.log_reading import PROJECT, REGION, REVISION, SERVICE
from emulator.dispatch import Dispatcher
from emulator.faults import Faults
from emulator.grpc_server import GrpcServer
from emulator.log_pages import Paging
from emulator.log_quota import ReadQuota
from emulator.log_rpcs import log_rpcs
from emulator.log_store import Entry, LogStore
from emulator.rest import RestServer

_AGE_S = 600
_APART_NS = 1_000_000
_BATCH = 5000


def _serve(transport: str, entries: int) -> None:
    store = LogStore(PROJECT)
    store.ingestion(0, 0)
    began = time.time_ns() - _AGE_S * 1_000_000_000
    for first in range(0, entries, _BATCH):
        batch = []
        for number in range(first, min(entries, first + _BATCH)):
            entry = Entry(log_name=f"projects/{PROJECT}/logs/run.googleapis.com%2Fstdout")
            entry.resource.type = "cloud_run_revision"
            entry.resource.labels.update(
                service_name=SERVICE, revision_name=REVISION, location=REGION, project_id=PROJECT
            )
            entry.labels["instanceId"] = "0069c7a98877" * 8
            entry.text_payload = f"INFO:     10.0.0.7:{number % 60000} - GET /rooms/{number} 200 OK"
            entry.timestamp.FromNanoseconds(began + number * _APART_NS)
            batch.append(entry)
        store.write(batch)
    rpcs = log_rpcs(store, quota=ReadQuota(1_000_000), paging=Paging.full())
    dispatcher = Dispatcher(rpcs, Faults())
    server = GrpcServer(dispatcher) if transport == "grpc" else RestServer(dispatcher)
    print(server.port, flush=True)
    sys.stdin.read()
    server.close()


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))

"""How long-running operations are waited for: by few calls, and never longer than a stop allows."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import grpc  # type: ignore[import-untyped]
import pytest
from google.cloud.run_v2 import Service

from emulator.faults import Fault
from emulator.rpc import RpcFault
from emulator.run_runtime_process import ProcessRuntime
from emulator.server import Emulator
from loopctl.errors import Stopped
from loopctl.model.plan import CloudRunPlace
from loopctl.platforms.cloud_run.api import Api
from loopctl.platforms.cloud_run.clients import Clients
from loopctl.platforms.cloud_run.names import Names
from loopctl.platforms.cloud_run.operations import Started
from loopctl.process import Stop


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(runtime=ProcessRuntime({})) as running:
        yield running


@pytest.fixture
def api(emulator: Emulator) -> Iterator[Api]:
    place = CloudRunPlace("p", "us-central1", endpoint=emulator.grpc_endpoint)
    made = Api(Clients(place), Names.of(place))
    yield made
    made.close()


def stuck(emulator: Emulator, api: Api) -> Started:
    """A change whose operation never ends."""
    emulator.faults.on("CreateService", Fault(stuck=True))
    service = Service({"template": {"containers": [{"image": "registry/web"}]}})
    return api.create("web", service, Stop(10))


def asked(emulator: Emulator) -> list[str]:
    return [each.method for each in emulator.calls if "Operation" in each.method]


def test_short_waits_for_one_operation_are_one_call(emulator: Emulator, api: Api) -> None:
    started = stuck(emulator, api)
    for _ in range(3):
        assert not api.operations.ended(started, 0.3, Stop(10)).done
    assert asked(emulator) == ["WaitOperation"]


def test_a_stop_ends_the_wait_at_once(emulator: Emulator, api: Api) -> None:
    started, stop = stuck(emulator, api), Stop(30)
    timer = threading.Timer(0.3, stop.stop, ("a signal",))
    timer.start()
    began = time.monotonic()
    with pytest.raises(Stopped, match="a signal"):
        api.operations.ended(started, 9.0, stop)
    assert time.monotonic() - began < 3
    timer.join()


@pytest.mark.slow
def test_where_the_api_cannot_wait_it_is_asked_once_a_second(emulator: Emulator, api: Api) -> None:
    unknown = RpcFault(grpc.StatusCode.UNIMPLEMENTED, "Operation is not implemented.")
    emulator.faults.on("WaitOperation", unknown, times=None)
    started = stuck(emulator, api)
    began = time.monotonic()
    for _ in range(3):
        assert not api.operations.ended(started, 5.0, Stop(30)).done
    assert asked(emulator) == ["WaitOperation", *["GetOperation"] * 3]
    assert time.monotonic() - began >= 2.0

"""The real Docker engine and registry that tests run against; without them a test is skipped.

Where LOOPCTL_TEST_ENGINES is `required`, as in CI, it fails instead: a skip proves nothing.
"""

from __future__ import annotations

import functools
import os
import urllib.error
import urllib.request
from typing import Final, NoReturn

import pytest

from loopctl.engine.connection import Engine
from loopctl.engine.errors import EngineError
from loopctl.engine.whereabouts import socket_trouble
from loopctl.process import Stop

#: The base image that `make engines` makes: busybox, Python and nothing else.
BASE: Final = "loopctl-base:local"
#: As `make engines` is told of it too.
REGISTRY: Final = os.environ.get("LOOPCTL_TEST_REGISTRY") or "127.0.0.1:5000"


def real_engine() -> Engine:
    """The engine that DOCKER_HOST names, or the one of this machine; it has the base image."""
    missing = _missing()
    if missing is not None:
        absent(missing)
    return Engine(os.environ)


def real_registry() -> str:
    """`host:port` of a registry that takes pushes without a login."""
    real_engine()
    # A proxy of the environment's knows nothing of this machine.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"http://{REGISTRY}/v2/", timeout=5):
            return REGISTRY
    except urllib.error.HTTPError as error:
        error.close()
        absent(f"the registry at {REGISTRY} answers {error.code}")
    except OSError as error:
        absent(f"no registry at {REGISTRY}: {error}")


def absent(what: str) -> NoReturn:
    """Skip the test that needs it, or fail it where it was promised."""
    message = f"{what} (`make engines` starts what is missing)"
    if os.environ.get("LOOPCTL_TEST_ENGINES") == "required":
        pytest.fail(message)
    pytest.skip(message)


@functools.cache
def _missing() -> str | None:
    engine = Engine(os.environ)
    # The SDK leaves a socket open that it could not connect, which would fail some other test.
    if (trouble := socket_trouble(engine, os.environ)) is not None:
        return trouble[0]
    try:
        with engine.api(Stop(10)) as api:
            if not api.images(name=BASE):
                return f"the engine at {engine.address} has no image {BASE}"
    except EngineError as error:
        return error.what
    return None

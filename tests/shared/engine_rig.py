"""The real Docker engine and registry that tests run against; without them a test is skipped.

Where LOOPCTL_TEST_ENGINES is `required`, as in CI, it fails instead: a skip proves nothing.
"""

from __future__ import annotations

import functools
import os
import urllib.request
from typing import Final, NoReturn

import pytest

from loopctl.engine.connection import Engine
from loopctl.engine.errors import EngineError
from loopctl.process import Stop

#: The base image that `make engines` makes: busybox, Python and nothing else.
BASE: Final = "loopctl-base:local"
REGISTRY: Final = os.environ.get("LOOPCTL_TEST_REGISTRY", "127.0.0.1:5000")


def real_engine() -> Engine:
    """The engine that DOCKER_HOST names, or the one of this machine."""
    missing = _missing()
    if missing is not None:
        _absent(missing)
    return Engine(os.environ)


def real_registry() -> str:
    """`host:port` of a registry that takes pushes without a login."""
    real_engine()
    try:
        with urllib.request.urlopen(f"http://{REGISTRY}/v2/", timeout=5):
            return REGISTRY
    except OSError as error:
        _absent(f"no registry at {REGISTRY}: {error}")


@functools.cache
def _missing() -> str | None:
    try:
        Engine(os.environ).about(Stop(5))
    except EngineError as error:
        return error.what
    return None


def _absent(what: str) -> NoReturn:
    message = f"{what} (`make engines` starts what is missing)"
    if os.environ.get("LOOPCTL_TEST_ENGINES") == "required":
        pytest.fail(message)
    pytest.skip(message)

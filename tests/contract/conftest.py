"""What the tests of this folder leave for the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def images() -> Iterator[None]:
    """Images are made once for all tests that want the same one."""
    yield
    if "docker_rig" in sys.modules:
        from docker_rig import remove_images  # noqa: PLC0415

        remove_images()

"""Projects for the tests of the command line; each is taken down, and must leave nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from rig import Project, opened


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty git repository of the test's own."""
    with opened(tmp_path) as project:
        yield project

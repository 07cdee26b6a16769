"""A pytest plugin that runs only the tests whose ids a JSON file lists.

Loaded (`-p loopctl_select`) when pytest is started again for what a crash or a hang left over:
`--deselect` matches prefixes and ids on the command line add to the paths named there, so neither
can say "exactly these". Standard library only, Python >= 3.8, pytest >= 7. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import json
import os

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests listed in the file that `LOOPCTL_ONLY` names, in their order."""
    with open(os.environ["LOOPCTL_ONLY"], encoding="utf-8") as listed:  # noqa: PTH123
        only = frozenset(json.load(listed))
    items[:] = [item for item in items if _as_reported(item.nodeid) in only]


def _as_reported(nodeid: str) -> str:
    # The evidence plugin reports ids as text that UTF-8 can hold.
    return nodeid.encode("utf-8", "replace").decode("utf-8")

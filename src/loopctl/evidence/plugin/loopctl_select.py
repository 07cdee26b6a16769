"""A pytest plugin that runs only the tests whose ids a JSON file lists.

Loaded (`-p loopctl_select`, after `loopctl_evidence`) when pytest is started again, for what a
crash or a hang left over or for cases that are retried: `--deselect` matches prefixes and ids on
the command line add to the paths named there, so neither can say "exactly these". Standard
library only, Python >= 3.8, pytest >= 7. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator

import pytest
from loopctl_evidence import _clean  # type: ignore[import-not-found]  # a neighbour on the path


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    """Keep the tests listed in the file that `LOOPCTL_ONLY` names, in their order.

    Outermost: other plugins may give tests another id here, as xdist does to those of a group.
    """
    yield
    with open(os.environ["LOOPCTL_ONLY"], encoding="utf-8") as listed:  # noqa: PTH123
        only = frozenset(json.load(listed))
    # The evidence plugin reports ids in this form.
    items[:] = [item for item in items if _clean(item.nodeid, 4000) in only]

"""A pytest plugin that runs only the tests that a JSON file names.

Loaded (`-p loopctl_select`, after `loopctl_evidence`) when pytest is started again, for what a
crash or a hang left over or for cases that are retried, and for one shard of a suite:
`--deselect` matches prefixes and ids on the command line add to the paths named there, so neither
can say "exactly these". Standard library only, Python >= 3.8, pytest >= 7. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Generator

import pytest
from loopctl_text import clean


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    """Keep the tests that the file which `LOOPCTL_ONLY` names is about, in their order.

    Outermost: other plugins may give tests another id here, as xdist does to those of a group.
    """
    yield
    wanted = _wanted(os.environ["LOOPCTL_ONLY"])
    # The evidence plugin reports ids in this form.
    items[:] = [item for item in items if wanted(clean(item.nodeid, 4000))]


def _wanted(path: str) -> Callable[[str], bool]:
    """`{"mine": [ids]}`, and for a shard the `known` ids, its `index` and `of` how many it is.

    A test that no shard has in its list goes to one of them by its id.
    """
    with open(path, encoding="utf-8") as listed:  # noqa: PTH123
        share = json.load(listed)
    mine, known = frozenset(share["mine"]), frozenset(share.get("known", ()))
    index, shards = share.get("index", 0), share.get("of", 0)

    def wanted(test: str) -> bool:
        if test in mine or test in known or not shards:
            return test in mine
        return bool(zlib.crc32(test.encode("utf-8", "replace")) % shards == index)

    return wanted

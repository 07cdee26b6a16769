"""One machine of many: `python history_writer.py PLACE FIRST COUNT` leaves records there."""

from __future__ import annotations

import sys
from pathlib import Path

from test_histories import P, a_run

from loopctl.bootstrap import history_of
from loopctl.model.plan import UrlPlace
from loopctl.process import Stop


def main(place: str, first: int, count: int) -> None:
    """Make the key and keep `count` records, numbered from `first`."""
    history = history_of(UrlPlace.of_url(place) or Path(place), Path("unused"))
    stop = Stop(60)
    keys = {history.key(stop)}
    for number in range(first, first + count):
        history.put(a_run(number, a=P), stop)
        assert history.recent("golden-path", "local", 50, stop)
    keys.add(history.key(stop))
    (key,) = keys
    print(key.hex())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

"""A front door in a process of its own, as in the host.

`python -m bench.door LOG PORT PORT` prints its port, sends all traffic to the first service, and
moves it to the next one at each line of its standard input.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from loopctl.platforms.host.front_door import FrontDoor
from loopctl.platforms.host.request_file import RequestFile
from loopctl.platforms.host.upstreams import Upstream


async def _serve(log: Path, ports: list[int]) -> None:
    upstreams = [Upstream(f"r{n}", "127.0.0.1", port) for n, port in enumerate(ports)]
    door = FrontDoor("bench", RequestFile(log).write)
    door.set_routes([(upstreams[0], 100)])
    print(await door.open(), flush=True)
    promoted = 0
    while await asyncio.to_thread(sys.stdin.readline):
        promoted += 1
        door.set_routes([(upstreams[promoted % len(upstreams)], 100)])
    await door.close()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), [int(port) for port in sys.argv[2:]]))

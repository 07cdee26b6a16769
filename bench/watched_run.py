"""A run through `loopctl.api`, with the moment at which each event reached its callback.

`python -m bench.watched_run FOLDER LOOP [ENVIRONMENT]` prints one JSON document: `[kind, stage or
null, time]` of every event, and last `["returned", null, time]`, when the reports were written.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from loopctl import api
from loopctl.model.events import Event, StageFinished, Unrecognised

Moment = tuple[str, str | None, float]


def main(folder: Path, loop: str, environment: str | None = None) -> None:
    """Run it and tell."""
    moments: list[Moment] = []

    def seen(event: Event) -> None:
        payload = event.payload
        kind = payload.kind if isinstance(payload, Unrecognised) else payload.KIND
        stage = payload.stage.value if isinstance(payload, StageFinished) else None
        moments.append((kind, stage, time.time()))

    api.run(api.load(loop, environment=environment, cwd=folder), subscribers=[seen])
    moments.append(("returned", None, time.time()))
    print(json.dumps(moments))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

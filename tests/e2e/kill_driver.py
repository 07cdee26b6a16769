"""Runs a loop, or goes on with one, through `loopctl.api`; SIGKILLs itself at a certain event.

`python kill_driver.py '{"loop": "web", "at": "intent deploy web"}'`: what a subscriber has been
told of is durable, so the journal ends exactly there. `"host": true` takes the environment's host
along; `"spare": true` kills the host alone; `"cycle": 2` waits for that one. With `"folder"` it
goes on with that run; `"confirm"` names a protected environment; `"prompt": true` is for logs that
are complete at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loopctl import api

KINDS = {
    "stage.entered": "entered",
    "stage.finished": "finished",
    "intent": "intent",
    "result": "result",
    "cases.graded": "cases",
}
"""The kinds of event that are transitions, effects or case batches, and what they are called."""


def label(document: Mapping[str, Any]) -> str:
    """A line of the journal in words: `intent deploy web`, `entered health 1`, `cases smoke`.

    The number is the wave, where there is more than the first.
    """
    kind, data = document["kind"], document["data"]
    what = next((data[key] for key in ("stage", "effect", "when") if key in data), "")
    if what == "route":
        what = str(data["key"]).rpartition("/")[2]
    whose = document.get("service") or document.get("suite") or ""
    wave = document.get("wave") or ""
    return " ".join(str(word) for word in (KINDS.get(kind, kind), what, whose, wave) if word)


def main(how: Mapping[str, Any]) -> int:
    """The exit code of the run, where it was not killed."""
    if how.get("prompt"):
        from prompt_logs import expect_prompt_logs  # noqa: PLC0415 - it loads Google's clients

        expect_prompt_logs()

    def told(event: api.Event) -> None:
        if label(api.event_document(event)) != how["at"] or event.cycle < how.get("cycle", 0):
            return
        if how.get("host") or how.get("spare"):
            kill_host()
        if not how.get("spare"):
            os.kill(os.getpid(), signal.SIGKILL)

    if "folder" in how:
        return api.resume(Path(how["folder"]), subscribers=[told]).exit_code
    options = api.RunOptions(confirm=how.get("confirm"))
    return api.run(api.load(how["loop"]), options, subscribers=[told]).exit_code


def kill_host() -> None:
    """SIGKILL the host of `local`, if there is one; its guardian takes the services along."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        pid = json.loads(Path(".loopctl/hosts/local/host.json").read_text())["pid"]
        if b"loopctl.platforms.host" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))

"""The options that every command takes, before or after its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loopctl.model.ci_job import CiJob

FLAGS = ("--json", "--events", "--no-color", "-q", "--quiet", "-v", "--verbose")
VALUED = ("--runs-dir", "--ci")


@dataclass(frozen=True, slots=True)
class Settings:
    """The global options as given; `json` and `events` name what stdout carries.

    `job` is the CI job for whose log is written, None where it is none's.
    """

    json: bool = False
    events: bool = False
    color: bool = True
    quiet: bool = False
    verbose: bool = False
    runs_dir: Path | None = None
    job: CiJob | None = None


def hoist(arguments: Sequence[str]) -> list[str]:
    """The arguments with the global options moved to the front, where typer looks for them.

    Everything behind `--` stays as it is.
    """
    front: list[str] = []
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            rest += [word, *waiting]
            break
        if word in FLAGS or word.startswith(tuple(f"{name}=" for name in VALUED)):
            front.append(word)
        elif word in VALUED and waiting:
            front += [word, waiting.pop(0)]
        else:
            rest.append(word)
    return front + rest

"""What the commands on an environment take, each option with its variable and its help."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Stage(StrEnum):
    """Where a run may enter."""

    PREFLIGHT = "preflight"
    BUILD = "build"
    VERIFY = "verify"


class Mode(StrEnum):
    """How far remedies may go."""

    OFF = "off"
    PROPOSE = "propose"
    AUTO = "auto"


class Ci(StrEnum):
    """For which CI system's log is written."""

    AUTO = "auto"
    OFF = "off"
    GITHUB = "github"
    GITLAB = "gitlab"


Loop = Annotated[str, typer.Argument(help="A loop's name (loops/NAME.yaml) or its path.")]
Env = Annotated[str | None, typer.Option("--env", envvar="LOOPCTL_ENV", help="The environment.")]

Suites = Annotated[
    list[str] | None, typer.Option(envvar="LOOPCTL_SUITE", help="Only this suite; repeatable.")
]
Services = Annotated[
    list[str] | None,
    typer.Option(envvar="LOOPCTL_SERVICE", help="Only this service; repeatable."),
]
Priorities = Annotated[
    list[str] | None,
    typer.Option(envvar="LOOPCTL_PRIORITY", help="Only suites of this priority; repeatable."),
]
Start = Annotated[
    Stage,
    typer.Option("--from", envvar="LOOPCTL_FROM", help="Enter here; verify tests what serves."),
]
MaxCycles = Annotated[
    int | None,
    typer.Option(
        min=1,
        envvar="LOOPCTL_MAX_CYCLES",
        help="At most so many times round.",
    ),
]
Deadline = Annotated[
    str | None, typer.Option(envvar="LOOPCTL_DEADLINE", help="Stop after this long: 90s, 1h.")
]
Remediate = Annotated[
    Mode | None,
    typer.Option(
        envvar="LOOPCTL_REMEDIATE",
        help="How far remedies may go; not beyond a remediate.mode that the loop file names.",
    ),
]
Confirm = Annotated[
    str | None, typer.Option(metavar="ENV", help="Name the protected environment you mean.")
]
AllowDirty = Annotated[
    bool,
    typer.Option(
        "--allow-dirty",
        envvar="LOOPCTL_ALLOW_DIRTY",
        help="Where a platform refuses a dirty tree; local never does.",
    ),
]
Run = Annotated[
    str,
    typer.Argument(
        help="A run's id, a prefix of one, @latest, @green, or a path: a folder, a CI artefact."
    ),
]
Named = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, a prefix of one, @latest.")]
Create = Annotated[
    bool, typer.Option("--create", envvar="LOOPCTL_CREATE", help="New services on protected.")
]
Detach = Annotated[
    bool,
    typer.Option(
        "--detach",
        envvar="LOOPCTL_DETACH",
        help="Go on in a process of its own; `loopctl watch` attaches to it.",
    ),
]
Keep = Annotated[
    bool,
    typer.Option(
        "--keep/--no-keep", envvar="LOOPCTL_KEEP", help="Put nothing back; services stay up."
    ),
]

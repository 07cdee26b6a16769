"""`init`, `validate`, `schema` and `doctor`: writing a loop, and a machine that can run it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loopctl import api
from loopctl.cli import output
from loopctl.cli.settings import Settings
from loopctl.errors import ExitCode

if TYPE_CHECKING:
    from loopctl.authoring.init import Initial


def init(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="The repository.", show_default="here")
    ] = Path(),
    name: Annotated[
        str | None,
        typer.Option(
            "--name", envvar="LOOPCTL_NAME", help="The loop's name; default: the repository's."
        ),
    ] = None,
    env: Annotated[
        str | None,
        typer.Option(
            "--env", envvar="LOOPCTL_ENV", help="The default environment: local, docker or staging."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", envvar="LOOPCTL_FORCE", help="Replace a loop file.")
    ] = False,
    stdout: Annotated[
        bool, typer.Option("--stdout", envvar="LOOPCTL_STDOUT", help="Show it; write nothing.")
    ] = False,
) -> int:
    """Read a repository and write its first loop file, with comments; runs nothing of it."""
    settings: Settings = context.obj
    made = api.init(folder, name=name, environment=env, force=force, write=not stdout)
    if settings.json:
        output.document({**made.document(), "written": not stdout, "text": made.text})
    elif stdout:
        output.say(made.text.rstrip("\n"))
    else:
        _tell(made)
    return 0


def _tell(made: Initial) -> None:
    where, here = ", ".join(made.environments) or "local", Path.cwd()
    path = made.path.relative_to(here) if made.path.is_relative_to(here) else made.path
    output.say(f"wrote {path}: {', '.join(made.services)} on {where}")
    output.say(f"suites: {', '.join(made.suites)}")
    guessed, decide = (made.text.count(word) - 1 for word in ("GUESSED", "DECIDE"))
    output.say(f"read its comments: {guessed} guessed, {decide} for you to decide")
    for gap in made.gaps:
        output.say(f"MISSING: {gap}")
    root = made.path.parent.parent
    output.say("NEXT:" if root == here else f"NEXT, in {root}:")
    for command in ("validate", "doctor", "plan", "run"):
        output.say(f"  loopctl {command} {made.name}")


def validate(
    context: typer.Context,
    loops: Annotated[
        list[str] | None, typer.Argument(help="Names or paths; default: every loop here.")
    ] = None,
) -> int:
    """Check loop files; every error at once, each with its place."""
    settings: Settings = context.obj
    plans = api.validate(loops or [])
    if settings.json:
        valid = [
            {"loop": p.loop, "file": str(p.path), "later": [str(x) for x in p.later]} for p in plans
        ]
        output.document({"schema": 1, "valid": valid})
        return 0
    for plan in plans:
        output.say(f"{plan.loop}: valid ({plan.path})")
        for problem in plan.later:
            output.say(f"  comes with a later version: {problem}")
    return 0


def schema(context: typer.Context) -> int:
    """The JSON Schema of the loop file, for editors."""
    del context
    output.document(api.schema())
    return 0


def doctor(
    context: typer.Context,
    loop: Annotated[
        str | None,
        typer.Argument(
            help="Also check what this loop needs; with --env, default: the only loop here."
        ),
    ] = None,
    env: Annotated[
        str | None, typer.Option("--env", envvar="LOOPCTL_ENV", help="The environment.")
    ] = None,
) -> int:
    """Whether this machine has what it takes; changes nothing."""
    settings: Settings = context.obj
    checks = api.doctor(loop, environment=env, runs_dir=settings.runs_dir)
    good = all(check.ok for check in checks)
    if settings.json:
        found = [
            {"check": c.name, "ok": c.ok, "known": c.known, "said": c.said, "hint": c.hint}
            for c in checks
        ]
        output.document({"schema": 1, "ok": good, "checks": found})
    else:
        for check in checks:
            word = ("ok     " if check.known else "unknown") if check.ok else "MISSING"
            output.say(f"{word} {check.name}: {check.said}")
            if check.hint and not (check.ok and check.known):
                output.say(f"        {check.hint}")
    return 0 if good else int(ExitCode.PREFLIGHT)

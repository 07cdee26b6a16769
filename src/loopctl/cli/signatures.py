"""`signatures lint|test|list|schema`: keeping the catalogue of known causes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loopctl import api
from loopctl.cli import output
from loopctl.cli.settings import Settings
from loopctl.errors import ExitCode
from loopctl.inert import one_line

Files = Annotated[
    list[Path] | None, typer.Argument(help="Signature files of yours; default: ours.")
]
_LONGEST = 160


def lint(
    context: typer.Context,
    files: Files = None,
    green: Annotated[
        list[Path] | None,
        typer.Option(
            "--green",
            envvar="LOOPCTL_GREEN",
            help="A log of a good time that none of them may match; repeatable.",
        ),
    ] = None,
    runs: Annotated[
        bool,
        typer.Option(
            "--runs",
            envvar="LOOPCTL_SIGNATURES_RUNS",
            help="Nor may they match the kept logs of the green runs in the runs folder.",
        ),
    ] = False,
) -> int:
    """Check signature files; every problem at once, each with its place."""
    settings: Settings = context.obj
    folder = api.project_runs_dir(Path.cwd(), settings.runs_dir) if runs else None
    number = api.lint_signatures(files or [], green=green or [], runs_dir=folder)
    if settings.json:
        output.document({"schema": 1, "signatures": number, "problems": []})
    else:
        output.say(f"{number} signature{'s' * (number != 1)}: nothing is wrong")
    return 0


def try_(context: typer.Context, files: Files = None) -> int:
    """Hold signatures against the captures that they name."""
    settings: Settings = context.obj
    tried = api.try_signatures(files or [])
    good = all(each.ok for each in tried)
    if settings.json:
        output.document({"schema": 1, "ok": good, "tried": [_document(each) for each in tried]})
        return 0 if good else int(ExitCode.RED)
    for each in tried:
        if not (each.ok and settings.quiet):
            _say(each)
    failed = sum(not each.ok for each in tried)
    output.say(f"{len(tried)} captures, {failed} not as they should be")
    return 0 if good else int(ExitCode.RED)


def list_(context: typer.Context, files: Files = None) -> int:
    """The signatures in force: ours, and those of the files."""
    settings: Settings = context.obj
    known = api.signatures(files or []).signatures
    if settings.json:
        rows = [
            {
                "id": each.id,
                "title": each.title,
                "severity": each.severity,
                "action": each.remedy.action,
                "mode": each.remedy.mode,
                "links": list(each.links),
            }
            for each in known
        ]
        output.document({"schema": 1, "signatures": rows})
        return 0
    width = max((len(each.id) for each in known), default=0)
    for each in known:
        output.say(f"{each.id:<{width}}  {each.severity:<8}  {one_line(each.title)}")
    return 0


def schema(context: typer.Context) -> int:
    """The JSON Schema of a signature file, for editors."""
    del context
    output.document(api.signature_schema())
    return 0


def _say(tried: api.Tried) -> None:
    word = "ok    " if tried.ok else "FAILED"
    output.say(f"{word} {tried.signature}: {tried.wanted} in {tried.capture}")
    if tried.line is not None:
        output.say(f"         {tried.line.source}: {one_line(tried.line.quote)[:_LONGEST]}")
    if tried.why is not None:
        output.say(f"         {one_line(tried.why)}")


def _document(tried: api.Tried) -> dict[str, object]:
    line = tried.line
    return {
        "signature": tried.signature,
        "capture": tried.capture,
        "wanted": tried.wanted,
        "ok": tried.ok,
        "line": None if line is None else {"source": line.source, "quote": line.quote},
        "why": tried.why,
    }

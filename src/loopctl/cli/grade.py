"""`grade`: what each test of a suite proves, before any loop exists."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loopctl import api
from loopctl.cli import output
from loopctl.cli.settings import Settings
from loopctl.cli.signals import interruptibly

_LONGEST_WHY = 160


def grade(
    context: typer.Context,
    paths: Annotated[list[str], typer.Argument(help="pytest's files, folders or ids.")],
    url: Annotated[
        list[str],
        typer.Option("--url", envvar="LOOPCTL_URL", help="[NAME=]URL of a service; repeatable."),
    ],
    python: Annotated[
        str | None,
        typer.Option("--python", envvar="LOOPCTL_PYTHON", help="The project's interpreter."),
    ] = None,
    pytest: Annotated[
        str, typer.Option("--pytest", envvar="LOOPCTL_PYTEST", help="More arguments for pytest.")
    ] = "",
    require: Annotated[
        api.Grade,
        typer.Option(
            "--require",
            envvar="LOOPCTL_REQUIRE",
            help="The least grade that counts; only `run` can show proven.",
        ),
    ] = api.Grade.OBSERVED,
    control: Annotated[
        bool,
        typer.Option(
            "--control",
            envvar="LOOPCTL_CONTROL",
            help="Run what passes again with the services refused; only where that does no harm.",
        ),
    ] = False,
    health_path: Annotated[
        list[str] | None,
        typer.Option("--health-path", envvar="LOOPCTL_HEALTH_PATH", help="A path that is health."),
    ] = None,
    timeout: Annotated[
        str, typer.Option("--timeout", envvar="LOOPCTL_TIMEOUT", help="For all of it.")
    ] = "10m",
    test_timeout: Annotated[
        str, typer.Option("--test-timeout", envvar="LOOPCTL_TEST_TIMEOUT", help="For one test.")
    ] = "2m",
) -> int:
    """What each pass of a pytest suite proves, against services that run already."""
    settings: Settings = context.obj
    request = api.GradeRequest(
        paths=tuple(paths),
        urls=tuple(url),
        cwd=Path.cwd(),
        python=python,
        arguments=pytest,
        require=require,
        control=control,
        health_paths=tuple(health_path or api.HEALTH_PATHS),
        timeout_s=api.duration(timeout),
        test_timeout_s=api.duration(test_timeout),
    )
    report = interruptibly(lambda stop: api.grade(request, stop))
    if settings.json:
        output.document(api.grade_document(report))
    else:
        output.say("\n".join(_lines(report)))
    return report.exit_code


def _lines(report: api.GradeReport) -> list[str]:
    judged, cases = report.judgement, report.cases
    passed = sum(judged.grades.values())
    good = sum(n for g, n in judged.grades.items() if g.rank >= report.request.require.rank)
    named = ", ".join(f"{name} at {url}" for name, url in report.targets.items())
    by_grade = [f"{judged.grades[g]} {g}" for g in reversed(api.Grade) if judged.grades.get(g)]
    by_status = [f"{number} {status}" for status, number in judged.counts.items() if number]
    lines = [
        f"PROVED: {good} of {passed} passes show {report.request.require} or better, of {named}",
        f"GRADES: {', '.join(by_grade) or 'no test passed'}",
        f"TESTS: {judged.collected} collected: {', '.join(by_status) or 'none ended'}"
        f" in {report.end.duration_s:.1f} s",
        *(f"WRONG: {reason}" for reason in judged.reasons),
        "",
    ]
    width = max((len(case.grade or "-") for case in cases), default=0)
    for case in cases:
        why = case.reason if case.grade is not None else case.message
        shown = " ".join((why or "").split())[:_LONGEST_WHY]
        lines.append(f"{case.status:8} {case.grade or '-':{width}}  {case.id}")
        lines.extend([f"         {shown}"] if shown else [])
        if case.control is not None and case.control.reason not in shown:
            lines.append(f"         {case.control}")
    return lines

"""What a run leaves in the CI job that it is made in. It never changes how the run ended."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from loopctl.errors import LoopctlError
from loopctl.inert import one_line
from loopctl.journal.worklog import Worklog
from loopctl.model.ci_job import CiJob, CiSystem

if TYPE_CHECKING:
    from loopctl.reports.annotations import Annotation
    from loopctl.reports.checkout import Checkout

SUMMARY: Final = "GITHUB_STEP_SUMMARY"
OUTPUTS: Final = "GITHUB_OUTPUT"
WORKSPACE: Final = "GITHUB_WORKSPACE"


def tell_job(
    job: CiJob, worklog: Worklog, folder: Path, variables: Mapping[str, str] = os.environ
) -> Sequence[str]:
    """Annotate the job on stderr, write its summary and its outputs; what failed, in words.

    GitHub alone has these. GitLab reads the run's `junit.xml`, and folds by what the view prints.
    """
    if job.system is not CiSystem.GITHUB:
        return ()
    from loopctl.reports.annotations import annotations_of

    return [
        trouble
        for tell in (
            lambda: _annotate(annotations_of(worklog, _checkout(variables))),
            lambda: _summarize(worklog, folder, variables),
            lambda: _put_out(_outputs(worklog, folder), variables),
        )
        for trouble in _harmless(tell)
    ]


def tell_job_of_error(
    job: CiJob,
    error: LoopctlError,
    verdict: str,
    variables: Mapping[str, str] = os.environ,
) -> Sequence[str]:
    """The same for a command that an error has ended before there was a run to tell of."""
    if job.system is not CiSystem.GITHUB:
        return ()
    from loopctl.reports.annotations import annotations_of_error

    outputs = {"verdict": verdict, "exit-code": str(int(error.exit_code))}
    return (
        *_harmless(lambda: _annotate(annotations_of_error(error, _checkout(variables)))),
        *_harmless(lambda: _put_out(outputs, variables)),
    )


def _harmless(tell: Callable[[], Sequence[str]]) -> Sequence[str]:
    """A fault of ours in the telling is told, and nothing else comes of it."""
    try:
        return tell()
    except Exception as error:  # noqa: BLE001 - the run's end is worth more than its picture
        return (f"the CI job was not told, a fault of loopctl: {type(error).__name__}",)


def _outputs(worklog: Worklog, folder: Path) -> Mapping[str, str]:
    ended = worklog.ended
    return {
        "verdict": ended.verdict.value if ended else "",
        "exit-code": str(ended.exit_code) if ended else "",
        "run-id": worklog.run.run_id,
        "folder": str(folder),
        "report": str(folder / "worklog.md"),
    }


def _annotate(annotations: Sequence[Annotation]) -> Sequence[str]:
    """On stderr: the runner reads both streams, and stdout stays the document."""
    from loopctl.console.ci_commands import annotation_line
    from loopctl.console.output import Output

    output = Output(sys.stderr)
    for annotation in annotations:
        output.line(annotation_line(annotation))
    return ()


def _checkout(variables: Mapping[str, str]) -> Checkout | None:
    from loopctl.reports.checkout import Checkout

    root = variables.get(WORKSPACE)
    return Checkout(Path(root)) if root else None


def _summarize(worklog: Worklog, folder: Path, variables: Mapping[str, str]) -> Sequence[str]:
    from loopctl.api.showing import as_typed
    from loopctl.reports.job_summary import LIMIT, job_summary

    name = variables.get(SUMMARY)
    if not name:
        return (f"the job has no summary: {SUMMARY} names no file",)
    path = Path(name)
    try:
        # What other commands of the same step have written counts, too.
        before = path.stat().st_size if path.exists() else 0
        gap = "\n" if before else ""
        text = job_summary(worklog, as_typed(folder), LIMIT - before - len(gap))
        if not text:
            said = f"the job's summary was not written: of {LIMIT} bytes {before} are taken"
            return (f"{said}, in {path}",)
        _append(path, gap + text)
    except OSError as error:
        return (f"the job's summary was not written: {path}: {error.strerror or error}",)
    return ()


def _put_out(outputs: Mapping[str, str], variables: Mapping[str, str]) -> Sequence[str]:
    """A step that has no such file asked for no outputs."""
    name = variables.get(OUTPUTS)
    if not name:
        return ()
    lines = [f"{key}={one_line(value, 1000)}\n" for key, value in outputs.items()]
    try:
        _append(Path(name), "".join(lines))
    except OSError as error:
        return (f"the step's outputs were not written: {name}: {error.strerror or error}",)
    return ()


def _append(path: Path, text: str) -> None:
    with path.open("ab") as file:
        file.write(text.encode("utf-8", "replace"))

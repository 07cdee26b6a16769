"""The commands by which CI systems fold their logs and mark them."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from loopctl.inert import for_ci, workflow_data, workflow_property
from loopctl.model.ci_job import CiSystem
from loopctl.reports.annotations import Annotation

_CLEAR = "\x1b[0K"


def opening(system: CiSystem, name: str, title: str, at: datetime) -> str:
    """The line that begins a folded group. `name` has letters, digits and `_`, once in a job."""
    match system:
        case CiSystem.GITHUB:
            return f"::group::{workflow_data(title)}"
        case CiSystem.GITLAB:
            began = f"section_start:{int(at.timestamp())}:{name}[collapsed=true]"
            return f"{_CLEAR}{began}\r{_CLEAR}{for_ci(title)}"
        case _:
            assert_never(system)


def closing(system: CiSystem, name: str, at: datetime) -> str:
    """The line that ends it."""
    match system:
        case CiSystem.GITHUB:
            return "::endgroup::"
        case CiSystem.GITLAB:
            return f"{_CLEAR}section_end:{int(at.timestamp())}:{name}\r{_CLEAR}"
        case _:
            assert_never(system)


def annotation_line(annotation: Annotation) -> str:
    """The command by which GitHub's runner puts an annotation on a file, or on the job."""
    place = annotation.place
    values = {
        "file": place.file if place else None,
        "line": str(place.line) if place and place.line else None,
        "col": str(place.column) if place and place.line and place.column else None,
        "title": annotation.title,
    }
    said = [f"{key}={workflow_property(value)}" for key, value in values.items() if value]
    return f"::{annotation.level} {','.join(said)}::{workflow_data(annotation.message)}"

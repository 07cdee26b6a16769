"""The bounds of a run, given as options: checked like those that the loop file gives."""

from __future__ import annotations

import pytest
from rig import Project
from services import tiny_loop


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--deadline", "0s", "--deadline: must be longer than nothing, not 0 s"),
        ("--deadline", "0.0h", "--deadline: must be longer than nothing, not 0 s"),
        ("--deadline", "-5m", "'-5m' must be a duration with its unit"),
        ("--max-cycles", "0", "--max-cycles"),
        ("--max-cycles", "-1", "--max-cycles"),
    ],
)
def test_a_bound_that_leaves_nothing_is_refused_before_anything_is_done(
    project: Project, option: str, value: str, why: str
) -> None:
    tiny_loop(project)
    given = project.run("web", option, value)
    variable = "LOOPCTL_" + option.removeprefix("--").upper().replace("-", "_")
    of_the_environment = project.run("web", env={variable: value})
    for refused in (given, of_the_environment):
        assert refused.code == 2, str(refused)
        assert why in refused.err
        assert "Traceback" not in refused.err
    assert not project.run_folders()
    assert not project.processes()

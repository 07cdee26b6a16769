"""Whether a run tells GitHub anything: decided before the variables of `github` are filled in."""

from __future__ import annotations

from collections.abc import Mapping

from loopctl.loopfile.nodes import Scalar, Table
from loopctl.loopfile.variables import Filler
from loopctl.model.ci_job import ci_job


def is_told(written: Table, environment: str, variables: Mapping[str, str], filler: Filler) -> bool:
    """Of an environment that `github.environments` names; where it names none, of a CI job.

    A run that somebody makes by hand opens no issue unless the loop file says so.
    """
    if written.get("github", "environments") is None:
        return ci_job(variables) is not None
    named = [
        filler.scalar(item, needed=True)
        for item in written.items("github", "environments")
        if isinstance(item, Scalar)
    ]
    return environment in [item.text for item in named]

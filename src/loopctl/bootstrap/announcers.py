"""Who is told when a run begins, and when it has ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from loopctl.model.ci_job import CiJob
from loopctl.model.plan import Plan
from loopctl.ports.announcer import Announcer, Herald
from loopctl.process import Stop

if TYPE_CHECKING:
    from loopctl.found import Found


def announcers_of(plan: Plan, job: CiJob | None) -> tuple[Announcer, ...]:
    """Everyone whom the plan names."""
    return _github_announcers(plan, job)


def heralds_of(plan: Plan, job: CiJob | None) -> tuple[Herald, ...]:
    """Everyone who is told that a run begins."""
    if plan.github is None:
        return ()
    from loopctl.integrations.github.told import heralds

    return heralds(plan.github, job)


def told_of(plan: Plan, job: CiJob | None) -> Sequence[str]:
    """What a run would tell to whom, in words."""
    if plan.github is None:
        return ()
    from loopctl.integrations.github.told import outlook

    return outlook(plan.github, job, f"{plan.loop}/{plan.environment.name}")


def told_checkup(plan: Plan, job: CiJob | None, stop: Stop) -> Sequence[Found]:
    """What `doctor` says of those who are told."""
    if plan.github is None:
        return ()
    from loopctl.integrations.github.told import checkup

    return checkup(plan.github, job, stop)


def _github_announcers(plan: Plan, job: CiJob | None) -> tuple[Announcer, ...]:
    if plan.github is None:
        return ()
    from loopctl.integrations.github.told import announcers

    return announcers(plan.github, job)

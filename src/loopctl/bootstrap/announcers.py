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


def announcers_of(plan: Plan, job: CiJob | None, only: str | None = None) -> tuple[Announcer, ...]:
    """Everyone whom the plan names, or those alone that the key `only` of it names."""
    github = _github_announcers(plan, job) if only in (None, "github") else ()
    return (*github, *(_notices(plan) if only in (None, "notify") else ()))


def heralds_of(plan: Plan, job: CiJob | None) -> tuple[Herald, ...]:
    """Everyone who is told that a run begins."""
    if plan.github is None:
        return ()
    from loopctl.integrations.github.told import heralds

    return heralds(plan.github, job)


def told_of(plan: Plan, job: CiJob | None) -> Sequence[str]:
    """What a run would tell to whom, in words."""
    return (*_told_on_github(plan, job), *_told_by_notices(plan))


def _told_on_github(plan: Plan, job: CiJob | None) -> Sequence[str]:
    if plan.github is None:
        return ()
    from loopctl.integrations.github.told import outlook

    return outlook(plan.github, job, f"{plan.loop}/{plan.environment.name}")


def _told_by_notices(plan: Plan) -> Sequence[str]:
    if not plan.notices:
        return ()
    from loopctl.integrations.notices import outlook

    return outlook(plan.notices)


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


def _notices(plan: Plan) -> tuple[Announcer, ...]:
    if not plan.notices:
        return ()
    from loopctl.integrations.notices import notices_of

    return notices_of(plan.notices)

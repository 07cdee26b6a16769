"""What a run begins with, and what is refused before it does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from loopctl import __version__
from loopctl.api.given import given_hashes
from loopctl.api.places import project_key
from loopctl.api.since_green import SinceGreen
from loopctl.errors import Problem, UsageError
from loopctl.journal.earlier_runs import UNREAD
from loopctl.model.events import NotChecked, RunStarted, ServiceFacts, SuiteFacts, UsualTimes
from loopctl.model.notice import is_of_a_notice
from loopctl.model.options import RunOptions
from loopctl.model.plan import Plan, RemediationMode
from loopctl.model.state import State
from loopctl.process import identify
from loopctl.redact import Redactor
from loopctl.redact.secret import keyed_hash

if TYPE_CHECKING:
    from loopctl.bootstrap import Composition


def confirmation_problems(
    plan: Plan, confirm: str | None, why: str = "is protected"
) -> list[Problem]:
    """A protected environment wants to be named, and a name must be that of the environment."""
    name = plan.environment.name
    if plan.environment.protected and confirm is None:
        hint = f"--confirm {name}, if that is meant"
        return [Problem(f"{name} {why}", where="--confirm", hint=hint)]
    if confirm is not None and confirm != name:
        what = f"--confirm names {confirm!r}, the environment is {name!r}"
        return [Problem(what, where="--confirm")]
    return []


_FAR = (RemediationMode.OFF, RemediationMode.PROPOSE, RemediationMode.AUTO)


def check_options(plan: Plan, options: RunOptions) -> None:
    """Raise `UsageError` for what the environment or the loop file does not allow.

    The bounds of the loop are checked like those that the file itself gives.
    """
    problems = [*confirmation_problems(plan, options.confirm), *_bounds(options)]
    ceiling = plan.remediation.ceiling
    if options.remediate is not None and ceiling is not None:
        asked = RemediationMode(options.remediate)
        if _FAR.index(asked) > _FAR.index(ceiling):
            problems.append(
                Problem(
                    f"the loop file allows {ceiling.value} at most (remediate.mode)",
                    where=f"--remediate {asked.value}",
                    hint=f"set remediate.mode to {asked.value} in {plan.path.name}",
                )
            )
    if problems:
        raise UsageError("nothing was changed", problems)


def _bounds(options: RunOptions) -> list[Problem]:
    problems = []
    if options.max_cycles is not None and options.max_cycles < 1:
        what = f"must be at least 1, not {options.max_cycles}"
        problems.append(Problem(what, where="--max-cycles"))
    # Not `<= 0`, which is false of NaN.
    if options.deadline_s is not None and not options.deadline_s > 0:
        what = f"must be longer than nothing, not {options.deadline_s:g} s"
        hint = "90s or 1h, say; without it the loop file's loop.deadline holds, or 2h"
        problems.append(Problem(what, where="--deadline", hint=hint))
    return problems


def check_names(plan: Plan, redactor: Redactor) -> None:
    """Refuse a secret that is part of a name: what is hidden everywhere cannot be acted upon."""
    names = [plan.loop, plan.environment.name, *(suite.id for suite in plan.suites)]
    names += [f"{spec.name}-00001-x7k" for spec in plan.services]
    hidden = [name for name in names if redactor.text(name) != name]
    if hidden:
        what = "the value of a secret is part of a name of this loop"
        hint = "give the secret another value: one that everybody can read is none"
        problems = [Problem(what, where=redactor.text(name), hint=hint) for name in hidden]
        raise UsageError("nothing was changed", problems)


def run_started(composition: Composition) -> RunStarted:
    """The first event of a run: everything that was decided before its first step."""
    plan, options = composition.plan, composition.options
    me = identify(os.getpid())
    green = composition.last_green()
    given = given_hashes(composition.full, project_key(composition.runs_dir))
    since = (
        SinceGreen(composition.full, composition.runs_dir, composition.earlier, green)
        if green
        else None
    )
    values = since.values(given) if since else None
    impact = plan.impact or {}
    return RunStarted(
        run_id=composition.run_id,
        loop=plan.loop,
        loop_file=str(plan.path),
        root=str(plan.root),
        environment=plan.environment.name,
        platform=plan.environment.platform.value,
        loopctl=__version__,
        pid=os.getpid(),
        pid_started=me.started if me else 0,
        services=tuple(
            ServiceFacts(
                name=spec.name,
                needs=spec.needs,
                deployed=spec.is_deployed,
                provenance=spec.provenance,
                impact=impact[spec.name].value if spec.name in impact else None,
                impact_source=impact[spec.name].source if spec.name in impact else None,
                health_path=spec.health.path,
            )
            for spec in plan.services
        ),
        suites=tuple(
            SuiteFacts(
                id=suite.id,
                title=suite.title,
                priority=suite.priority.value,
                kind=suite.kind.value,
                phase=suite.phase.value,
                require=suite.evidence.require.value,
                protects=suite.protects,
                target=suite.evidence.target,
                quarantine=tuple(
                    (entry.case, entry.owner, entry.until.isoformat()) for entry in suite.quarantine
                ),
                cwd=_below(plan.root, suite.cwd),
            )
            for suite in plan.suites
        ),
        options=_said(options),
        files=plan.files or {},
        partial=options.partial(composition.full),
        protected=plan.environment.protected,
        description=plan.description,
        owner=plan.owner,
        runbook=plan.runbook,
        max_cycles=plan.limits.max_cycles,
        deadline_s=plan.limits.deadline_s,
        strategy=plan.environment.strategy,
        after_green=plan.environment.after_green if composition.world.verified else None,
        green_run=green.run_id if green else None,
        config_changed=(*since.files(), *(values or ())) if since else (),
        given=given,
        given_compared=values is not None,
        plan=fingerprint(composition.full, composition.runs_dir),
        history=str(plan.history) if plan.history else None,
        usual=_usual(composition),
    )


def _usual(composition: Composition) -> UsualTimes | None:
    """What earlier green runs took. Those were whole: with the stages of a partial run they have
    nothing to do.
    """
    past = composition.past.durations()
    if not past.runs:
        return None
    partial = composition.options.partial(composition.full) is not None
    suites = {s.id: past.suites[s.id] for s in composition.plan.suites if s.id in past.suites}
    return UsualTimes(past.runs, {} if partial else past.stages, suites)


def unread(composition: Composition) -> tuple[NotChecked, ...]:
    """That the history could not be read, where it could not."""
    why = composition.past.unread
    if why is None:
        return ()
    where = composition.plan.history or "the runs folder"
    said = f"{why}; compared with what this machine knows"
    return (NotChecked(f"{UNREAD} at {where}", said),)


def _below(root: Path, folder: Path) -> str | None:
    return folder.relative_to(root).as_posix() if folder.is_relative_to(root) else None


def _said(options: RunOptions) -> Mapping[str, str | int | bool | None]:
    given: dict[str, str | int | bool | None] = {
        "suite": " ".join(options.suites),
        "service": " ".join(options.services),
        "priority": " ".join(options.priorities),
        "from": options.start.value,
        "max_cycles": options.max_cycles,
        "deadline": None if options.deadline_s is None else str(options.deadline_s),
        "remediate": options.remediate,
        "allow_dirty": options.allow_dirty,
        "create": options.create,
        "keep": options.keep,
    }
    return {name: value for name, value in given.items() if value}


def options_of(began: RunStarted, confirm: str | None) -> RunOptions:
    """The options a run began with; a confirmation is never kept, it is given anew."""
    said = began.options
    deadline, cycles, mode = said.get("deadline"), said.get("max_cycles"), said.get("remediate")
    return RunOptions(
        suites=_words(said.get("suite")),
        services=_words(said.get("service")),
        priorities=_words(said.get("priority")),
        start=State(str(said.get("from") or State.PREFLIGHT.value)),
        max_cycles=int(cycles) if cycles else None,
        deadline_s=float(deadline) if deadline else None,
        remediate=RemediationMode(str(mode)).value if mode else None,
        confirm=confirm,
        allow_dirty=bool(said.get("allow_dirty")),
        create=bool(said.get("create")),
        keep=bool(said.get("keep")),
    )


def _words(text: object) -> tuple[str, ...]:
    return tuple(str(text).split()) if text else ()


def fingerprint(plan: Plan, runs_dir: Path) -> str:
    """Tells two plans apart, without telling what is in them: `VERSION KEYED-HASH`.

    Another version of loopctl may resolve more, so that only its own fingerprints compare.
    """
    # A secret shows as its name alone; what services are given decides what is tested.
    given = [
        (spec.name, secret.name, secret.value.reveal())
        for spec in plan.deployed
        for secret in spec.run.secrets
        if secret.value is not None
    ]
    return f"{__version__} {keyed_hash(project_key(runs_dir), repr((_untold(plan), given)))}"


def _untold(plan: Plan) -> Plan:
    """The plan without whom it tells: a token or a URL that is another by now decides nothing."""
    secrets = {
        name: each
        for name, each in (plan.secrets or {}).items()
        if name != "github.token" and not is_of_a_notice(name)
    }
    return replace(plan, github=None, notices=(), secrets=secrets)

"""The command line and the environment of one pytest process."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loopctl import evidence
from loopctl.model.plan import SuiteSpec
from loopctl.ports.suite import SuiteContext, SuiteError, Withhold
from loopctl.suites.stand_in import StandIn
from loopctl.suites.suite_environment import contract_variables, filled, users_environment

# On `PYTHONPATH` of the user's interpreter, so it holds nothing but the plugins.
PLUGIN_FOLDER = Path(evidence.__file__).parent / "plugin"


@dataclass(frozen=True, slots=True)
class PytestCommand:
    """One pytest process to start."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path


def pytest_command(
    executable: Path,
    spec: SuiteSpec,
    context: SuiteContext,
    environ: Mapping[str, str],
    spool: Path,
    *,
    extra: Sequence[str] = (),
    only: Path | None = None,
    place: StandIn | None = None,
) -> PytestCommand:
    """The process that runs the suite; with `only`, just the tests whose ids that file lists.

    `place` is where its tests are led who are kept from the services' answers.

    A file that cannot be imported does not keep the others from running: their results are
    evidence too, and a tolerance for broken tests could never hold otherwise.
    """
    select = ("-p", "loopctl_select") if only is not None else ()
    argv = (str(executable), "-m", "pytest", "-p", "loopctl_evidence", *select)
    argv += ("--continue-on-collection-errors", *arguments(spec, context), *extra)
    env = users_environment(environ) | contract_variables(spec, context)
    env |= _plugin_settings(spec, context, spool)
    if place is not None:
        env["LOOPCTL_STAND_IN"] = place.setting
    if only is not None:
        env["LOOPCTL_ONLY"] = str(only)
    inherited = env.get("PYTHONPATH")
    env["PYTHONPATH"] = os.pathsep.join([str(PLUGIN_FOLDER), *([inherited] if inherited else [])])
    return PytestCommand(argv, env, spec.cwd)


def arguments(spec: SuiteSpec, context: SuiteContext) -> tuple[str, ...]:
    """`run`, split as a shell would and then filled in, so that an address is never split."""
    where = f"run of suite {spec.id}"
    try:
        words = shlex.split(spec.run)
    except ValueError as problem:
        hint = "quote it as for a shell"
        raise SuiteError(f"{spec.run!r}: {problem}", where=where, hint=hint) from problem
    return tuple(filled(word, context.endpoints, where) for word in words)


def _plugin_settings(spec: SuiteSpec, context: SuiteContext, spool: Path) -> dict[str, str]:
    targets = {name: {"urls": [e.url, e.ws_url]} for name, e in context.endpoints.items()}
    withheld = context.withhold is Withhold.CONNECTIONS
    refused = {"LOOPCTL_REFUSE": "1"} if withheld else {}
    return {
        **refused,
        "LOOPCTL_SPOOL": str(spool),
        "LOOPCTL_TARGETS": json.dumps(targets),
        "LOOPCTL_TRACE_SEED": context.trace_seed,
        "LOOPCTL_RECEIPTS": "on" if spec.evidence.receipts else "off",
        "LOOPCTL_HEALTH_PATHS": json.dumps(list(context.health_paths)),
    }

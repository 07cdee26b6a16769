"""What the process of a suite finds in its environment.

It is the user's own environment, because tests read their settings there, without loopctl's own
variables and without what an outer pytest left; then the variables of the contract, then the
suite's own `env`, which wins.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from loopctl.errors import Problem
from loopctl.model.plan import SuiteSpec
from loopctl.model.references import Endpoint, fill, variable_name
from loopctl.ports.suite import SuiteContext, SuiteError

# An outer pytest's marks would make the plugins of the inner one believe they are its workers.
_OF_AN_OUTER_PYTEST = ("PYTEST_CURRENT_TEST", "PYTEST_XDIST_", "PYTEST_VERSION")
_OWN = "LOOPCTL_"


def users_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without loopctl's own variables (its options, its secrets)."""
    hidden = (_OWN, *_OF_AN_OUTER_PYTEST)
    return {name: value for name, value in environ.items() if not name.startswith(hidden)}


def absent_folder(spec: SuiteSpec) -> Problem | None:
    """What is wrong with the folder that the suite is to run in, if it is not there."""
    if spec.cwd.is_dir():
        return None
    hint = "name an existing folder as the suite's `cwd`"
    said = f"the folder {spec.cwd} does not exist"
    return Problem(said, where=f"suite {spec.id}", hint=hint)


def contract_variables(spec: SuiteSpec, context: SuiteContext) -> dict[str, str]:
    """The variables of the contract, with the suite's own `env` filled in and on top."""
    given = {"LOOPCTL_SUITE": spec.id, "TRACEPARENT": traceparent(context.trace_seed)}
    given |= context.variables
    for service, endpoint in context.endpoints.items():
        given[f"LOOPCTL_URL_{variable_name(service)}"] = endpoint.url
        given[f"LOOPCTL_WS_URL_{variable_name(service)}"] = endpoint.ws_url
    for service, file in context.token_files.items():
        given[f"LOOPCTL_ID_TOKEN_FILE_{variable_name(service)}"] = str(file)
    for name, value in (spec.env or {}).items():
        given[name] = filled(value, context.endpoints, f"env.{name} of suite {spec.id}")
    return given


def filled(text: str, endpoints: Mapping[str, Endpoint], where: str) -> str:
    """`fill`, with an error that names the place."""
    try:
        return fill(text, endpoints)
    except KeyError as missing:
        raise SuiteError(
            f"${{services.{missing.args[0]}.…}} names a service that has no address in this run",
            where=where,
            hint=f"known are: {', '.join(sorted(endpoints)) or 'none'}",
        ) from missing


def traceparent(seed: str) -> str:
    """The suite's own trace (W3C Trace Context); each test has one of its own beside it."""
    digest = hashlib.sha256(f"{seed}\0suite".encode()).hexdigest()
    return f"00-{digest[:32]}-{digest[32:48]}-01"

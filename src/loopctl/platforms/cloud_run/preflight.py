"""What a place on Cloud Run lacks to take these services; all of it, and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal

from google.cloud.run_v2 import Service

from loopctl.errors import Problem
from loopctl.inert import one_line
from loopctl.model.plan import CloudRunPlace, ServiceSpec
from loopctl.platforms.cloud_run import template
from loopctl.platforms.cloud_run.api import Api
from loopctl.platforms.cloud_run.errors import TRANSIENT, ApiError, Code
from loopctl.platforms.cloud_run.names import name_problems
from loopctl.platforms.cloud_run.permissions import lacking, role_hint
from loopctl.ports.platform import PlatformError
from loopctl.process import Stop

_LONGEST: Final = 200
_AWAY: Final = TRANSIENT | {Code.UNAUTHENTICATED}
"""Where one call ends so, all do."""


class Preflight:
    """Asks before the first write. `reads_logs` says what keeps this account from the logs,
    `absent` which secrets that the services refer to are surely not there.
    """

    def __init__(
        self,
        api: Api,
        place: CloudRunPlace,
        strategy: Literal["candidate", "direct"],
        reads_logs: Callable[[Stop], Sequence[Problem]],
        absent: Callable[[Sequence[ServiceSpec], Stop], Sequence[Problem]],
    ) -> None:
        self._api = api
        self._place = place
        self._strategy = strategy
        self._reads_logs = reads_logs
        self._absent = absent

    def problems(self, specs: Sequence[ServiceSpec], stop: Stop) -> list[Problem]:
        """Names, places, fragments, credentials, permissions, secrets, as far as reading tells."""
        found = [
            problem
            for spec in specs
            for problem in spec_problems(spec, self._place, self._strategy)
        ]
        asked: list[Problem] = []
        away = False
        for spec in specs:
            # A name that the API would refuse is not asked about.
            if any(problem.where == spec.name for problem in found):
                continue
            try:
                asked += self._lacking(spec.name, stop)
            except PlatformError as error:
                asked.append(Problem(error.what, where=error.where, hint=error.hint))
                away = away or not isinstance(error, ApiError) or error.code in _AWAY
        # What keeps one service from being seen keeps all from it: it is told once.
        told = {problem.hint or problem.message: problem for problem in asked}
        if away:
            return [*found, *told.values()]
        return [*found, *told.values(), *self._absent(specs, stop), *self._reads_logs(stop)]

    def _lacking(self, service: str, stop: Stop) -> list[Problem]:
        lacks = lacking(self._api, service, self._api.service(service, stop), stop)
        if not lacks:
            return []
        said = f"this account lacks {' and '.join(lacks)}"
        return [Problem(said, where=service, hint=role_hint(self._place.project))]


def spec_problems(
    spec: ServiceSpec, place: CloudRunPlace, strategy: Literal["candidate", "direct"]
) -> Iterator[Problem]:
    """What of a service's part of the loop file the place cannot take."""
    yield from name_problems(spec.name, tagged=strategy == "candidate")
    if spec.image is None and place.repository is None:
        yield Problem(
            "the environment names no repository to push its image to",
            where=spec.name,
            hint="repository: REGION-docker.pkg.dev/PROJECT/REPOSITORY, or give it an image:",
        )
    for secret in spec.run.secrets:
        if secret.reference is None:
            yield Problem(
                f"secret {secret.name} has no reference",
                where=spec.name,
                hint=f"give run.secrets.{secret.name} a `secret: name:version`: "
                "cloud-run takes no value from the loop file",
            )
    if (wrong := wrong_fragment(spec)) is not None:
        yield Problem(
            f"run.cloud_run is no part of a v2 Service: {wrong}",
            where=spec.name,
            hint="fields as in the Admin API v2: template.containers, template.vpcAccess, …",
        )


def wrong_fragment(spec: ServiceSpec) -> str | None:
    """What of the fragment is no part of a Service, in one line; None where all is."""
    fragment = spec.run.cloud_run or {}
    taken = template.paths_of(fragment) & template.TAKEN
    if taken:
        return f"{', '.join(sorted(taken))} is loopctl's to write"
    try:
        template.merged_fragment(Service(), fragment)
    except ValueError as error:
        return one_line(str(error), limit=_LONGEST)
    return None

"""Running tests. A suite reports raw contacts; what they are worth is judged in VERIFY."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from loopctl.errors import PortError, Problem
from loopctl.model.addresses import keeps_secrets
from loopctl.model.evidence import Case, Collection, SuiteEnd
from loopctl.model.plan import SuiteSpec
from loopctl.model.references import Endpoint
from loopctl.process import Stop


class SuiteError(PortError):
    """A suite could not be started or read at all."""


class Withhold(StrEnum):
    """What of its services a test is kept from while its body runs.

    `connections`: each is refused, and those that a fixture holds are shut. `errors` and
    `successes`: a stand-in takes the services' place and answers everything wrongly, without an
    error of the network, always with an error or always with a success.
    """

    NOTHING = "nothing"
    CONNECTIONS = "connections"
    ERRORS = "errors"
    SUCCESSES = "successes"


@dataclass(frozen=True, slots=True)
class SuiteContext:
    """What a run of a suite is given beside its spec.

    `endpoints` are by service, `variables` the `LOOPCTL_…` environment of the contract but for
    what the adapter derives from the endpoints; `folder` is where stdout and the like are kept,
    created by the adapter; `trace_seed` is 32 hex digits that every trace id derives from;
    `health_paths` are the paths of the targets' health checks; `only` are the ids of the cases to
    run again, as `Case.id` has them (None: the whole suite). `baseline` is the folder that the
    last green run of the same suite left, where there is one. `past_s` are seconds by case, of
    earlier runs. With `withhold`, asked of a kind that can alone, no test meets any of `endpoints`
    while its body runs: the control run. `token_files` are by service, for those that want one:
    each holds a token that is good for some minutes, and is read anew for every request.
    """

    endpoints: Mapping[str, Endpoint]
    variables: Mapping[str, str]
    folder: Path
    trace_seed: str
    health_paths: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    baseline: Path | None = None
    past_s: Mapping[str, float] = field(default_factory=dict)
    withhold: Withhold = Withhold.NOTHING
    token_files: Mapping[str, Path] = field(default_factory=dict)

    def authorization(self, service: str | None, url: str) -> str | None:
        """The value of the `Authorization` header by which that service is asked at `url`.

        None where it wants no token, and where somebody on the way could read one. Raises
        `SuiteError` when it cannot be read.
        """
        file = self.token_files.get(service) if service is not None else None
        if file is None or not keeps_secrets(url):
            return None
        try:
            return f"Bearer {file.read_text(encoding='ascii')}"
        except (OSError, ValueError) as error:
            raise SuiteError(f"the token of {service} cannot be read: {error}") from error


class Suite(Protocol):
    """One kind of suite."""

    def check(self, spec: SuiteSpec, stop: Stop) -> Sequence[Problem]:
        """What is missing to run it (interpreter, pytest, folder); empty when nothing is."""
        ...

    def collect(self, spec: SuiteSpec, context: SuiteContext, stop: Stop) -> Collection | None:
        """What it would run; None when the kind cannot know beforehand. Raises `SuiteError`."""
        ...

    def run(
        self, spec: SuiteSpec, context: SuiteContext, on: Callable[[Case], None], stop: Stop
    ) -> SuiteEnd:
        """Run it, handing over each case as it ends. Raises `SuiteError`."""
        ...

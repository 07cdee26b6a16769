"""What an environment on Cloud Run has and lacks, point by point, for `doctor`.

Everything is asked by reading: no write is tried, not even one that would only be validated, for
a server that does not know of that would do it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from google.cloud.run_v2 import Service

from loopctl.errors import PortError, Problem, Stopped
from loopctl.found import Found
from loopctl.model.artifact import Target
from loopctl.model.plan import CloudRunPlace, ServiceSpec
from loopctl.platforms.cloud_run import traffic
from loopctl.platforms.cloud_run.act_as import act_as_found, project_number, runs_as
from loopctl.platforms.cloud_run.api import Api
from loopctl.platforms.cloud_run.clients import Clients
from loopctl.platforms.cloud_run.conditions import has_failed
from loopctl.platforms.cloud_run.errors import TRANSIENT, ApiError, Code
from loopctl.platforms.cloud_run.known import advice_on, disabled, enable
from loopctl.platforms.cloud_run.log_filter import stamp
from loopctl.platforms.cloud_run.log_reader import LogReader
from loopctl.platforms.cloud_run.logs import permitting
from loopctl.platforms.cloud_run.other_apis import OtherApis
from loopctl.platforms.cloud_run.permissions import lacking, needed, role_hint
from loopctl.platforms.cloud_run.preflight import spec_problems
from loopctl.platforms.cloud_run.quota import ReadQuota
from loopctl.platforms.cloud_run.repository import repository_found
from loopctl.platforms.cloud_run.secret_versions import secrets_found, secrets_of
from loopctl.platforms.cloud_run.verified import entries_of
from loopctl.platforms.cloud_run.who_asks import member_of, named, who_asks
from loopctl.ports.leases import Leases
from loopctl.ports.platform import PlatformError
from loopctl.process import Stop, utc_now

_RUN: Final = "Cloud Run API"
_LOGGING: Final = "Cloud Logging API"
_LOGS_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of looking at a service: it, None where there is none, or why it is not known."""

    spec: ServiceSpec
    found: Service | None = None
    error: PlatformError | None = None

    @property
    def title(self) -> str:
        """What it is called in the list."""
        return f"service {self.spec.name}"

    def failed_by(self, *codes: Code) -> bool:
        """Whether the look ended with one of these statuses."""
        return isinstance(self.error, ApiError) and self.error.code in codes


@dataclass(frozen=True, slots=True)
class Checkup:
    """Looks at one place. `found` raises `Stopped` and nothing else."""

    place: CloudRunPlace
    strategy: Literal["candidate", "direct"]
    clients: Clients
    api: Api
    leases: Leases
    reader: LogReader
    quota: ReadQuota

    def found(self, specs: Sequence[ServiceSpec], stop: Stop) -> Iterator[Found]:
        """Every point, with the command that mends it where it wants mending."""
        who = who_asks(self.clients, stop)
        yield who
        unfit = {spec.name: list(spec_problems(spec, self.place, self.strategy)) for spec in specs}
        for name, problems in unfit.items():
            yield from (_of_problem(f"service {name}", each) for each in problems)
        if not who.ok:
            yield Found.unknown("Google Cloud", "nobody is there to ask it")
            return
        member = self._member()
        # A name that the API would refuse is not asked about.
        fit = [spec for spec in specs if not any(p.where == spec.name for p in unfit[spec.name])]
        for each in self._asked(fit, specs, stop):
            yield named(each, member)

    def _member(self) -> str | None:
        if self.place.impersonate is not None:
            return f"serviceAccount:{self.place.impersonate}"
        return member_of(self.clients.credentials)

    def _asked(
        self, fit: Sequence[ServiceSpec], specs: Sequence[ServiceSpec], stop: Stop
    ) -> Iterator[Found]:
        apis = OtherApis(self.clients)
        looked = self._looked(fit, stop)
        if not any(each.failed_by(Code.UNIMPLEMENTED, *TRANSIENT) for each in looked):
            yield from self._region(apis, looked, stop)
        yield from self._services(looked, stop)
        if self.place.repository is not None and any(spec.image is None for spec in specs):
            yield from repository_found(apis, self.place.repository, stop)
        if not apis.are_googles and any(each.failed_by(*TRANSIENT) for each in looked):
            return  # the others answer at the same door
        yield from self._accounts(apis, looked, stop)
        yield from self._logs(stop)
        yield from secrets_found(apis, secrets_of(self.place.project, specs), stop)

    def _looked(self, specs: Sequence[ServiceSpec], stop: Stop) -> list[Looked]:
        looked: list[Looked] = []
        for spec in specs:
            try:
                looked.append(Looked(spec, self.api.service(spec.name, stop)))
            except PlatformError as error:
                looked.append(Looked(spec, error=error))
                if looked[-1].failed_by(*TRANSIENT):
                    break  # the others would be waited for as long, and in vain
        return looked

    def _region(self, apis: OtherApis, looked: Sequence[Looked], stop: Stop) -> Iterator[Found]:
        region, project = self.place.region, self.place.project
        title = f"region {region}"
        if any(each.found is not None for each in looked):
            yield Found(title, ok=True, said=f"has services of {project}")
            return
        answer = None
        if apis.are_googles:
            answer = apis.get("run", f"v1/projects/{project}/locations?pageSize=500", stop)
        told = answer.document.get("locations") if answer is not None else None
        if answer is None or not isinstance(told, list) or answer.document.get("nextPageToken"):
            yield Found.unknown(title, "nobody here lists the regions, and no service shows it")
            return
        known = [str(each.get("locationId")) for each in told if isinstance(each, dict)]
        if region in known:
            yield Found(title, ok=True, said="is one of Cloud Run's")
        else:
            hint = f"gcloud run regions list --project={project}"
            yield Found(title, ok=False, said="is none of Cloud Run's", hint=hint)

    def _services(self, looked: Sequence[Looked], stop: Stop) -> Iterator[Found]:
        errors = [each.error for each in looked if each.error is not None]
        off = next((a for e in errors if (a := self._off(e, "run")) is not None), None)
        away = next((each.error for each in looked if each.failed_by(*TRANSIENT)), None)
        if off is not None:
            yield off
            return
        if away is not None:
            yield Found(_RUN, ok=False, said=away.what, hint=away.hint)
            return
        if looked:
            at = self.clients.door.url if self.clients.door is not None else "run.googleapis.com"
            seen = f"enabled in {self.place.project}, " if len(errors) < len(looked) else ""
            yield Found(_RUN, ok=True, said=f"{seen}answers at {at}")
        told: set[str] = set()
        for each in looked:
            if each.error is None:
                yield from self._of_service(each, stop)
            elif (key := each.error.hint or each.error.what) not in told:
                # What keeps one service from being seen keeps all from it: it is told once.
                told.add(key)
                yield _refused(each, each.error, self.place.region)

    def _off(self, error: PortError, asked: str) -> Found | None:
        api = disabled(error, asked) if isinstance(error, ApiError) else None
        if api is None:
            return None
        title = _LOGGING if asked == "logging" else _RUN
        return Found(title, ok=False, said=error.what, hint=enable(api, self.place.project))

    def _of_service(self, each: Looked, stop: Stop) -> Iterator[Found]:
        yield self._serves(each)
        yield self._permitted(each, stop)
        yield self._held(each, stop)

    def _serves(self, each: Looked) -> Found:
        found = each.found
        if found is None:
            said = "is not there yet: the first run makes it, and its revision serves at once"
            return Found(each.title, ok=True, said=said)
        shares = traffic.serving(found)
        verified = {entry.revision for entry in entries_of(found)}
        rows = [
            f"{name} {percent} %{', verified' if name in verified else ''}"
            for name, percent in shares.items()
        ]
        said = "; ".join(rows) or "is there, and no revision of it serves"
        if not has_failed(found):
            return Found(each.title, ok=True, said=said)
        text = found.terminal_condition.message
        advice = advice_on(f"{text} ", self.api.names, each.spec.name)
        cause = f": {advice.cause}; {advice.fix}" if advice is not None else ""
        return Found(each.title, ok=True, said=f"{said}; its last change failed{cause}")

    def _permitted(self, each: Looked, stop: Stop) -> Found:
        title = f"permissions on {each.spec.name}"
        lacks = lacking(self.api, each.spec.name, each.found, stop)
        if lacks is None:
            return Found.unknown(title, "the API does not say which this account has")
        if not lacks:
            return Found(title, ok=True, said=" and ".join(needed(each.found)))
        said = f"this account lacks {' and '.join(lacks)}"
        return Found(title, ok=False, said=said, hint=role_hint(self.place.project))

    def _held(self, each: Looked, stop: Stop) -> Found:
        title = f"lease of {each.spec.name}"
        place = f"{self.place.project}/{self.place.region}"
        try:
            held = self.leases.peek(Target("cloud-run", place, each.spec.name), stop)
        except PortError as error:
            return Found(title, ok=False, said=error.what, hint=error.hint)
        if held is None:
            return Found(title, ok=True, said="nobody holds it")
        said = (
            f"run {held.run_id} ({held.holder}) holds it, since {held.since:%Y-%m-%d %H:%M:%S} "
            f"UTC until {held.until:%H:%M:%S} UTC: another run would end with exit 6"
        )
        return Found(title, ok=True, said=said)

    def _accounts(self, apis: OtherApis, looked: Sequence[Looked], stop: Stop) -> Iterator[Found]:
        seen = [each for each in looked if each.error is None]
        number = project_number(each.found for each in seen if each.found is not None)
        accounts = {each.spec.name: runs_as(each.spec, each.found, number) for each in seen}
        yield from act_as_found(apis, self.place.project, accounts, stop)

    def _logs(self, stop: Stop) -> Iterator[Found]:
        query = f'timestamp>="{stamp(utc_now())}"'
        try:
            with stop.child(_LOGS_S) as limited:
                next(self.reader.pages(query, limited), None)
        except Stopped:
            stop.remaining(0)
            yield self._late()
        except PortError as error:
            hint = permitting(self.clients, error) or error.hint
            yield self._off(error, "logging") or Found(
                _LOGGING, ok=False, said=error.what, hint=hint
            )
        else:
            yield Found(_LOGGING, ok=True, said="enabled, and this account may read the logs")
            said = f"{self.quota.limit} a minute is taken as the project's limit; none was refused"
            yield Found("log reads", ok=True, said=said)

    def _late(self) -> Found:
        hint = (
            "see whose reads take it; more is asked for at "
            f"https://console.cloud.google.com/iam-admin/quotas?project={self.place.project}"
        )
        if self.quota.is_short():
            return Found.unknown("log reads", self.quota.told, hint)
        return Found.unknown(_LOGGING, f"no answer within {_LOGS_S:g} s")


def _of_problem(title: str, problem: Problem) -> Found:
    return Found(title, ok=False, said=problem.message, hint=problem.hint, where=problem.where)


def _refused(each: Looked, error: PlatformError, region: str) -> Found:
    title = f"region {region}" if each.failed_by(Code.UNIMPLEMENTED) else each.title
    return Found(title, ok=False, said=error.what, hint=error.hint)

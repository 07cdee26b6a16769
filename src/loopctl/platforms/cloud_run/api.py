"""The Admin API's calls, each with a time limit and a policy for another try that says why.

The clients' own retries are off: theirs last minutes behind a caller's back, and some block for
ever (facts/cloud-run.md sections 5.10, 5.15 and 7).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from google.cloud.run_v2 import (
    CreateServiceRequest,
    DeleteRevisionRequest,
    DeleteServiceRequest,
    GetRevisionRequest,
    GetServiceRequest,
    ListRevisionsRequest,
    Revision,
    Service,
    UpdateServiceRequest,
)
from google.iam.v1.iam_policy_pb2 import TestIamPermissionsRequest
from google.protobuf.field_mask_pb2 import FieldMask

from loopctl.platforms.cloud_run.errors import TRANSIENT, ApiError, Code, translated
from loopctl.platforms.cloud_run.known import explained
from loopctl.platforms.cloud_run.names import Names
from loopctl.platforms.cloud_run.operations import Operations, Started, begun
from loopctl.ports.platform import PlatformError
from loopctl.process import Stop

if TYPE_CHECKING:
    from loopctl.platforms.cloud_run.clients import Clients

READ_S: Final = 5.0
WRITE_S: Final = 15.0
"""A write is answered before the roll-out is over; whether it was done is looked for after that."""

_TRY_FOR_S: Final = 20.0
_FIRST_PAUSE_S: Final = 0.2
_LAST_PAUSE_S: Final = 4.0
_TRIES: Final = 8
_PAGE: Final = 100

T = TypeVar("T")
Paths = Sequence[str]


class Api:
    """Services and revisions of one place. Everything raises `PlatformError` and `Stopped`."""

    def __init__(self, clients: Clients, names: Names) -> None:
        self._clients = clients
        self.names = names
        self.operations = Operations(clients)

    def close(self) -> None:
        """End the connections; the next call makes new ones."""
        self._clients.close()

    def service(self, service: str, stop: Stop) -> Service | None:
        """The service as it is now, None when there is none."""
        request = GetServiceRequest(name=self.names.service(service))

        def get(limit: float) -> Service:
            return self._clients.services.get_service(request=request, retry=None, timeout=limit)

        return self._read(f"look at {service}", service, get, stop)

    def revision(self, service: str, revision: str, stop: Stop) -> Revision | None:
        """A revision by its short name, None when there is none."""
        request = GetRevisionRequest(name=self.names.revision(service, revision))

        def get(limit: float) -> Revision:
            return self._clients.revisions.get_revision(request=request, retry=None, timeout=limit)

        return self._read(f"look at {revision}", service, get, stop)

    def revisions(self, service: str, stop: Stop) -> list[Revision]:
        """All revisions of a service; none where there is no such service."""
        found: list[Revision] = []
        token = ""
        while True:
            request = ListRevisionsRequest(
                parent=self.names.service(service), page_size=_PAGE, page_token=token
            )

            def page(
                limit: float, asked: ListRevisionsRequest = request
            ) -> tuple[list[Revision], str]:
                pager = self._clients.revisions.list_revisions(
                    request=asked, retry=None, timeout=limit
                )
                return list(pager.revisions), pager.next_page_token

            answer = self._read(f"list the revisions of {service}", service, page, stop)
            if answer is None:
                return found
            found.extend(answer[0])
            token = answer[1]
            if not token:
                return found

    def granted(
        self, service: str, permissions: Sequence[str], stop: Stop
    ) -> frozenset[str] | None:
        """Which of these permissions this account has on a service.

        None where that is not told: not every server knows the question, and it is asked once.
        """
        request = TestIamPermissionsRequest(
            resource=self.names.service(service), permissions=permissions
        )
        try:
            with translated("ask for the permissions", service):
                answer = self._clients.services.test_iam_permissions(
                    request=request, retry=None, timeout=stop.remaining(READ_S)
                )
        except PlatformError:
            return None
        return frozenset(answer.permissions)

    def change(
        self,
        service: str,
        change: Callable[[Service], Paths | None],
        doing: str,
        stop: Stop,
    ) -> Started | None:
        """Read the service, change it, send it with its etag; what was begun, None for nothing.

        `change` gets what is there and changes it in place; it returns the paths that it changed,
        None when nothing is left to do. It is asked again after every conflict and every write
        whose outcome nobody knows: so nothing is sent twice that was done.
        """
        problem: ApiError | None = None
        for pause in _pauses():
            found = self.service(service, stop)
            if found is None:
                raise PlatformError(f"{service} is gone", where=service)
            paths = change(found)
            if paths is None:
                return None
            try:
                return self._update(found, paths, doing)
            except ApiError as error:
                if not _worth_another_look(error):
                    raise
                problem = error
            stop.wait(pause)
        assert problem is not None
        raise problem

    def create(self, service: str, made: Service, stop: Stop) -> Started:
        """Create a service. `ApiError` of `ALREADY_EXISTS` where somebody has been quicker.

        One whose outcome is not known was made or was not: sent again it finds out.
        """
        request = CreateServiceRequest(parent=self.names.parent, service=made, service_id=service)
        problem: ApiError | None = None
        for pause in _pauses():
            stop.remaining(0)
            try:
                with explained(self.names, service), translated(f"create {service}", service):
                    return begun(
                        lambda: self._clients.services.create_service(
                            request=request, retry=None, timeout=WRITE_S
                        )
                    )
            except ApiError as error:
                # Of a name that is taken, sending it again finds out no more.
                if error.code is Code.ABORTED or not _worth_another_look(error):
                    raise
                problem = error
            stop.wait(pause)
        assert problem is not None
        raise problem

    def delete(self, service: str, stop: Stop) -> Started | None:
        """Delete a service with all its revisions; None when there is none."""
        request = DeleteServiceRequest(name=self.names.service(service))

        def send(limit: float) -> Started:
            return begun(
                lambda: self._clients.services.delete_service(
                    request=request, retry=None, timeout=limit
                )
            )

        # A second try finds what the first has left: deleting twice is deleting once.
        return self._read(f"delete {service}", service, send, stop, WRITE_S)

    def delete_revision(self, service: str, revision: str, stop: Stop) -> Started | None:
        """Delete a retired revision; None when there is none."""
        request = DeleteRevisionRequest(name=self.names.revision(service, revision))

        def send(limit: float) -> Started:
            return begun(
                lambda: self._clients.revisions.delete_revision(
                    request=request, retry=None, timeout=limit
                )
            )

        return self._read(f"delete {revision}", service, send, stop, WRITE_S)

    def _update(self, service: Service, paths: Paths, doing: str) -> Started:
        if "template" not in paths:
            # A revision's name that was read back is refused as one that exists already, whatever
            # the mask says (facts/cloud-run.md section 1.5).
            service.template.revision = ""
        request = UpdateServiceRequest(
            service=service, update_mask=FieldMask(paths=[*dict.fromkeys(paths)])
        )
        name = service.name.rpartition("/")[2]
        with explained(self.names, name), translated(doing, name):
            return begun(
                lambda: self._clients.services.update_service(
                    request=request, retry=None, timeout=WRITE_S
                )
            )

    def _read(
        self,
        doing: str,
        where: str,
        ask: Callable[[float], T],
        stop: Stop,
        limit: float = READ_S,
    ) -> T | None:
        """Ask, and again while the API is only away for a moment; None for what is not there."""
        began = time.monotonic()
        problem: ApiError | None = None
        for pause in _pauses():
            try:
                with explained(self.names, where), translated(doing, where):
                    return ask(stop.remaining(limit))
            except ApiError as error:
                if error.code is Code.NOT_FOUND:
                    return None
                over = time.monotonic() - began > _TRY_FOR_S
                if over or error.code not in TRANSIENT | {Code.RESOURCE_EXHAUSTED}:
                    raise
                problem = error
            stop.wait(pause)
        assert problem is not None
        raise problem


def _pauses() -> Sequence[float]:
    """Seconds before each further try, longer each time."""
    return [min(_LAST_PAUSE_S, _FIRST_PAUSE_S * 2**n) for n in range(_TRIES)]


def _worth_another_look(error: ApiError) -> bool:
    """Whether reading again may tell more: a conflict, a quota, an outcome nobody knows."""
    return error.outcome_unknown or error.code in (Code.ABORTED, Code.RESOURCE_EXHAUSTED)

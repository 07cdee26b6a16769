"""The methods of `google.cloud.run.v2.Revisions`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import grpc  # type: ignore[import-untyped]

from emulator import run_traffic as traffic
from emulator.rpc import Call, HttpRule, Rpc, RpcFault
from emulator.run_changes import Changes
from emulator.run_messages import (
    DeleteRevisionRequest,
    GetRevisionRequest,
    ListRevisionsRequest,
    ListRevisionsResponse,
    Operation,
    OperationPb,
    Revision,
    RevisionPb,
)
from emulator.run_names import service_of, short
from emulator.run_pages import page
from emulator.run_places import check_place
from emulator.run_state import State, copied
from emulator.run_validation import not_found

REVISIONS: Final = "google.cloud.run.v2.Revisions"
_NAME: Final = "/v2/{name=projects/*/locations/*/services/*/revisions/*}"
_GET: Final = HttpRule("GET", _NAME)
_LIST: Final = HttpRule("GET", "/v2/{parent=projects/*/locations/*/services/*}/revisions")
_DELETE: Final = HttpRule("DELETE", _NAME)
_LISTED: Final = (ListRevisionsRequest, ListRevisionsResponse)


@dataclass(frozen=True, slots=True)
class Revisions:
    """Answers from the state."""

    state: State
    changes: Changes

    def rpcs(self) -> list[Rpc]:
        return [
            Rpc(REVISIONS, method, request, answer, handle, (rule,))
            for method, request, answer, handle, rule in (
                ("GetRevision", GetRevisionRequest, Revision, self.get, _GET),
                ("ListRevisions", *_LISTED, self.list, _LIST),
                ("DeleteRevision", DeleteRevisionRequest, Operation, self.delete, _DELETE),
            )
        ]

    def get(self, request: Any, call: Call) -> RevisionPb:
        check_place(self.state.place, request.name, "run.revisions.get")
        with self.state.changed:
            return copied(self._existing(request.name))

    def list(self, request: Any, call: Call) -> Any:
        """Those of one service, or of all with `services/-`; the newest first."""
        check_place(self.state.place, request.parent, "run.revisions.list")
        with self.state.changed:
            everyone = short(request.parent) == "-"
            found = [
                revision
                for name, revision in reversed(self.state.revisions.items())
                if everyone or service_of(name) == request.parent
            ]
            some, token = page(found, request.page_size, request.page_token)
            return ListRevisionsResponse(revisions=some, next_page_token=token)

    def delete(self, request: Any, call: Call) -> OperationPb:
        """Only one that is retired: without traffic, and not the service's latest."""
        check_place(self.state.place, request.name, "run.revisions.delete")
        with self.state.changed:
            revision = self._existing(request.name)
            self.changes.check_etag(revision, request.etag)
            if not self._is_retired(revision):
                text = f"Revision '{short(revision.name)}' is not retired and cannot be deleted."
                raise RpcFault(grpc.StatusCode.FAILED_PRECONDITION, text)
            return self.changes.delete_revision(revision, request.validate_only)

    def _is_retired(self, revision: RevisionPb) -> bool:
        service = self.state.services.get(revision.service)
        if service is None:
            return True
        serving = {share.revision for share in traffic.routing(service).shares}
        return revision.name not in (*serving, service.latest_created_revision)

    def _existing(self, name: str) -> RevisionPb:
        found = self.state.revisions.get(name)
        if found is None:
            place = self.state.place
            raise not_found("REVISION", name, place.region, place.project)
        return found

"""Other ways to answer that the facts leave open: what another server of this API may do.

Only answers differ, never what is done.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import grpc  # type: ignore[import-untyped]
from google.protobuf.message import Message

from emulator.rpc import Call, RpcFault
from emulator.run_messages import (
    Condition,
    Empty,
    ListRevisionsResponse,
    Operation,
    Revision,
    Service,
    State,
)
from emulator.run_names import short
from emulator.run_state import copied

_UNKNOWN = 99


@dataclass(slots=True)
class Quirks:
    """Each is off as a rule. `late_revisions_s`: for so long a new revision is not told of."""

    short_names: bool = False
    full_names_in_traffic: bool = False
    bare_while_reconciling: bool = False
    no_terminal_condition: bool = False
    no_conditions_of_revisions: bool = False
    no_severities: bool = False
    unknown_enums: bool = False
    drops_revision_name: bool = False
    late_revisions_s: float = 0.0
    no_create_times: bool = False
    no_etags: bool = False
    uri_in_list_only: bool = False
    oldest_first: bool = False
    rows_of_nothing: bool = False
    bare_operations: bool = False
    results_of_another_type: bool = False
    done_at_once: bool = False
    operations_gone: bool = False
    cannot_wait: bool = False

    def answer(self, call: Call, answer: Message) -> Message:
        """The answer as this server would have given it. Raises `RpcFault`."""
        if call.method == "WaitOperation" and self.cannot_wait:
            raise RpcFault(grpc.StatusCode.UNIMPLEMENTED, "Method not found.")
        made: Any = copied(answer)
        if isinstance(made, Service):
            self._service(made)
        elif isinstance(made, Revision):
            if self._is_late(made):
                raise _not_found(made.name)
            self._revision(made)
        elif isinstance(made, ListRevisionsResponse):
            self._list(made)
        elif isinstance(made, Operation):
            self._operation(call, made)
        return made  # type: ignore[no-any-return]

    def _service(self, service: Any) -> None:
        if self.bare_while_reconciling and service.reconciling:
            for name in ("traffic_statuses", "uri", "urls", "latest_ready_revision"):
                service.ClearField(name)
        if self.late_revisions_s:
            written = service.update_time.ToNanoseconds() / 1e9
            if time.time() - written < self.late_revisions_s:
                service.ClearField("latest_created_revision")
        if self.short_names:
            service.latest_ready_revision = short(service.latest_ready_revision)
            service.latest_created_revision = short(service.latest_created_revision)
        if self.drops_revision_name:
            service.template.revision = ""
        if self.no_etags:
            service.etag = ""
        if self.uri_in_list_only:
            service.uri = ""
        self._rows(service)
        self._conditions(service)
        if self.no_terminal_condition:
            service.ClearField("terminal_condition")

    def _rows(self, service: Any) -> None:
        if self.full_names_in_traffic:
            for row in (*service.traffic, *service.traffic_statuses):
                if row.revision:
                    row.revision = f"{service.name}/revisions/{short(row.revision)}"
        if self.rows_of_nothing and service.traffic_statuses:
            last = service.latest_created_revision
            service.traffic_statuses.add(type_=2, revision=short(last), percent=0)

    def _revision(self, revision: Any) -> None:
        self._conditions(revision)
        if self.no_conditions_of_revisions:
            del revision.conditions[:]
        if self.no_create_times:
            revision.ClearField("create_time")

    def _conditions(self, resource: Any) -> None:
        for each in resource.conditions:
            if self.no_severities:
                each.severity = 0
        if self.unknown_enums:
            bad = int(State.CONDITION_FAILED)
            resource.conditions.extend(
                [
                    Condition(type_="Novel", state=_UNKNOWN, severity=_UNKNOWN, reason=_UNKNOWN),
                    Condition(type_="Another", state=bad, severity=3, revision_reason=_UNKNOWN),
                ]
            )

    def _list(self, answer: Any) -> None:
        told = [each for each in answer.revisions if not self._is_late(each)]
        if self.oldest_first:
            told.reverse()
        for each in told:
            self._revision(each)
        del answer.revisions[:]
        answer.revisions.extend(told)

    def _operation(self, call: Call, operation: Any) -> None:
        asked = call.method in ("GetOperation", "WaitOperation")
        if asked and self.operations_gone:
            raise _not_found(operation.name)
        if self.bare_operations:
            operation.ClearField("metadata")
        if self.done_at_once and not asked:
            operation.done = True
            operation.ClearField("metadata")
            operation.response.Pack(Service())
        if self.results_of_another_type and operation.WhichOneof("result") == "response":
            operation.response.Pack(Empty())

    def _is_late(self, revision: Any) -> bool:
        made = revision.create_time.ToNanoseconds() / 1e9
        return bool(time.time() - made < self.late_revisions_s)


def _not_found(name: str) -> RpcFault:
    return RpcFault(grpc.StatusCode.NOT_FOUND, f"Resource '{short(name)}' does not exist.")

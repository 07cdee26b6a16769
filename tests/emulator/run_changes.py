"""What a write does to a service at once; what it sets going is the reconciler's."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final

import grpc  # type: ignore[import-untyped]
from google.protobuf.field_mask_pb2 import FieldMask

from emulator import run_conditions as conditions
from emulator import run_texts as texts
from emulator.faults import invalid
from emulator.rpc import RpcFault
from emulator.run_messages import OperationPb, RevisionPb, Service, ServicePb
from emulator.run_names import automatic_revision, short
from emulator.run_reconcile import Reconciler, Rollout
from emulator.run_state import CREATOR, State, copied
from emulator.run_template import fill_defaults, revision_of, same_template
from emulator.run_traffic import set_default
from emulator.run_validation import check_service

#: The fields that a caller decides; all others are the server's own.
_INPUTS: Final = (
    "description",
    "labels",
    "annotations",
    "client",
    "client_version",
    "ingress",
    "launch_stage",
    "binary_authorization",
    "template",
    "traffic",
    "scaling",
    "invoker_iam_disabled",
    "default_uri_disabled",
    "iap_enabled",
    "multi_region_settings",
    "custom_audiences",
    "build_config",
)
#: Of these, those that tell of the caller and are no part of the desired state.
_CALLER: Final = frozenset({"client", "client_version"})


@dataclass(frozen=True, slots=True)
class Changes:
    """Each method is called with the state's lock held."""

    state: State
    reconciler: Reconciler

    def create(self, name: str, sent: ServicePb, validate_only: bool) -> OperationPb:
        service = Service(name=name, uid=str(uuid.uuid4()), creator=CREATOR, generation=1)
        _take_inputs(service, sent)
        self._settle("CreateServiceRequest", service)
        if validate_only:
            return self._done_at_once(service)
        service.create_time.GetCurrentTime()
        self.state.services[name] = service
        return self._roll_out(service, new_revision=True)

    def update(self, current: ServicePb, request: Any) -> OperationPb:
        desired = copied(current)
        _merge(desired, request.service, request.update_mask)
        self._settle("UpdateServiceRequest", desired)
        new_revision = self._needs_revision(current, desired)
        if request.validate_only or not _differs(current, desired):
            if not request.validate_only:
                self._note_caller(current, desired)
            return self._done_at_once(desired if request.validate_only else current)
        desired.generation = current.generation + 1
        current.CopyFrom(desired)
        return self._roll_out(current, new_revision=new_revision)

    def delete(self, current: ServicePb, validate_only: bool) -> OperationPb:
        if validate_only:
            return self._done_at_once(current)
        current.delete_time.GetCurrentTime()
        operation = self.state.begin(current)
        del self.state.services[current.name]
        self.state.changed.notify_all()
        self.reconciler.remove(current, operation.name)
        return copied(operation)

    def delete_revision(self, revision: RevisionPb, validate_only: bool) -> OperationPb:
        if validate_only:
            return self._done_at_once(revision)
        revision.delete_time.GetCurrentTime()
        operation = self.state.begin(revision)
        del self.state.revisions[revision.name]
        self.state.changed.notify_all()
        self.reconciler.remove_revision(revision, operation.name)
        return copied(operation)

    def check_etag(self, current: ServicePb | RevisionPb, given: str) -> None:
        """Without an etag the last writer wins."""
        if given and given != current.etag:
            versions = given.strip('"'), current.etag.strip('"')
            raise RpcFault(grpc.StatusCode.ABORTED, texts.conflict(short(current.name), *versions))

    def _settle(self, request: str, service: ServicePb) -> None:
        """Refuse what cannot be, and fill in what was left out."""
        check_service(request, service)
        fill_defaults(service.template, self.state.place.project)
        set_default(service)

    def _needs_revision(self, current: ServicePb, desired: ServicePb) -> bool:
        """Raises `RpcFault` where the template's own name is that of another revision."""
        named = desired.template.revision
        if same_template(current.template, desired.template):
            renamed = bool(named) and named != current.template.revision
            taken = f"{desired.name}/revisions/{named}" in self.state.revisions
            if named and taken and current.scaling != desired.scaling:
                raise RpcFault(grpc.StatusCode.ALREADY_EXISTS, texts.revision_taken(named))
            return renamed and not taken
        if named and f"{desired.name}/revisions/{named}" in self.state.revisions:
            raise RpcFault(grpc.StatusCode.ALREADY_EXISTS, texts.revision_taken(named))
        return True

    def _roll_out(self, service: ServicePb, *, new_revision: bool) -> OperationPb:
        revision = self._make_revision(service) if new_revision else None
        service.reconciling = True
        service.last_modifier = CREATOR
        service.update_time.GetCurrentTime()
        conditions.reconciling(service)
        self.state.touch(service)
        operation = self.state.begin(service)
        self.reconciler.start(Rollout(service.name, service.generation, operation.name, revision))
        return copied(operation)

    def _make_revision(self, service: ServicePb) -> str:
        service_id = short(service.name)
        own = service.template.revision
        name = own or automatic_revision(service_id, service.generation)
        revision = revision_of(service, f"{service.name}/revisions/{name}", self.state.place)
        self.state.revisions[revision.name] = revision
        self.state.touch(revision)
        service.latest_created_revision = revision.name
        return str(revision.name)

    def _note_caller(self, current: ServicePb, desired: ServicePb) -> None:
        current.client, current.client_version = desired.client, desired.client_version

    def _done_at_once(self, service: ServicePb | RevisionPb) -> OperationPb:
        operation = self.state.begin(service)
        self.state.finish(operation.name, service)
        return copied(operation)


def _merge(desired: ServicePb, sent: ServicePb, mask: FieldMask) -> None:
    """All inputs without a mask; with one, the paths that it names."""
    if not mask.paths or list(mask.paths) == ["*"]:
        _take_inputs(desired, sent)
        return
    for path in mask.paths:
        if not FieldMask(paths=[path]).IsValidForDescriptor(Service.DESCRIPTOR):
            text = f"Invalid field mask path: '{path}'."
            raise invalid("update_mask", text)
    inputs = [path for path in mask.paths if path.partition(".")[0] in _INPUTS]
    FieldMask(paths=inputs).MergeMessage(
        sent, desired, replace_message_field=True, replace_repeated_field=True
    )


def _take_inputs(target: ServicePb, sent: ServicePb) -> None:
    kept = Service()
    FieldMask(paths=_INPUTS).MergeMessage(sent, kept)
    for name in _INPUTS:
        target.ClearField(name)
    target.MergeFrom(kept)


def _differs(current: ServicePb, desired: ServicePb) -> bool:
    return any(
        getattr(current, name) != getattr(desired, name) for name in _INPUTS if name not in _CALLER
    )

"""The methods of `google.cloud.run.v2.Services`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import grpc  # type: ignore[import-untyped]

from emulator.faults import Faults
from emulator.rpc import Call, HttpRule, Rpc, RpcFault
from emulator.run_changes import Changes
from emulator.run_messages import (
    CreateServiceRequest,
    DeleteServiceRequest,
    GetServiceRequest,
    ListServicesRequest,
    ListServicesResponse,
    Operation,
    OperationPb,
    Service,
    ServicePb,
    TestIamPermissionsRequest,
    TestIamPermissionsResponse,
    UpdateServiceRequest,
)
from emulator.run_names import short
from emulator.run_pages import page
from emulator.run_places import check_place
from emulator.run_state import State, copied
from emulator.run_validation import check_service_id, not_found

SERVICES: Final = "google.cloud.run.v2.Services"
_PARENT: Final = "/v2/{parent=projects/*/locations/*}/services"
_NAME: Final = "/v2/{name=projects/*/locations/*/services/*}"
_CREATE: Final = HttpRule("POST", _PARENT, "service")
_GET: Final = HttpRule("GET", _NAME)
_LIST: Final = HttpRule("GET", _PARENT)
_UPDATE: Final = HttpRule("PATCH", _NAME.replace("name=", "service.name="), "service")
_DELETE: Final = HttpRule("DELETE", _NAME)
_TEST: Final = HttpRule("POST", f"{_NAME.replace('name=', 'resource=')}:testIamPermissions", "*")
_ASKED: Final = (TestIamPermissionsRequest, TestIamPermissionsResponse)


@dataclass(frozen=True, slots=True)
class Services:
    """Reads answer from the state; writes go through `changes`."""

    state: State
    changes: Changes
    faults: Faults

    def rpcs(self) -> list[Rpc]:
        return [
            Rpc(SERVICES, method, request, answer, handle, (rule,))
            for method, request, answer, handle, rule in (
                ("CreateService", CreateServiceRequest, Operation, self.create, _CREATE),
                ("GetService", GetServiceRequest, Service, self.get, _GET),
                ("ListServices", ListServicesRequest, ListServicesResponse, self.list, _LIST),
                ("UpdateService", UpdateServiceRequest, Operation, self.update, _UPDATE),
                ("DeleteService", DeleteServiceRequest, Operation, self.delete, _DELETE),
                ("TestIamPermissions", *_ASKED, self.test_iam_permissions, _TEST),
            )
        ]

    def create(self, request: Any, call: Call) -> OperationPb:
        place = self.state.place
        check_place(place, request.parent, "run.services.create")
        check_service_id("CreateServiceRequest", request.service_id)
        name = place.service(request.service_id)
        with self.state.changed:
            if name in self.state.services:
                text = f"Resource '{request.service_id}' already exists."
                raise RpcFault(grpc.StatusCode.ALREADY_EXISTS, text)
            return self.changes.create(name, request.service, request.validate_only)

    def get(self, request: Any, call: Call) -> ServicePb:
        check_place(self.state.place, request.name, "run.services.get")
        with self.state.changed:
            return copied(self._existing(request.name))

    def list(self, request: Any, call: Call) -> Any:
        check_place(self.state.place, request.parent, "run.services.list")
        with self.state.changed:
            names = sorted(self.state.services)
            some, token = page(names, request.page_size, request.page_token)
            services = [self.state.services[name] for name in some]
            return ListServicesResponse(services=services, next_page_token=token)

    def update(self, request: Any, call: Call) -> OperationPb:
        name = request.service.name
        check_place(self.state.place, name, "run.services.update")
        with self.state.changed:
            if name not in self.state.services and request.allow_missing:
                check_service_id("UpdateServiceRequest", short(name))
                return self.changes.create(name, request.service, request.validate_only)
            current = self._existing(name)
            self.changes.check_etag(current, request.service.etag)
            return self.changes.update(current, request)

    def delete(self, request: Any, call: Call) -> OperationPb:
        check_place(self.state.place, request.name, "run.services.delete")
        with self.state.changed:
            current = self._existing(request.name)
            self.changes.check_etag(current, request.etag)
            return self.changes.delete(current, request.validate_only)

    def test_iam_permissions(self, request: Any, call: Call) -> Any:
        """Whatever is asked for, also of a service that is not there yet, but what is lacking."""
        check_place(self.state.place, request.resource, "run.services.getIamPolicy")
        held = [each for each in request.permissions if each not in self.faults.lacking]
        return TestIamPermissionsResponse(permissions=held)

    def _existing(self, name: str) -> ServicePb:
        found = self.state.services.get(name)
        if found is None:
            place = self.state.place
            raise not_found("SERVICE", name, place.region, place.project)
        return found

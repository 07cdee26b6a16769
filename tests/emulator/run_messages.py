"""The messages of the Admin API as plain protobuf classes, and what they are called in types."""

from __future__ import annotations

from typing import Any, TypeAlias

from google.cloud import run_v2
from google.iam.v1 import iam_policy_pb2
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2

# protobuf makes its classes at run time: a checker sees none of their fields.
ServicePb: TypeAlias = Any
RevisionPb: TypeAlias = Any
TemplatePb: TypeAlias = Any
ContainerPb: TypeAlias = Any
ConditionPb: TypeAlias = Any
OperationPb: TypeAlias = Any
LogEntryPb: TypeAlias = Any
EnumPb: TypeAlias = Any

Service = run_v2.Service.pb()
Revision = run_v2.Revision.pb()
Condition = run_v2.Condition.pb()
Container = run_v2.Container.pb()
TrafficTarget = run_v2.TrafficTarget.pb()
TrafficTargetStatus = run_v2.TrafficTargetStatus.pb()
CreateServiceRequest = run_v2.CreateServiceRequest.pb()
GetServiceRequest = run_v2.GetServiceRequest.pb()
ListServicesRequest = run_v2.ListServicesRequest.pb()
ListServicesResponse = run_v2.ListServicesResponse.pb()
UpdateServiceRequest = run_v2.UpdateServiceRequest.pb()
DeleteServiceRequest = run_v2.DeleteServiceRequest.pb()
GetRevisionRequest = run_v2.GetRevisionRequest.pb()
ListRevisionsRequest = run_v2.ListRevisionsRequest.pb()
ListRevisionsResponse = run_v2.ListRevisionsResponse.pb()
DeleteRevisionRequest = run_v2.DeleteRevisionRequest.pb()
TestIamPermissionsRequest = iam_policy_pb2.TestIamPermissionsRequest
TestIamPermissionsResponse = iam_policy_pb2.TestIamPermissionsResponse
Operation = operations_pb2.Operation
GetOperationRequest = operations_pb2.GetOperationRequest
ListOperationsRequest = operations_pb2.ListOperationsRequest
ListOperationsResponse = operations_pb2.ListOperationsResponse
DeleteOperationRequest = operations_pb2.DeleteOperationRequest
WaitOperationRequest = operations_pb2.WaitOperationRequest
Empty = empty_pb2.Empty

LATEST = int(run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST)
REVISION = int(run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION)

State: Any = run_v2.Condition.State
Severity: Any = run_v2.Condition.Severity
CommonReason: Any = run_v2.Condition.CommonReason
RevisionReason: Any = run_v2.Condition.RevisionReason
